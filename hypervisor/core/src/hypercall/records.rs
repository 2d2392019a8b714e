//! Calls that fill in records: the machine, partitions, crashes, the log.

use bulkhead_abi::host::{NODES, PartitionInfo, VcpuUsage};
use bulkhead_abi::hypercall::Status;
use bulkhead_abi::partition::MAX_VCPUS;
use zerocopy::{FromZeros, IntoBytes};

use super::{Answer, Arguments, partition, write_record};
use crate::addr::Gpa;
use crate::frames::NodeId;
use crate::host::{Host, LOG_LINE};
use crate::id::CpuId;
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

pub fn host_info<V: Vcpu, H: Host>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let record = host.info();
    write_record(vcpu, host, arguments.rdi, record.as_bytes())
}

pub fn partition_info<V: Vcpu, H: Host>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = partition(host, arguments.rdi)?;
    let (exits, run_ticks) = subject.usage();
    let entitlement = subject.system.entitlement();
    let mut record = PartitionInfo {
        id: u32::from(subject.id.0),
        state: subject.state() as u32,
        vcpus: subject.vcpus.len() as u32,
        restarts: subject.restarts(),
        memory_bytes: subject.memory.bytes(),
        exits,
        run_ticks,
        name: [0; 64],
        cookie: subject.cookie,
        origin: subject.origin as u32,
        settled: u32::from(subject.is_settled()),
        weight: entitlement.weight(),
        reservation_percent: entitlement.reservation(),
        limit_percent: entitlement.limit(),
        present_vcpus: subject.system.vcpus(),
        cpus: [0; 4],
        node_memory: [0; NODES],
    };
    let works = host.machine().works();
    for range in subject.memory.ranges() {
        // A range comes from one node.
        let node = works.frames.node_at(range.machine.start);
        let node = node.and_then(|NodeId(node)| record.node_memory.get_mut(usize::from(node)));
        if let Some(bytes) = node {
            *bytes += range.machine.bytes();
        }
    }
    drop(works);
    for vcpu in subject.present() {
        let CpuId(number) = vcpu.home();
        if let Some(word) = record.cpus.get_mut(usize::from(number / 64)) {
            *word |= 1 << (number % 64);
        }
    }
    for (slot, byte) in record.name.iter_mut().zip(subject.name.bytes()) {
        *slot = byte;
    }
    write_record(vcpu, host, arguments.rsi, record.as_bytes())
}

pub fn vcpu_usage<V: Vcpu, H: Host>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = partition(host, arguments.rdi)?;
    let mut records = [VcpuUsage::new_zeroed(); MAX_VCPUS as usize];
    for (slot, known) in records.iter_mut().zip(&subject.vcpus) {
        let (exits, run_ticks) = known.usage();
        *slot = VcpuUsage { exits, run_ticks };
    }
    let count = subject.vcpus.len().min(records.len());
    let filled = records.get(..count).ok_or(Status::BadArgument)?;
    write_record(vcpu, host, arguments.rsi, filled.as_bytes())?;
    Ok(count as u64)
}

pub fn crash_record<V: Vcpu, H: Host>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let record = partition(host, arguments.rdi)?.crash_record();
    write_record(vcpu, host, arguments.rsi, record.as_bytes())
}

pub fn log_read<V: Vcpu, H: Host>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let mut line = [0; LOG_LINE];
    let Some((length, next)) = host.read_log(arguments.rdi, &mut line) else {
        return Ok(arguments.rdi << 16);
    };
    let bytes = line.get(..length).ok_or(Status::BadArgument)?;
    vcpu.partition
        .memory
        .write(host, Gpa::new(arguments.rsi), bytes)?;
    Ok(length as u64 | next << 16)
}
