//! A CPU that only counts time.

use super::super::{Scheduler, Slot, System};
use crate::time::{Instant, Ticks};
use std::sync::Arc;

pub const SLICE: Ticks = Ticks(5_000_000);
pub const SECOND: u64 = 1_000_000_000;
pub const MILLISECOND: u64 = 1_000_000;

/// What a vCPU does.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    Spins,
    /// Runs so long, sleeps so long, and again.
    Bursts {
        run: u64,
        sleep: u64,
    },
}

/// A vCPU of the simulation.
pub struct Guest {
    pub behaviour: Behaviour,
    /// Ran so long.
    pub ran: u64,
    /// Each stay on the CPU: from, to.
    pub stays: Vec<(u64, u64)>,
    /// The longest time between waking up and running.
    pub latency: u64,
    /// The longest time between wanting to run and running, woken or not.
    pub longest_wait: u64,
    wakes: Option<u64>,
    burst: u64,
    woke: Option<u64>,
    ready: u64,
}

/// A CPU and its vCPUs.
pub struct Cpu {
    pub scheduler: Scheduler,
    pub guests: Vec<Option<Guest>>,
    pub now: u64,
    pub idle: u64,
    pub decisions: u64,
}

impl Cpu {
    pub fn new() -> Self {
        Self {
            scheduler: Scheduler::new(SLICE),
            guests: Vec::new(),
            now: SECOND,
            idle: 0,
            decisions: 0,
        }
    }

    /// Another vCPU, which wants to run at once.
    pub fn add(&mut self, system: Arc<System>, behaviour: Behaviour) -> usize {
        let index = self.guests.len();
        self.guests.push(None);
        self.replace(index, system, behaviour);
        index
    }

    /// Another vCPU in the place of one.
    pub fn replace(&mut self, index: usize, system: Arc<System>, behaviour: Behaviour) {
        self.scheduler.admit(Slot(index), system);
        self.guests[index] = Some(Guest {
            behaviour,
            ran: 0,
            stays: Vec::new(),
            latency: 0,
            longest_wait: 0,
            wakes: Some(self.now),
            burst: 0,
            woke: None,
            ready: self.now,
        });
    }

    pub fn guest(&self, index: usize) -> &Guest {
        self.guests[index].as_ref().unwrap()
    }

    /// What each ran so far.
    pub fn ran(&self) -> Vec<u64> {
        self.guests
            .iter()
            .flatten()
            .map(|guest| guest.ran)
            .collect()
    }

    /// Runs until what was at the beginning is over, and forgets how long vCPUs had to wait then.
    pub fn warm_up(&mut self) {
        self.run_until(self.now + SECOND);
        for guest in self.guests.iter_mut().flatten() {
            guest.latency = 0;
        }
    }

    /// What each ran while this time passed.
    pub fn measure(&mut self, span: u64) -> Vec<u64> {
        let before = self.ran();
        self.run_until(self.now + span);
        self.ran()
            .iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect()
    }

    pub fn run_until(&mut self, end: u64) {
        while self.now < end {
            self.step(end);
        }
    }

    fn wake(&mut self) {
        self.scheduler.refresh(Instant(self.now));
        for (index, guest) in self.guests.iter_mut().enumerate() {
            let Some(guest) = guest else { continue };
            if guest.wakes.is_some_and(|at| at <= self.now) {
                guest.wakes = None;
                guest.woke = Some(self.now);
                guest.ready = self.now;
                if let Behaviour::Bursts { run, .. } = guest.behaviour {
                    guest.burst = run;
                }
                self.scheduler.wake(Slot(index), Instant(self.now));
            }
        }
    }

    /// One decision, and what it leads to until the next, or `end`.
    pub fn step(&mut self, end: u64) {
        self.wake();
        self.decisions += 1;
        let turn = self.scheduler.pick(Instant(self.now));
        let mut until = end.min(self.scheduler.next_release().0);
        for guest in self.guests.iter().flatten() {
            until = until.min(guest.wakes.unwrap_or(u64::MAX));
        }
        let until = until.max(self.now + 1);
        let Some(turn) = turn else {
            self.idle += until - self.now;
            self.now = until;
            return;
        };
        let guest = self.guests[turn.slot.0].as_mut().unwrap();
        let waited = self.now - guest.ready;
        guest.longest_wait = guest.longest_wait.max(waited);
        if let Some(woke) = guest.woke.take() {
            guest.latency = guest.latency.max(self.now - woke);
        }
        let mut used = until - self.now;
        if let Some(length) = turn.length {
            assert_ne!(length, Ticks(0), "a turn without time");
            assert!(length <= SLICE, "a turn longer than a slice");
            used = used.min(length.0);
        }
        if let Behaviour::Bursts { .. } = guest.behaviour {
            used = used.min(guest.burst);
        }
        guest.ran += used;
        match guest.stays.last_mut() {
            Some((_, to)) if *to == self.now => *to += used,
            _ => guest.stays.push((self.now, self.now + used)),
        }
        self.now += used;
        guest.ready = self.now;
        let now = Instant(self.now);
        match guest.behaviour {
            Behaviour::Bursts { sleep, .. } if guest.burst == used => {
                guest.wakes = Some(self.now + sleep);
                self.scheduler.sleep(turn.slot, Ticks(used), now);
            }
            _ => {
                guest.burst = guest.burst.saturating_sub(used);
                self.scheduler.put_back(turn.slot, Ticks(used), now);
            }
        }
    }
}

/// Runs CPUs side by side: the one that is behind goes first.
pub fn run_together(cpus: &mut [Cpu], end: u64) {
    while let Some(cpu) = cpus
        .iter_mut()
        .filter(|cpu| cpu.now < end)
        .min_by_key(|cpu| cpu.now)
    {
        cpu.step(end);
    }
}
