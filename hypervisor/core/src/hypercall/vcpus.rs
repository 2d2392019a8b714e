//! The call that adds vCPUs to partitions and takes them away.

use bulkhead_abi::host::PartitionOrigin;
use bulkhead_abi::hypercall::Status;

use super::partitions::read_record;
use super::{Answer, Arguments, served};
use crate::exit::deliver;
use crate::host::Host;
use crate::lifecycle;
use crate::lifecycle::cpu_choice::CpuChoice;
use crate::sched::Entitlement;
use crate::sched::placement::Load;
use crate::shared_vcpu::{Hazard, Presence};
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

pub fn set<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let set = read_record(vcpu, host, arguments.rdx)?;
    let machine = host.machine();
    let _works = machine.try_works().ok_or(Status::Busy)?;
    let subject = served(host, arguments.rdi)?;
    if subject.origin == PartitionOrigin::Configuration {
        return Err(Status::BadArgument);
    }
    if subject.is_doomed() {
        return Err(Status::BadState);
    }
    let count = u32::try_from(arguments.rsi).map_err(|_| Status::BadArgument)?;
    let former = subject.system.vcpus();
    let least = count.min(former) as usize;
    let most = count.max(former) as usize;
    let (Some(staying), Some(changing)) = (
        subject
            .vcpus
            .get(..least)
            .filter(|staying| !staying.is_empty()),
        subject.vcpus.get(least..most),
    ) else {
        return Err(Status::BadArgument);
    };
    let choice = CpuChoice::new(set, host).ok_or(Status::BadArgument)?;
    let known = subject.system.entitlement();
    let (weight, reservation, limit) = (known.weight(), known.reservation(), known.limit());
    let entitlement =
        Entitlement::new(weight, reservation, limit, count).map_err(|_| Status::BadArgument)?;
    let (from, to) = (subject.load_of_vcpu(), Load::of_vcpu(entitlement, count));
    if count < former {
        machine.leave_places(changing, from);
        if !machine.change_places(staying, from, to) {
            machine.return_to_places(changing, from);
            return Err(Status::NoResource);
        }
    } else {
        if !machine.change_places(staying, from, to) {
            return Err(Status::NoResource);
        }
        if !machine.take_places(changing, |cpu| choice.allows(cpu, host), to) {
            machine.leave_places(staying, to);
            machine.return_to_places(staying, from);
            return Err(Status::NoResource);
        }
    }
    for other in changing {
        if count < former {
            other.set_present(Presence::Absent);
            other.raise(Hazard::RENEW);
        } else {
            // It is as new before the guest can reach it.
            other.raise(Hazard::RENEW | Hazard::MOVE);
            other.set_present(Presence::Present);
        }
    }
    subject.system.resize(count);
    machine.note_shares();
    let woken = lifecycle::wake_all(&subject, host);
    deliver::note(vcpu, woken);
    Ok(0)
}
