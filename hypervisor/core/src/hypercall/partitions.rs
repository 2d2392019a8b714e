//! Calls that act on partitions as wholes.

use bulkhead_abi::host::PartitionState;
use bulkhead_abi::hypercall::{PartitionAction, Status};

use super::{Answer, Arguments, partition};
use crate::config::Role;
use crate::exit::deliver;
use crate::host::Host;
use crate::lifecycle::{self, StartError};
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

pub fn control<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = partition(host, arguments.rdi)?;
    if subject.role == Role::Management {
        return Err(Status::BadArgument);
    }
    if arguments.rsi == PartitionAction::Stop as u64 {
        if !subject.stop(PartitionState::Stopped) {
            return Err(Status::BadState);
        }
        deliver::note(vcpu, lifecycle::wake_all(&subject, host));
        return Ok(0);
    }
    if arguments.rsi != PartitionAction::Start as u64 {
        return Err(Status::BadArgument);
    }
    match lifecycle::start(&subject, host) {
        Ok(woken) => {
            deliver::note(vcpu, woken);
            Ok(0)
        }
        Err(StartError::Busy) => Err(Status::BadState),
        Err(StartError::Boot(_)) => Err(Status::NoResource),
    }
}
