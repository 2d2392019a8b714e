//! What must be looked at before an entry: hazards from other CPUs, the mailbox, deliverable interrupts.

use core::ops::ControlFlow;

use bulkhead_abi::host::PartitionState;

use crate::exit::{Flow, Leave, RESUME, crash, deliver, msr, port};
use crate::fault::StopCause;
use crate::host::Host;
use crate::id::{VcpuId, Vector};
use crate::instruction_fetch;
use crate::lifecycle::{self, transfer};
use crate::local_apic::{Drained, LocalDelivery, LvtEntry};
use crate::paravirtual_clock::ParavirtualClock;
use crate::shared_vcpu::Hazard;
use crate::time::Ticks;
use crate::vcpu::{StartState, Vcpu, Watch};
use crate::vcpu_record::{Activity, Duty, VcpuRecord, Work};

/// Who is told something by a doorbell waits so long at most for a CPU that it shares with the teller: a fraction of a second,
/// 61 us.
const YIELDS_IN_SECOND: u64 = 1 << 14;

/// Clears everything that waits, or says why the vCPU cannot be entered.
#[inline(never)]
pub fn attend<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, cpu: &mut V::Cpu) -> Flow {
    if !vcpu.shared.is_quiet() {
        if vcpu.duty == Duty::Paused {
            vcpu.shared.note_look();
        }
        let hazard = vcpu.shared.take();
        if !hazard.is_empty() {
            hazards(vcpu, host, hazard)?;
        }
        let drained = vcpu.shared.mailbox.drain_into(&mut vcpu.apic);
        vcpu.work |= Work::EVENT;
        if drained != Drained::default() {
            signals(vcpu, drained);
        }
        if hazard.contains(Hazard::SAVE) {
            transfer::save_vcpu(vcpu, host);
        }
    }
    match vcpu.duty {
        Duty::On => {}
        Duty::Paused => return ControlFlow::Break(Leave::Paused),
        Duty::Off => {
            vcpu.work &= Work::MOVE;
            return ControlFlow::Break(Leave::Stopped);
        }
    }
    if vcpu.pending_io.is_some() {
        return ControlFlow::Break(Leave::WaitIo);
    }
    if vcpu.activity == Activity::WaitForStartUp {
        return ControlFlow::Break(Leave::Halted);
    }
    if vcpu.work.contains(Work::EVENT) {
        vcpu.work.remove(Work::EVENT);
        deliver(vcpu, host);
    }
    if vcpu.activity == Activity::Halted {
        return ControlFlow::Break(Leave::Halted);
    }
    if vcpu.work.contains(Work::TAG) {
        vcpu.work.remove(Work::TAG);
        vcpu.hw.refresh(cpu, vcpu.partition.epoch());
    }
    if vcpu.work.intersects(Work::YIELD | Work::YIELD_SOON) {
        return give_way(vcpu, host);
    }
    RESUME
}

/// Lets the run loop look who else is to run: now, or soon.
#[inline(never)]
fn give_way<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    if vcpu.work.contains(Work::YIELD) {
        return ControlFlow::Break(Leave::Yield);
    }
    vcpu.work.remove(Work::YIELD_SOON);
    let grace = Ticks(vcpu.partition.tsc.get() / YIELDS_IN_SECOND);
    host.arm(host.now() + grace);
    RESUME
}

#[cold]
#[inline(never)]
fn hazards<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, hazard: Hazard) -> Flow {
    if hazard.contains(Hazard::RESET) {
        vcpu.reset();
        vcpu.duty = Duty::On;
    } else if hazard.contains(Hazard::RENEW) {
        vcpu.renew(host.now());
    }
    if hazard.contains(Hazard::MOVE) {
        vcpu.work |= Work::MOVE | Work::YIELD;
    }
    // The state decides: a stop of the partition's former life may be announced late, and one between the halves of a start
    // was seen before the reset. So with pauses.
    if hazard.intersects(Hazard::STOP | Hazard::RESET) && !vcpu.partition.is_live() {
        return ControlFlow::Break(Leave::Stopped);
    }
    if hazard.contains(Hazard::LOAD) && !transfer::load_vcpu(vcpu, host) {
        return crash::stop(vcpu, host, StopCause::InvalidState, None);
    }
    if hazard.intersects(Hazard::PAUSE | Hazard::RESET) && vcpu.duty != Duty::Off {
        pause_or_go_on(vcpu, host);
    }
    if hazard.contains(Hazard::FLUSH) {
        vcpu.work |= Work::TAG;
    }
    if hazard.contains(Hazard::DOORBELLS) {
        vcpu.doorbells = vcpu.partition.io.lock().doorbells.clone();
    }
    if hazard.contains(Hazard::IO_DONE) {
        port::finish_request(vcpu, host, port::Answer::Slot)?;
    }
    if hazard.contains(Hazard::IO_LOST) {
        port::ask_again(vcpu, host)?;
    }
    RESUME
}

/// Stays out of guest mode where the partition is paused; the last vCPU that does so tells management.
fn pause_or_go_on<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) {
    if vcpu.partition.state() != PartitionState::Paused {
        vcpu.duty = Duty::On;
        return;
    }
    vcpu.duty = Duty::Paused;
    if vcpu.partition.obey_pause(&vcpu.shared) {
        let woken = lifecycle::tell_management(&vcpu.partition, host);
        deliver::note(vcpu, woken);
    }
}

/// INIT, start-up, NMI and the 8259A's output.
#[cold]
#[inline(never)]
fn signals<V: Vcpu>(vcpu: &mut VcpuRecord<V>, drained: Drained) {
    if drained.init {
        vcpu.forget_lent();
        vcpu.activity = Activity::WaitForStartUp;
        // The 8259A's output does not depend on this CPU.
        vcpu.work.remove(Work::NMI);
        vcpu.drop_request();
        vcpu.clock = ParavirtualClock::default();
        vcpu.shared.set_identity(vcpu.apic.identity());
    }
    if let Some(page) = drained.startup
        && vcpu.activity == Activity::WaitForStartUp
        // It may have been sent to one that went meanwhile.
        && vcpu.shared.is_present()
    {
        vcpu.hw.reset(StartState::StartUp {
            vector: Vector(page),
        });
        vcpu.work |= Work::TAG;
        vcpu.activity = Activity::Running;
    }
    // A CPU that waits for its start-up does not take NMIs, and has no handler when it starts.
    if drained.nmi && vcpu.activity != Activity::WaitForStartUp {
        vcpu.work |= Work::NMI;
    }
    if drained.ext_int {
        ext_int_rose(vcpu);
    }
}

/// The 8259A's output rose: LINT0 says what becomes of it.
fn ext_int_rose<V: Vcpu>(vcpu: &mut VcpuRecord<V>) {
    // Remembered in any case: LINT0 may come to let it through as it is.
    vcpu.work |= Work::EXT_INT | Work::EVENT;
    match vcpu.apic.deliver_local(LvtEntry::Lint0) {
        LocalDelivery::Nmi => vcpu.work |= Work::NMI,
        LocalDelivery::Init => {
            let _ = vcpu.shared.mailbox.post_init();
            // The mailbox was looked at before.
            vcpu.work |= Work::YIELD;
        }
        LocalDelivery::Ignored | LocalDelivery::Fixed(_) | LocalDelivery::ExtInt => {}
    }
}

/// The guest opened LINT0: an output that is high already counts as rising now.
#[cold]
#[inline(never)]
pub fn lint0_opened<V: Vcpu>(vcpu: &mut VcpuRecord<V>) {
    // The 8259A is wired to the first processor.
    if vcpu.id() != VcpuId(0) {
        return;
    }
    let output = vcpu.partition.devices.lock().ext_int();
    if output.is_high() {
        ext_int_rose(vcpu);
    } else {
        vcpu.work.remove(Work::EXT_INT);
    }
}

/// Injects the most urgent event that the guest can take, or asks to be told when it can.
#[inline(always)]
pub fn deliver<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) {
    let injected = vcpu.work.intersects(Work::NMI | Work::EXT_INT) && deliver_rare(vcpu, host);
    if V::POSSIBLE && vcpu.hw.delivers() && vcpu.apic.can_be_lent() {
        // Also where something else comes first: no window would remind of what has arrived.
        return hand_over(vcpu, host);
    }
    if injected {
        return;
    }
    // The guest may have written CR8 without an exit.
    let priority = vcpu.hw.cr8();
    if priority != vcpu.apic.cr8() {
        vcpu.apic.set_cr8(priority);
    }
    match vcpu.apic.next_vector() {
        Some(vector) if vcpu.hw.can_take_interrupt() => {
            vcpu.hw.inject_interrupt(vector);
            vcpu.apic.acknowledge(vector);
            vcpu.activity = Activity::Running;
        }
        Some(_) => ask_for_window(vcpu, host),
        None => {
            // A vector that only the task priority holds back needs an exit when CR8 falls.
            let held_back = match vcpu.apic.highest_pending() {
                Some(vector) => priority != 0 && vector.0 >> 4 <= priority,
                None => false,
            };
            vcpu.hw
                .watch_cr8(if held_back { Watch::On } else { Watch::Off });
        }
    }
}

/// Leaves the delivery of interrupts to the CPU, and ends a halt where it has one to deliver.
#[inline(never)]
fn hand_over<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) {
    if !vcpu.apic.is_lent() {
        msr::sync_from_cr8(vcpu);
        let held = vcpu.apic.lend();
        vcpu.hw.lend(&held);
    } else if let Some(arrivals) = vcpu.apic.take_arrivals() {
        vcpu.hw.request(&arrivals);
    }
    vcpu.hw.watch_ends(vcpu.apic.level_vectors());
    if !vcpu.hw.has_deliverable() {
        return;
    }
    if vcpu.hw.can_take_interrupt() {
        vcpu.activity = Activity::Running;
    } else if vcpu.activity == Activity::Running {
        pass_halt(vcpu, host);
    }
}

/// Completes a HLT in the shadow of STI.
///
/// Some emulators forget that shadow at entry. Taken before the HLT, an interrupt would not end it, and its handler's news
/// would wait for the next one: the HLT begins and ends here.
fn pass_halt<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) {
    if vcpu.hw.in_shadow() && at_halt(vcpu, host) {
        let next = vcpu.hw.rip().wrapping_add(1);
        vcpu.hw.complete(next);
    }
}

#[cold]
#[inline(never)]
fn ask_for_window<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) {
    // A halted vCPU with interrupts off stays so: no instruction of its own can turn them on.
    if vcpu.activity != Activity::Running {
        return;
    }
    pass_halt(vcpu, host);
    if vcpu.hw.can_take_interrupt()
        && let Some(vector) = vcpu.apic.next_vector()
    {
        vcpu.hw.inject_interrupt(vector);
        vcpu.apic.acknowledge(vector);
        return;
    }
    vcpu.hw.request_window();
}

/// Whether interrupts are on and the next instruction is HLT.
fn at_halt<V: Vcpu, H: Host>(vcpu: &VcpuRecord<V>, host: &mut H) -> bool {
    const HLT: u8 = 0xf4;
    let system = vcpu.hw.system();
    // At CPL 3 HLT raises #GP instead.
    system.takes_interrupts()
        && system.cpl == 0
        && instruction_fetch::fetch(&system, vcpu.hw.rip(), &vcpu.partition.memory, host)
            .is_ok_and(|code| code.bytes().first() == Some(&HLT))
}

/// NMI and ExtINT; `true` where something was injected.
#[cold]
#[inline(never)]
fn deliver_rare<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> bool {
    if vcpu.work.contains(Work::NMI) {
        if vcpu.hw.inject_nmi() {
            vcpu.work.remove(Work::NMI);
            vcpu.activity = Activity::Running;
            // Whatever else is pending comes after it.
            vcpu.hw.request_window();
            return true;
        }
        // With interrupts off there is no window: every exit is an occasion to try again.
        vcpu.hw.request_window();
        vcpu.work |= Work::EVENT;
    }
    if vcpu.work.contains(Work::EXT_INT) && vcpu.apic.passes_ext_int() {
        if !vcpu.hw.can_take_interrupt() {
            ask_for_window(vcpu, host);
            return false;
        }
        let mut devices = vcpu.partition.devices.lock();
        let vector = devices.acknowledge_ext_int();
        // The next request is asked for when its turn comes.
        vcpu.work.set(Work::EXT_INT, devices.ext_int().is_high());
        drop(devices);
        if let Some(vector) = vector {
            vcpu.hw.inject_interrupt(vector);
            vcpu.activity = Activity::Running;
            if vcpu.work.contains(Work::EXT_INT) || vcpu.apic.next_vector().is_some() {
                vcpu.hw.request_window();
            }
            return true;
        }
    }
    false
}
