//! IN and OUT, and the way to the devices that INS and OUTS share.

use core::ops::ControlFlow;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use bulkhead_abi::host::PartitionOrigin;
use bulkhead_abi::io::{DIRECTION_READ, DIRECTION_WRITE, STATE_PENDING, Space};

use crate::exit::deliver;
use crate::exit::{Flow, Leave, RESUME, emulation, string_port};
use crate::host::Host;
use crate::line::Line;
use crate::partition::Unserved;
use crate::platform_devices::PortAnswer;
use crate::vcpu::{Direction, Gpr, PortAccess, PortForm, Vcpu};
use crate::vcpu_record::{Duty, PendingAccess, PendingIo, Request, VcpuRecord, Work};

/// The port of POST codes, which operating systems also write to wait a microsecond.
pub(super) const POST_PORT: u16 = 0x80;

/// A port access.
#[inline(always)]
pub fn port<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, access: PortAccess) -> Flow {
    let next = vcpu.hw.next_rip_of_port();
    if access.form == PortForm::String {
        return string_port::string_port(vcpu, host, access);
    }
    if access.port == POST_PORT && access.direction == Direction::Write {
        vcpu.hw.complete(next);
        return RESUME;
    }
    if access.port == bulkhead_abi::DEBUG_PORT && access.direction == Direction::Write {
        vcpu.hw.complete(next);
        let byte = vcpu.hw.gpr(Gpr::Rax) as u8;
        print(vcpu, host, byte);
        return RESUME;
    }
    emulated(vcpu, host, access, next)
}

/// A byte for the console.
#[inline(never)]
pub(super) fn print<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, byte: u8) {
    let mut line = vcpu.partition.line.lock();
    if line.push(byte) == Line::Complete {
        host.print(&vcpu.partition.name, line.take());
        // The run loop writes it to the console.
        vcpu.work |= Work::YIELD;
    }
}

/// A port of a device: the hypervisor's own, a doorbell, or the management partition's.
#[inline(never)]
fn emulated<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    access: PortAccess,
    next: u64,
) -> Flow {
    let value = (vcpu.hw.gpr(Gpr::Rax) as u32) & mask(access.size);
    match reach(vcpu, host, access, value, PendingAccess::Port(access)) {
        Reached::Answered(value) => {
            finish(vcpu, access, value, next);
            RESUME
        }
        Reached::Waiting(flow) => {
            vcpu.hw.complete(next);
            flow
        }
        Reached::Reset => {
            vcpu.hw.complete(next);
            crate::lifecycle::ask_for_restart(vcpu, host)
        }
    }
}

/// What came of a port access.
pub(super) enum Reached {
    /// Done; for reads with this value.
    Answered(u32),
    /// The management partition will answer.
    Waiting(Flow),
    /// The guest resets its machine.
    Reset,
}

/// Lets whoever has the port see the access; `value` is what is written.
#[inline]
pub(super) fn reach<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    access: PortAccess,
    value: u32,
    pending: PendingAccess,
) -> Reached {
    let partition = vcpu.partition.clone();
    let answer = partition
        .devices
        .lock()
        .port(access, value, &partition, host);
    match answer {
        PortAnswer::Done { value, woken } => {
            deliver::note(vcpu, woken);
            return Reached::Answered(value);
        }
        PortAnswer::Reset => return Reached::Reset,
        PortAnswer::NotMine => {}
    }
    if access.direction == Direction::Write {
        let bell = vcpu.doorbells.ring(
            Space::Port,
            u64::from(access.port),
            access.size,
            u64::from(value),
        );
        if let Some(event) = bell {
            deliver::note(vcpu, deliver::raise_event(event, host).with_time());
            return Reached::Answered(0);
        }
    }
    let request = Request {
        space: Space::Port,
        direction: access.direction,
        size: access.size,
        address: u64::from(access.port),
        data: u64::from(value),
    };
    match send_request(vcpu, host, request, pending) {
        Some(flow) => Reached::Waiting(flow),
        // Nobody is there: as on a bus without a device, reads give ones and writes vanish.
        None => Reached::Answered(u32::MAX),
    }
}

/// Completes an instruction; for reads with the value in the accumulator.
fn finish<V: Vcpu>(vcpu: &mut VcpuRecord<V>, access: PortAccess, value: u32, next: u64) {
    if access.direction == Direction::Read {
        set_accumulator(vcpu, access.size, value);
    }
    vcpu.hw.complete(next);
}

/// Bytes and words merge into RAX, a double word zeroes its upper half (APM 3, IN).
fn set_accumulator<V: Vcpu>(vcpu: &mut VcpuRecord<V>, size: u8, value: u32) {
    let keep = match size {
        1 => !0xff,
        2 => !0xffff,
        _ => 0,
    };
    let rax = vcpu.hw.gpr(Gpr::Rax) & keep | u64::from(value & mask(size));
    vcpu.hw.set_gpr(Gpr::Rax, rax);
}

const fn mask(size: u8) -> u32 {
    match size {
        1 => 0xff,
        2 => 0xffff,
        _ => 0xffff_ffff,
    }
}

/// Hands a request to the management partition; `None` where it takes none from this partition.
pub fn send_request<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    request: Request,
    access: PendingAccess,
) -> Option<Flow> {
    // Held while the slot is filled: a page that is not registered any more may be in other use.
    let io = vcpu.partition.io.lock();
    let Some((page, first_port)) = io.requests else {
        if vcpu.partition.unserved(&io) == Unserved::Nobody {
            return None;
        }
        drop(io);
        vcpu.pending_io = Some(PendingIo {
            page: None,
            request,
            access,
        });
        return Some(ControlFlow::Break(Leave::WaitIo));
    };
    let index = vcpu.id().0;
    let event = first_port.offset(index)?;
    let slot = page.get(usize::from(index) * 8..)?;
    let [state, address, data, ..] = slot else {
        return None;
    };
    let direction = match request.direction {
        Direction::Read => DIRECTION_READ,
        Direction::Write => DIRECTION_WRITE,
    };
    // Relaxed, then Release: the management partition reads the other fields after it has seen the state.
    address.store(request.address, Relaxed);
    data.store(request.data, Relaxed);
    let head = u64::from(STATE_PENDING)
        | (request.space as u64) << 32
        | u64::from(direction) << 40
        | u64::from(request.size) << 48;
    state.store(head, Release);
    drop(io);
    vcpu.pending_io = Some(PendingIo {
        page: Some(page),
        request,
        access,
    });
    // The vCPU sleeps, so the run queue is looked at in any case.
    deliver::note(vcpu, deliver::raise_event(event, host));
    Some(ControlFlow::Break(Leave::WaitIo))
}

/// Whoever had the pending request is gone: asks whoever serves the partition now, waits where somebody will, or goes on without
/// an answer.
pub fn ask_again<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    let Some(PendingIo {
        page,
        request,
        access,
    }) = vcpu.pending_io
    else {
        return RESUME;
    };
    let unserved = {
        let io = vcpu.partition.io.lock();
        if page.is_some_and(|page| io.is_served_by(page)) {
            return RESUME;
        }
        match io.requests {
            Some(_) if vcpu.partition.origin == PartitionOrigin::Management => Unserved::Wait,
            _ => vcpu.partition.unserved(&io),
        }
    };
    if unserved == Unserved::Wait
        && (vcpu.duty == Duty::Off || send_request(vcpu, host, request, access).is_some())
    {
        return RESUME;
    }
    finish_request(vcpu, host, Answer::Nobody)
}

/// Who answered a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The management partition: the data is in the slot.
    Slot,
    /// Nobody any more: reads give ones.
    Nobody,
}

/// The request is answered: the instruction is done, or can be emulated to its end.
pub fn finish_request<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    answer: Answer,
) -> Flow {
    let Some(pending) = vcpu.pending_io.take() else {
        return RESUME;
    };
    let index = usize::from(vcpu.id().0) * 8;
    let data = pending.page.and_then(|page| page.get(index + 2));
    let data = match (answer, data) {
        // Acquire: partner of the management partition's store of the data before its hypercall, which freed the slot.
        (Answer::Slot, Some(data)) => data.load(Acquire),
        _ => u64::MAX,
    };
    match pending.access {
        PendingAccess::Port(access) if access.direction == Direction::Read => {
            set_accumulator(vcpu, access.size, data as u32);
        }
        PendingAccess::Port(_) => {}
        PendingAccess::Emulated(cause) => return emulation::go_on(vcpu, host, cause, data),
    }
    RESUME
}
