//! Calls by which management keeps with a partition what it needs to serve it on after a restart of its own.
//!
//! The hypervisor does not look into it. A copy, not a shared page: what a crash has left half written is never kept.

use bulkhead_abi::hypercall::Status;

use super::{Answer, Arguments, served, write_record};
use crate::addr::{Gpa, PAGE_SIZE};
use crate::host::Host;
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

pub fn keep<V: Vcpu, H: Host>(vcpu: &VcpuRecord<V>, host: &mut H, arguments: Arguments) -> Answer {
    let subject = served(host, arguments.rdi)?;
    let bytes = usize::try_from(arguments.rdx).map_err(|_| Status::BadArgument)?;
    if arguments.rdx > PAGE_SIZE {
        return Err(Status::BadArgument);
    }
    let mut kept = subject.kept.lock();
    if bytes == 0 {
        *kept = alloc::vec::Vec::new();
        return Ok(0);
    }
    let page = Gpa::new(arguments.rsi);
    vcpu.partition.memory.frame(page)?;
    let more = bytes.saturating_sub(kept.len());
    kept.try_reserve_exact(more)
        .map_err(|_| Status::NoResource)?;
    kept.resize(bytes, 0);
    vcpu.partition.memory.read(host, page, &mut kept)?;
    Ok(0)
}

pub fn read<V: Vcpu, H: Host>(vcpu: &VcpuRecord<V>, host: &mut H, arguments: Arguments) -> Answer {
    let subject = served(host, arguments.rdi)?;
    let kept = subject.kept.lock();
    write_record(vcpu, host, arguments.rsi, &kept)?;
    Ok(kept.len() as u64)
}
