//! Calls about events, I/O requests and doorbells.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};

use bulkhead_abi::hypercall::Status;
use bulkhead_abi::io::{STATE_PENDING, Space};

use super::{Answer, Arguments, served};
use crate::addr::Gpa;
use crate::doorbell::{Doorbell, DoorbellError, DoorbellTable};
use crate::event_page::{EventPage, EventPort};
use crate::exit::deliver::{self, wake};
use crate::host::{Host, SharedPage};
use crate::id::Vector;
use crate::partition::Partition;
use crate::shared_vcpu::Hazard;
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

/// The caller's page at this address, shared.
pub(super) fn shared_page<V: Vcpu, H: Host>(
    vcpu: &VcpuRecord<V>,
    host: &mut H,
    page: u64,
) -> Result<SharedPage, Status> {
    let frame = vcpu.partition.memory.frame(Gpa::new(page))?;
    host.shared(frame).ok_or(Status::NoResource)
}

pub(super) fn event_port(number: u64) -> Result<EventPort, Status> {
    EventPort::new(number).ok_or(Status::BadArgument)
}

pub fn event_page<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    if arguments.rdi == 0 {
        vcpu.partition.io.lock().events = None;
        return Ok(0);
    }
    let vector = match u8::try_from(arguments.rsi) {
        Ok(vector) if vector >= 16 => Vector(vector),
        _ => return Err(Status::BadArgument),
    };
    let page = shared_page(vcpu, host, arguments.rdi)?;
    vcpu.partition.io.lock().events = Some(EventPage::new(page, vector));
    Ok(0)
}

pub fn io_page<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = served(host, arguments.rdi)?;
    if arguments.rsi == 0 {
        subject.io.lock().requests = None;
        return ask_again(vcpu, host, &subject);
    }
    let port = event_port(arguments.rdx)?;
    let last = (subject.vcpus.len() as u16).saturating_sub(1);
    port.offset(last).ok_or(Status::BadArgument)?;
    let page = shared_page(vcpu, host, arguments.rsi)?;
    let mut io = subject.io.lock();
    io.requests = Some((page, port));
    io.orphaned = false;
    drop(io);
    ask_again(vcpu, host, &subject)
}

/// Requests in a page that is not registered any more will not be answered: their vCPUs look.
fn ask_again<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &H, subject: &Partition) -> Answer {
    for target in &subject.vcpus {
        target.raise(Hazard::IO_LOST);
        deliver::note(vcpu, wake(target, host));
    }
    Ok(0)
}

pub fn io_complete<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = served(host, arguments.rdi)?;
    let slot = usize::try_from(arguments.rsi).map_err(|_| Status::NotFound)?;
    let target = subject.vcpus.get(slot).ok_or(Status::NotFound)?;
    let (page, _) = subject.io.lock().requests.ok_or(Status::BadState)?;
    let state = page.get(slot * 8).ok_or(Status::NotFound)?;
    let head = state.load(Relaxed);
    // Exchanged, so that a request is completed once. AcqRel: partner of the release with which the request was published,
    // and of the vCPU's look at the data.
    let completed = head as u32 == STATE_PENDING
        && state
            .compare_exchange(head, head & !0xffff_ffff, AcqRel, Relaxed)
            .is_ok();
    if !completed {
        return Err(Status::BadState);
    }
    target.raise(Hazard::IO_DONE);
    deliver::note(vcpu, wake(target, host));
    Ok(0)
}

/// The doorbell that the arguments describe.
fn doorbell(arguments: Arguments) -> Result<Doorbell, Status> {
    let packed = arguments.rdx;
    let size = (packed >> 16) as u8;
    let space = match (packed >> 24) as u8 {
        0 => Space::Port,
        1 => Space::Memory,
        _ => return Err(Status::BadArgument),
    };
    if packed >> 33 != 0 || !matches!(size, 0 | 1 | 2 | 4 | 8) {
        return Err(Status::BadArgument);
    }
    if space == Space::Port && arguments.rsi > 0xffff {
        return Err(Status::BadArgument);
    }
    let data = (packed >> 32 & 1 != 0).then_some(arguments.r10);
    let port = event_port(packed & 0xffff)?;
    Ok(Doorbell {
        space,
        address: arguments.rsi,
        size,
        data,
        port,
    })
}

impl From<DoorbellError> for Status {
    fn from(error: DoorbellError) -> Self {
        match error {
            DoorbellError::Exists => Status::Busy,
            DoorbellError::Missing => Status::NotFound,
            DoorbellError::Resource(_) => Status::NoResource,
        }
    }
}

/// Replaces a partition's doorbells and tells its vCPUs.
fn replace_doorbells<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &H,
    number: u64,
    change: impl FnOnce(&DoorbellTable) -> Result<DoorbellTable, DoorbellError>,
) -> Answer {
    let subject = served(host, number)?;
    {
        let mut io = subject.io.lock();
        io.doorbells = Arc::new(change(&io.doorbells)?);
    }
    for target in &subject.vcpus {
        target.raise(Hazard::DOORBELLS);
        deliver::note(vcpu, wake(target, host));
    }
    Ok(0)
}

pub fn doorbell_add<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let bell = doorbell(arguments)?;
    replace_doorbells(vcpu, host, arguments.rdi, |table| table.with(bell))
}

pub fn doorbell_remove<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let bell = doorbell(arguments)?;
    replace_doorbells(vcpu, host, arguments.rdi, |table| table.without(bell))
}

pub fn lifecycle_port<H: Host>(host: &H, arguments: Arguments) -> Answer {
    let subject = served(host, arguments.rdi)?;
    subject.io.lock().lifecycle = Some(event_port(arguments.rsi)?);
    Ok(0)
}
