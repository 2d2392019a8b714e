//! Calls by which the state of a partition leaves as bytes and comes back.

use bulkhead_abi::hypercall::Status;

use super::partitions::made;
use super::{Answer, Arguments, served};
use crate::addr::{Gpa, PAGE_SIZE};
use crate::exit::deliver;
use crate::host::Host;
use crate::lifecycle::transfer::{self, TransferError};
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

impl From<TransferError> for Status {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::State => Status::BadState,
            TransferError::Busy => Status::Busy,
            TransferError::Piece | TransferError::Bad(_) => Status::BadArgument,
            TransferError::Address => Status::BadAddress,
            TransferError::Resource(_) => Status::NoResource,
        }
    }
}

pub fn save<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = served(host, arguments.rdi)?;
    let page = Gpa::new(arguments.rsi);
    let memory = &vcpu.partition.memory;
    memory.frame(page)?;
    let copy = |host: &mut H, rest: &[u8]| {
        let piece = rest.get(..PAGE_SIZE as usize).unwrap_or(rest);
        let written = memory.write(host, page, piece);
        written.map_err(|_| TransferError::Address)
    };
    match transfer::save(&subject, host, arguments.rdx, copy) {
        Ok(length) => Ok(length),
        Err(transfer::SaveError { error, woken }) => {
            deliver::note(vcpu, woken);
            Err(error.into())
        }
    }
}

pub fn restore<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = made(host, arguments.rdi)?;
    let page = Gpa::new(arguments.rsi);
    let memory = &vcpu.partition.memory;
    memory.frame(page)?;
    let (offset, total) = (arguments.rdx, arguments.r10);
    let copy = |host: &mut H, place: &mut [u8]| {
        let read = memory.read(host, page, place);
        read.map_err(|_| TransferError::Address)
    };
    let next = transfer::accept(&subject, host, offset, total, PAGE_SIZE, copy)?;
    if next < total {
        return Ok(next);
    }
    match transfer::restore::<V, H>(&subject, host) {
        Ok(woken) => {
            deliver::note(vcpu, woken);
            Ok(0)
        }
        Err(error) => {
            if let TransferError::Bad(bad) = error {
                host.report(format_args!(
                    "partition {} is not restored: {bad}",
                    subject.name
                ));
            }
            Err(error.into())
        }
    }
}
