//! Calls that say what partitions get of the physical CPUs, and of which.

use bulkhead_abi::hypercall::Status;
use bulkhead_abi::partition::ALL_VCPUS;

use super::partitions::read_record;
use super::{Answer, Arguments, partition, served};
use crate::exit::deliver;
use crate::host::Host;
use crate::lifecycle;
use crate::lifecycle::cpu_choice::CpuChoice;
use crate::sched::Entitlement;
use crate::sched::placement::Load;
use crate::shared_vcpu::Hazard;
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

pub fn shares<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let machine = host.machine();
    let _works = machine.try_works().ok_or(Status::Busy)?;
    let subject = partition(host, arguments.rdi)?;
    let number = |value| u32::try_from(value).map_err(|_| Status::BadArgument);
    let vcpus = subject.system.vcpus();
    let entitlement = Entitlement::new(
        number(arguments.rsi)?,
        number(arguments.rdx)?,
        number(arguments.r10)?,
        vcpus,
    )
    .map_err(|_| Status::BadArgument)?;
    let load = Load::of_vcpu(entitlement, vcpus);
    if !machine.change_places(subject.present(), subject.load_of_vcpu(), load) {
        return Err(Status::NoResource);
    }
    subject.system.set(entitlement);
    machine.note_shares();
    // One that is alone on its CPU has no next turn before its CPU looks up.
    let woken = lifecycle::wake_all(&subject, host);
    deliver::note(vcpu, woken);
    Ok(0)
}

pub fn affinity<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let set = read_record(vcpu, host, arguments.rdx)?;
    let machine = host.machine();
    let _works = machine.try_works().ok_or(Status::Busy)?;
    // Not the caller's own: the interrupts of devices are bound to the CPUs that its vCPUs are on.
    let subject = served(host, arguments.rdi)?;
    let chosen = if arguments.rsi == u64::from(ALL_VCPUS) {
        subject.present()
    } else {
        let index = usize::try_from(arguments.rsi).map_err(|_| Status::NotFound)?;
        let one = subject.present().get(index).ok_or(Status::NotFound)?;
        core::slice::from_ref(one)
    };
    let choice = CpuChoice::new(set, host).ok_or(Status::BadArgument)?;
    let allowed = |cpu| choice.allows(cpu, host);
    let settled = machine.resettle(chosen, allowed, subject.load_of_vcpu());
    for other in chosen {
        // Also where nothing has changed in the end: it may have seen a home meanwhile that it does not have.
        if other.home() != other.owner() {
            other.raise(Hazard::MOVE);
            let woken = deliver::wake(other, host);
            deliver::note(vcpu, woken);
        }
    }
    match chosen.last() {
        Some(last) if settled => Ok(last.home().0.into()),
        _ => Err(Status::NoResource),
    }
}
