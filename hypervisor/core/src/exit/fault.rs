//! Faults in the nested translation: device registers, doorbells, pages on first touch, and holes.

use crate::addr::{Gpa, Hpa, HpaRange, PAGE_SIZE, PageSize};
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
    // Nobody runs code from a device's registers; a mapping without that right would fault for ever.
    if fault.access != Access::Fetch
        && let Some(range) = vcpu.partition.windows.page_for(fault.gpa)
    {
        return match map_device(vcpu, fault.gpa, range) {
            Ok(()) => RESUME,
            Err(MapError::AlreadyMapped(_)) => {
                crash::stop(vcpu, host, StopCause::ReadOnly, Some(fault.gpa))
            }
            Err(_) => crash::stop(vcpu, host, StopCause::OutOfMemory, Some(fault.gpa)),
        };
    }
    if vcpu.partition.memory.locate(fault.gpa).is_ok() {
        // RAM is mapped whole and writable: another CPU's view was not there yet.
        return RESUME;
    }
    if fault.in_walk || fault.access == Access::Fetch {
        return crash::stop(vcpu, host, StopCause::NothingMapped, Some(fault.gpa));
    }
    let boot = vcpu.partition.boot.as_ref();
    if boot.is_some_and(|boot| boot.is_archive(fault.gpa)) {
        return crash::stop(vcpu, host, StopCause::ReadOnly, Some(fault.gpa));
    }
    let ours = vcpu.apic.mmio_page() == Some(page) || page == IOAPIC_PAGE;
    let served = {
        let io = vcpu.partition.io.lock();
        io.requests.is_some() || io.orphaned
    };
    if !ours && !served && vcpu.doorbells.is_empty() {
        return crash::stop(vcpu, host, StopCause::NothingMapped, Some(fault.gpa));
    }
    vcpu.io_log.clear();
    emulation::emulate(vcpu, host, Emulated::Memory)
}

/// Maps a window's large page; where something else is in it already, the small page at `gpa`.
fn map_device<V: Vcpu>(
    vcpu: &VcpuRecord<V>,
    gpa: Gpa,
    range: HpaRange,
) -> Result<(), MapError<Gpa>> {
    let mut space = vcpu.partition.space.lock();
    let first = space.map(Gpa::new(range.start.as_u64()), range, Content::Device);
    let small = Hpa::new(gpa.as_u64()).align_down(PageSize::Size4K);
    match (first, HpaRange::new(small, PAGE_SIZE)) {
        (Err(MapError::AlreadyMapped(_)), Some(page)) if page != range => {
            space.map(Gpa::new(small.as_u64()), page, Content::Device)
        }
        (result, _) => result,
    }
}
