//! The records of the paravirtual clock: where a vCPU's go.

use crate::fault::GuestFault;
use crate::host::Host;
use crate::paravirtual_clock::{ParavirtualClock, Place};
use crate::time::Ticks;
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

/// The guest writes an MSR of the clock.
///
/// # Errors
/// #GP where it cannot.
pub fn write<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    msr: u32,
    value: u64,
) -> Result<(), GuestFault> {
    let features = vcpu.partition.cpuid.paravirtual_features();
    with_place(vcpu, host, |clock, place| {
        clock.write_msr(msr, value, features, place)
    })
}

/// The guest's TSC was set.
pub fn refresh<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) {
    with_place(vcpu, host, ParavirtualClock::refresh);
}

/// All records are to be written anew: the vCPU goes on from a saved state.
pub fn refresh_all<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) {
    with_place(vcpu, host, |clock, place| {
        clock.refresh(place);
        clock.report_stolen(place);
    });
}

/// The vCPU was ready to run for so long, and its CPU did something else.
#[inline]
pub fn stolen<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, waited: Ticks) {
    if vcpu.clock.add_stolen(waited, vcpu.partition.tsc) {
        with_place(vcpu, host, ParavirtualClock::report_stolen);
    }
}

fn with_place<V: Vcpu, H: Host, R>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    use_it: impl FnOnce(&mut ParavirtualClock, &mut Place<'_, H>) -> R,
) -> R {
    // A restore moves it.
    let base = vcpu.partition.devices.lock().clock_base();
    let mut place = Place {
        base,
        tsc: vcpu.apic.guest_tsc(),
        memory: &vcpu.partition.memory,
        host,
    };
    use_it(&mut vcpu.clock, &mut place)
}
