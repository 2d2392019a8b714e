//! What a physical CPU does for ever: look at its interrupts and timers, pick a vCPU, run it.
//!
//! Each CPU owns its vCPUs; others reach them through mailboxes, hazards and the CPU's inbox, and then kick the CPU. So there is no
//! lock around anything that runs, and what others did is seen at the next pass.

mod arrivals;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;

use crate::exit::{self, Leave};
use crate::host::{DEVICE_VECTORS, Host, TIMER_VECTOR};
use crate::id::{VcpuId, Vector};
use crate::lifecycle;
use crate::local_apic::Trigger;
use crate::machine::VCPU_PLACES;
use crate::sched::{Scheduler, Slot, Turn};
use crate::time::{Instant, Ticks};
use crate::vcpu::Vcpu;
use crate::vcpu_record::{Duty, VcpuRecord, Work};

/// How many of the shortest runs make a slice: with slices of 5 ms, timers are up to 20 us late.
const LEAST_RUNS_IN_SLICE: u64 = 256;

/// Whether a vCPU can be picked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Readiness {
    /// The scheduler's: to be run, or running.
    Ready,
    /// Halted, waiting for start-up or for an answer.
    Waiting,
    /// Its partition does not run.
    Parked,
}

struct Resident<V> {
    record: Box<VcpuRecord<V>>,
    readiness: Readiness,
    /// Since when it could run and has not been picked.
    ready: Instant,
    run_ticks: u64,
}

/// The run loop of one physical CPU.
pub struct CpuLoop<V: Vcpu> {
    /// A vCPU keeps its place until it is dropped; others take the places that are free.
    residents: Vec<Option<Resident<V>>>,
    scheduler: Scheduler,
    /// The version of all partitions' shares that the scheduler knows.
    shares_version: u64,
    /// How long a vCPU runs at least before a timer may take the CPU from it.
    least_run: Ticks,
    /// Whose extended state the CPU holds.
    active: Option<Slot>,
    cpu: V::Cpu,
}

impl<V: Vcpu> CpuLoop<V> {
    /// The loop of a CPU without vCPUs; they share it in turns of `slice` at most.
    pub fn new(cpu: V::Cpu, slice: Ticks) -> Self {
        Self {
            residents: Vec::with_capacity(VCPU_PLACES),
            scheduler: Scheduler::new(slice),
            shares_version: 0,
            least_run: Ticks(slice.0 / LEAST_RUNS_IN_SLICE),
            active: None,
            cpu,
        }
    }

    /// Runs for ever.
    pub fn run<H: Host>(&mut self, host: &mut H) -> ! {
        loop {
            self.pass(host);
        }
    }

    /// Looks at everything once, then runs one vCPU until it leaves, or sleeps.
    pub fn pass<H: Host>(&mut self, host: &mut H) {
        self.take_vectors(host);
        let now = host.now();
        self.expire(host, now);
        while let Some(adoption) = host.machine().receive(host.cpu()) {
            self.adopt(host, adoption, now);
        }
        let version = host.machine().shares_version();
        if self.shares_version != version {
            self.shares_version = version;
            self.scheduler.refresh(now);
        }
        self.wake_waiting(now);
        host.flush_console();
        match self.scheduler.pick(now) {
            Some(turn) => self.run_turn(host, turn),
            None => {
                host.arm(self.next_deadline());
                host.idle();
            }
        }
    }

    /// Forwards the interrupts of devices.
    fn take_vectors<H: Host>(&mut self, host: &mut H) {
        let vectors = host.take_vectors();
        for (index, word) in (0u16..).zip(vectors) {
            let mut rest = word;
            while rest != 0 {
                let vector = (index * 64) as u8 + rest.trailing_zeros() as u8;
                rest &= rest - 1;
                if vector == TIMER_VECTOR.0 {
                    host.disarmed();
                } else if DEVICE_VECTORS.contains(&vector)
                    && let Some(route) = host.machine().route(host.cpu(), Vector(vector))
                {
                    let _ = route.vcpu.mailbox.post(route.vector, Trigger::Edge);
                    let _ = exit::deliver::wake(&route.vcpu, host);
                }
            }
        }
    }

    /// Lets the timers fire that are due.
    fn expire<H: Host>(&mut self, host: &mut H, now: Instant) {
        for resident in self.residents.iter_mut().flatten() {
            if resident.readiness == Readiness::Parked {
                continue;
            }
            let record = &mut resident.record;
            if record.apic.deadline() <= now {
                record.apic.expire(now);
                record.work |= Work::EVENT;
            }
            if record.id() == VcpuId(0)
                && Instant(record.partition.device_deadline.load(Relaxed)) <= now
            {
                let partition = record.partition.clone();
                let _ = partition.devices.lock().expire(&partition, host);
            }
        }
    }

    /// Lets those run for whom something has come.
    fn wake_waiting(&mut self, now: Instant) {
        for (index, place) in self.residents.iter_mut().enumerate() {
            let Some(resident) = place else {
                continue;
            };
            if resident.readiness != Readiness::Ready && resident.record.should_wake() {
                resident.readiness = Readiness::Ready;
                resident.ready = now;
                self.scheduler.wake(Slot(index), now);
            }
        }
    }

    /// The earliest timer of any vCPU here, or when one that is at its limit goes on.
    fn next_deadline(&self) -> Instant {
        let mut earliest = self.scheduler.next_release();
        for resident in self.residents.iter().flatten() {
            let record = &resident.record;
            if resident.readiness == Readiness::Parked {
                continue;
            }
            earliest = earliest.min(record.apic.deadline());
            if record.id() == VcpuId(0) {
                earliest = earliest.min(Instant(record.partition.device_deadline.load(Relaxed)));
            }
        }
        earliest
    }

    fn run_turn<H: Host>(&mut self, host: &mut H, turn: Turn) {
        let slot = turn.slot;
        self.switch_to(slot);
        let start = host.now();
        let mut deadline = self.next_deadline();
        let Some(Some(resident)) = self.residents.get_mut(slot.0) else {
            return;
        };
        if let Some(length) = turn.length {
            deadline = deadline.min(start + length);
        }
        // A timer whose period is shorter than a pass would interrupt every entry of every vCPU here at once, for ever.
        host.arm(deadline.max(start + self.least_run));
        if resident.record.shared.is_marked_at_rest() {
            resident.record.shared.set_at_rest(false);
        }
        exit::clock::stolen(&mut *resident.record, host, start.since(resident.ready));
        let leave = exit::run(&mut *resident.record, host, &mut self.cpu);
        let end = host.now();
        let used = end.since(start);
        resident.ready = end;
        resident.run_ticks = resident.run_ticks.saturating_add(used.0);
        let record = &resident.record;
        record
            .shared
            .set_usage(record.total_exits(), resident.run_ticks);
        let moves = record.work.contains(Work::MOVE);
        match leave {
            Leave::Interrupted | Leave::Yield => self.scheduler.put_back(slot, used, end),
            Leave::Halted => {
                self.scheduler.sleep(slot, used, end);
                resident.readiness = Readiness::Waiting;
                let record = &mut *resident.record;
                if record.rests() {
                    exit::crash::stop_if_all_rest(record, host);
                }
            }
            Leave::WaitIo | Leave::Paused => {
                self.scheduler.sleep(slot, used, end);
                resident.readiness = Readiness::Waiting;
            }
            Leave::Stopped => {
                self.scheduler.sleep(slot, used, end);
                resident.readiness = Readiness::Parked;
                // Its slot is free for whoever has the page next.
                resident.record.drop_request();
                let duty = core::mem::replace(&mut resident.record.duty, Duty::Off);
                let partition = resident.record.partition.clone();
                if duty != Duty::Off && partition.retire_vcpu() {
                    lifecycle::ended(&partition, host);
                }
                if partition.is_doomed() {
                    self.drop_slot(slot);
                }
            }
        }
        if moves {
            self.hand_on(host, slot);
        }
    }

    /// Gives the CPU to this vCPU's extended state.
    fn switch_to(&mut self, slot: Slot) {
        if self.active == Some(slot) {
            return;
        }
        self.deactivate();
        if let Some(Some(resident)) = self.residents.get_mut(slot.0) {
            let (root, epoch) = (
                resident.record.partition.root,
                resident.record.partition.epoch(),
            );
            resident.record.hw.activate(&mut self.cpu, root, epoch);
        }
        self.active = Some(slot);
    }

    /// Takes the CPU from the vCPU whose extended state it holds.
    fn deactivate(&mut self) {
        if let Some(Some(resident)) = self
            .active
            .take()
            .and_then(|Slot(index)| self.residents.get_mut(index))
        {
            resident.record.hw.deactivate(&mut self.cpu);
        }
    }
}
