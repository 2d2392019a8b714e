//! Hypercalls: rights first, then one function for each number. The contract is `bulkhead_abi::hypercall`.
//!
//! Called by the exit loop with RIP behind the instruction already. Every argument is checked here or in the function;
//! no answer depends on anything but the caller's own rights and the partition it names. Nothing loops longer than
//! one page or one partition's vCPUs take, but for the start of a partition, which clears its RAM.

mod console;
mod events;
mod interrupts;
mod kept;
mod partitions;
mod records;
mod shares;
#[cfg(test)]
mod tests;
mod transfer;
mod vcpus;

use core::ops::ControlFlow;

use bulkhead_abi::hypercall::{MachineAction, Number, Right, Status, StopReason};

use crate::addr::Gpa;
use crate::config::Role;
use crate::exit::Flow;
use crate::guest_memory::NotRam;
use crate::host::{Host, MachineEnd};
use crate::id::PartitionId;
use crate::lifecycle;
use crate::vcpu::{Gpr, Vcpu};
use crate::vcpu_record::VcpuRecord;

/// The arguments in the order RDI, RSI, RDX, R10.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arguments {
    rdi: u64,
    rsi: u64,
    rdx: u64,
    r10: u64,
}

/// A value for RDX, or what went wrong.
pub type Answer = Result<u64, Status>;

impl From<NotRam> for Status {
    fn from(_: NotRam) -> Self {
        Status::BadAddress
    }
}

/// Does what the guest asks and puts the answer into its registers.
#[inline(never)]
pub fn dispatch<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    let number = vcpu.hw.gpr(Gpr::Rax);
    let arguments = Arguments {
        rdi: vcpu.hw.gpr(Gpr::Rdi),
        rsi: vcpu.hw.gpr(Gpr::Rsi),
        rdx: vcpu.hw.gpr(Gpr::Rdx),
        r10: vcpu.hw.gpr(Gpr::R10),
    };
    let call = match permitted(vcpu, number) {
        Ok(call) => call,
        Err(status) => return answer(vcpu, Err(status)),
    };
    if call == Number::Stop {
        return match stop_reason(arguments.rdi) {
            Some(StopReason::Done) => lifecycle::end_cleanly(vcpu, host),
            Some(StopReason::Failed) => lifecycle::report_failure(vcpu, host),
            Some(StopReason::Restart) => lifecycle::ask_for_restart(vcpu, host),
            None => answer(vcpu, Err(Status::BadArgument)),
        };
    }
    let result = perform(vcpu, host, call, arguments);
    answer(vcpu, result)
}

/// The call of this number, if the caller may use it now.
fn permitted<V: Vcpu>(vcpu: &VcpuRecord<V>, number: u64) -> Result<Number, Status> {
    let call = Number::from_u64(number).ok_or(Status::NoSuchCall)?;
    if vcpu.hw.system().cpl != 0 {
        return Err(Status::Denied);
    }
    match (call.right(), vcpu.partition.role) {
        (Right::Guest, _) | (Right::Management, Role::Management) => Ok(call),
        (Right::Management, Role::Guest) => Err(Status::Denied),
    }
}

fn perform<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    call: Number,
    arguments: Arguments,
) -> Answer {
    match call {
        Number::Null | Number::Stop => Ok(0),
        Number::Version => Ok(u64::from(bulkhead_abi::VERSION)),
        Number::HostInfo => records::host_info(vcpu, host, arguments),
        Number::EventPage => events::event_page(vcpu, host, arguments),
        Number::InterruptBind => interrupts::bind(vcpu, host, arguments),
        Number::InterruptRelease => interrupts::release(vcpu, host, arguments),
        Number::PartitionCount => Ok(u64::from(host.machine().partition_count())),
        Number::PartitionInfo => records::partition_info(vcpu, host, arguments),
        Number::VcpuUsage => records::vcpu_usage(vcpu, host, arguments),
        Number::CrashRecord => records::crash_record(vcpu, host, arguments),
        Number::IoPage => events::io_page(vcpu, host, arguments),
        Number::IoComplete => events::io_complete(vcpu, host, arguments),
        Number::DoorbellAdd => events::doorbell_add(vcpu, host, arguments),
        Number::DoorbellRemove => events::doorbell_remove(vcpu, host, arguments),
        Number::MessageSend => interrupts::message_send(vcpu, host, arguments),
        Number::LineSet => interrupts::line_set(vcpu, host, arguments),
        Number::LogRead => records::log_read(vcpu, host, arguments),
        Number::PartitionControl => partitions::control(vcpu, host, arguments),
        Number::Machine => machine(host, arguments),
        Number::LifecyclePort => events::lifecycle_port(host, arguments),
        Number::ConsolePage => console::page(vcpu, host, arguments),
        Number::ConsoleInput => console::input(vcpu, host, arguments),
        Number::PartitionCreate => partitions::create(vcpu, host, arguments),
        Number::PartitionDestroy => partitions::destroy(vcpu, host, arguments),
        Number::MemoryWindow => partitions::memory_window(vcpu, host, arguments),
        Number::MemoryClear => partitions::memory_clear(host, arguments),
        Number::BootState => partitions::boot_state(vcpu, host, arguments),
        Number::StateKeep => kept::keep(vcpu, host, arguments),
        Number::StateRead => kept::read(vcpu, host, arguments),
        Number::PartitionSave => transfer::save(vcpu, host, arguments),
        Number::PartitionRestore => transfer::restore(vcpu, host, arguments),
        Number::PartitionShares => shares::shares(vcpu, host, arguments),
        Number::PartitionAffinity => shares::affinity(vcpu, host, arguments),
        Number::PartitionVcpus => vcpus::set(vcpu, host, arguments),
    }
}

/// RAX and RDX as the contract says.
fn answer<V: Vcpu>(vcpu: &mut VcpuRecord<V>, answer: Answer) -> Flow {
    let (status, value) = match answer {
        Ok(value) => (Status::Ok, value),
        Err(status) => (status, 0),
    };
    vcpu.hw.set_gpr(Gpr::Rax, status as u64);
    vcpu.hw.set_gpr(Gpr::Rdx, value);
    ControlFlow::Continue(())
}

fn stop_reason(number: u64) -> Option<StopReason> {
    [StopReason::Done, StopReason::Failed, StopReason::Restart]
        .into_iter()
        .find(|reason| *reason as u64 == number)
}

fn machine<H: Host>(host: &mut H, arguments: Arguments) -> Answer {
    if arguments.rdi == MachineAction::PowerOff as u64 {
        host.end(MachineEnd::PowerOff)
    } else if arguments.rdi == MachineAction::Reset as u64 {
        host.end(MachineEnd::Reset)
    } else {
        Err(Status::BadArgument)
    }
}

/// The partition that an argument names.
fn partition<H: Host>(
    host: &H,
    number: u64,
) -> Result<alloc::sync::Arc<crate::partition::Partition>, Status> {
    u16::try_from(number)
        .ok()
        .and_then(|id| host.machine().partition(PartitionId(id)))
        .ok_or(Status::NotFound)
}

/// A partition that management serves: any but itself.
fn served<H: Host>(
    host: &H,
    number: u64,
) -> Result<alloc::sync::Arc<crate::partition::Partition>, Status> {
    let subject = partition(host, number)?;
    if subject.role == Role::Management {
        Err(Status::BadArgument)
    } else {
        Ok(subject)
    }
}

/// Writes a record at the start of a page of the caller.
fn write_record<V: Vcpu, H: Host>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    page: u64,
    record: &[u8],
) -> Answer {
    let gpa = Gpa::new(page);
    vcpu.partition.memory.frame(gpa)?;
    vcpu.partition.memory.write(host, gpa, record)?;
    Ok(0)
}
