//! Faults in the nested translation: device registers, doorbells, pages on first touch, and holes.

use crate::addr::{Gpa, PAGE_SIZE};
use crate::exit::{Flow, RESUME, crash, emulation};
use crate::fault::StopCause;
use crate::host::Host;
use crate::nested_space::Content;
use crate::paging::MapError;
use crate::platform_devices::IOAPIC_PAGE;
use crate::vcpu::{Access, NestedFault, Vcpu};
use crate::vcpu_record::{Emulated, VcpuRecord};

/// A fault in the nested translation.
pub fn nested_fault<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    fault: NestedFault,
) -> Flow {
    let page = Gpa::new(fault.gpa.as_u64() & !(PAGE_SIZE - 1));
    if let Some(range) = vcpu.partition.windows.page_for(fault.gpa) {
        let gpa = Gpa::new(range.start.as_u64());
        let mapped = vcpu.partition.space.lock().map(gpa, range, Content::Device);
        return match mapped {
            // A large page around pages that are mapped one by one already: map this one so, too.
            Err(MapError::AlreadyMapped(_)) => RESUME,
            Err(_) => crash::stop(vcpu, host, StopCause::OutOfMemory, Some(fault.gpa)),
            Ok(()) => RESUME,
        };
    }
    if vcpu.partition.memory.locate(fault.gpa).is_ok() {
        // RAM is mapped whole and writable: another CPU's view was not there yet.
        return RESUME;
    }
    if fault.in_walk || fault.access == Access::Fetch {
        return crash::stop(vcpu, host, StopCause::NothingMapped, Some(fault.gpa));
    }
    if vcpu.partition.boot.is_archive(fault.gpa) {
        return crash::stop(vcpu, host, StopCause::ReadOnly, Some(fault.gpa));
    }
    let ours = vcpu.apic.mmio_page() == Some(page) || page == IOAPIC_PAGE;
    if !ours && vcpu.partition.io.lock().requests.is_none() && vcpu.doorbells.is_empty() {
        return crash::stop(vcpu, host, StopCause::NothingMapped, Some(fault.gpa));
    }
    vcpu.io_log.clear();
    emulation::emulate(vcpu, host, Emulated::Memory)
}
