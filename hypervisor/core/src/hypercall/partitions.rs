//! Calls that act on partitions as wholes.

use bulkhead_abi::host::{PartitionOrigin, PartitionState};
use bulkhead_abi::hypercall::{PartitionAction, Status};
use bulkhead_abi::partition::{BootState, PartitionRequest};
use zerocopy::{FromZeros, IntoBytes};

use super::{Answer, Arguments, partition, served};
use crate::addr::Gpa;
use crate::boot_state;
use crate::exit::deliver;
use crate::fault::ResourceError;
use crate::host::Host;
use crate::lifecycle::creation::{self, CreateError};
use crate::lifecycle::removal::{self, RemoveError};
use crate::lifecycle::{self, StartError, windows};
use crate::partition::Partition;
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

/// What one call clears at most: under a millisecond on most machines.
pub const CLEAR_BYTES: u64 = 4 << 20;

impl From<CreateError> for Status {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Request(_) => Status::BadArgument,
            CreateError::Busy => Status::Busy,
            CreateError::Resource(_) => Status::NoResource,
        }
    }
}

impl From<RemoveError> for Status {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Missing => Status::NotFound,
            RemoveError::Configured => Status::BadArgument,
            RemoveError::Live => Status::BadState,
            RemoveError::Busy => Status::Busy,
        }
    }
}

impl From<ResourceError> for Status {
    fn from(_: ResourceError) -> Self {
        Status::NoResource
    }
}

pub fn control<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = served(host, arguments.rdi)?;
    let woken = match action(arguments.rsi).ok_or(Status::BadArgument)? {
        PartitionAction::Start => lifecycle::start(&subject, host).map_err(|error| match error {
            StartError::Busy | StartError::NotCleared | StartError::NoBootState => Status::BadState,
            StartError::Boot(_) => Status::NoResource,
        }),
        PartitionAction::Stop => subject
            .stop(PartitionState::Stopped)
            .then(|| lifecycle::wake_all(&subject, host))
            .ok_or(Status::BadState),
        PartitionAction::Pause => lifecycle::pause(&subject, host).ok_or(Status::BadState),
        PartitionAction::Resume => lifecycle::resume(&subject, host).ok_or(Status::BadState),
    }?;
    deliver::note(vcpu, woken);
    Ok(0)
}

fn action(number: u64) -> Option<PartitionAction> {
    [
        PartitionAction::Start,
        PartitionAction::Stop,
        PartitionAction::Pause,
        PartitionAction::Resume,
    ]
    .into_iter()
    .find(|action| *action as u64 == number)
}

/// Copies a record from the start of a page of the caller.
pub(super) fn read_record<V: Vcpu, H: Host, R: FromZeros + IntoBytes + zerocopy::FromBytes>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    page: u64,
) -> Result<R, Status> {
    let gpa = Gpa::new(page);
    vcpu.partition.memory.frame(gpa)?;
    let mut record = R::new_zeroed();
    vcpu.partition
        .memory
        .read(host, gpa, record.as_mut_bytes())?;
    Ok(record)
}

pub fn create<V: Vcpu, H: Host>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let request: PartitionRequest = read_record(vcpu, host, arguments.rdi)?;
    let id = creation::create(host, &request)?;
    Ok(u64::from(id.0))
}

pub fn destroy<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let id = partition(host, arguments.rdi)?.id;
    removal::remove(vcpu, host, id)?;
    Ok(0)
}

/// A partition that management made and does not remove.
pub(super) fn made<H: Host>(host: &H, number: u64) -> Result<alloc::sync::Arc<Partition>, Status> {
    let subject = served(host, number)?;
    if subject.origin != PartitionOrigin::Management {
        return Err(Status::BadArgument);
    }
    if subject.is_doomed() {
        return Err(Status::BadState);
    }
    Ok(subject)
}

pub fn memory_window<V: Vcpu, H: Host>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let machine = host.machine();
    let mut works = machine.try_works().ok_or(Status::Busy)?;
    let subject = made(host, arguments.rdi)?;
    if !subject.is_clear() {
        return Err(Status::BadState);
    }
    let base = windows::open(&vcpu.partition, &subject, &mut works, host)?;
    Ok(base.as_u64())
}

pub fn memory_clear<H: Host>(host: &mut H, arguments: Arguments) -> Answer {
    let subject = made(host, arguments.rdi)?;
    if subject.is_live() {
        return Err(Status::BadState);
    }
    // Nobody starts it meanwhile.
    if !subject.claim() {
        return Err(Status::Busy);
    }
    let from = Gpa::new(arguments.rsi);
    let next = subject.memory.clear_piece(host, from, CLEAR_BYTES);
    if let Ok(next) = next {
        subject.note_cleared(from, next.unwrap_or(subject.memory.end()));
    }
    subject.rest();
    let next = next.map_err(|_| Status::BadArgument)?;
    Ok(next.map_or(0, Gpa::as_u64))
}

pub fn boot_state<V: Vcpu, H: Host>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = made(host, arguments.rdi)?;
    let state: BootState = read_record(vcpu, host, arguments.rsi)?;
    boot_state::check(&state, &subject.rules, host.physical_bits())
        .map_err(|_| Status::BadArgument)?;
    subject.set_boot_state(state);
    Ok(0)
}
