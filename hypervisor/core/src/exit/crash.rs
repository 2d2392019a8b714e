//! The end of a partition by its own doing: the crash record.

use core::ops::ControlFlow;

use bulkhead_abi::crash::CrashRecord;

use crate::addr::Gpa;
use crate::exit::{Flow, Leave};
use crate::fault::StopCause;
use crate::host::Host;
use crate::instruction_fetch;
use crate::lifecycle;
use crate::vcpu::{Gpr, Vcpu};
use crate::vcpu_record::VcpuRecord;

/// Stops the partition with a record of this vCPU.
#[cold]
#[inline(never)]
pub fn stop<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    cause: StopCause,
    gpa: Option<Gpa>,
) -> Flow {
    let system = vcpu.hw.system();
    let mut record = CrashRecord {
        cause: cause as u32,
        vcpu: u32::from(vcpu.id().0),
        exit_code: vcpu.hw.exit_code(),
        gpa: gpa.map_or(u64::MAX, Gpa::as_u64),
        rip: vcpu.hw.rip(),
        rsp: vcpu.hw.gpr(Gpr::Rsp),
        rflags: system.rflags,
        control: [system.cr0, system.cr2, system.cr3, system.cr4, system.efer],
        cs: u32::from(system.cs_selector),
        tsc: host.now().0,
        ..CrashRecord::default()
    };
    let explanation = vcpu.hw.explain().bytes();
    for (slot, byte) in record.explanation.iter_mut().zip(explanation) {
        *slot = byte;
    }
    for (slot, register) in record.registers.iter_mut().zip(Gpr::ALL) {
        *slot = vcpu.hw.gpr(register);
    }
    let fetched = instruction_fetch::fetch(&system, record.rip, &vcpu.partition.memory, host);
    if let Ok(code) = fetched {
        for (slot, byte) in record.code.iter_mut().zip(code.bytes()) {
            *slot = *byte;
            record.code_bytes += 1;
        }
    }
    vcpu.partition.crash(record);
    // The others may sleep on other CPUs: each has to see that it is over.
    let _ = lifecycle::wake_all(&vcpu.partition, host);
    ControlFlow::Break(Leave::Stopped)
}

/// The vCPU has come to rest: where all others have as well, the partition is dead, and says so.
///
/// Two vCPUs that come to rest at once each see the other's mark (sequentially consistent), so that one of them finds all at
/// rest; the first record counts.
pub fn stop_if_all_rest<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) {
    vcpu.shared.set_at_rest(true);
    let all = vcpu.partition.vcpus.iter().all(|other| other.is_at_rest());
    if all {
        let _ = stop(vcpu, host, StopCause::DeadHalt, None);
    }
}
