//! A machine made of timers. The words of a guest's command line say how it behaves:
//!
//! | word | what happens |
//! |---|---|
//! | `fake.start=MS` | the start takes so long instead of 100 ms |
//! | `fake.fail=image`, `=memory`, `=machine` | the start fails for this reason |
//! | `fake.crash=MS` | the guest crashes so long after its start |
//! | `fake.off=MS` | the guest powers itself off so long after its start |
//! | `fake.restart=MS` | the guest restarts itself so long after its start, once |
//! | `fake.deaf` | the guest ignores its power button |
//! | `fake.keep` | the guest does not give processors back that it was asked for |
//! | `fake.noacpi` | the guest does not hear of processors that come and go |
//! | `fake.untunable` | how the guest's processors run cannot be changed while it is on |

use cim_domain::{
    Adopted, AdoptedState, Crash, Event, HostEnd, HostFacts, HostProcessor, Keep, MachineError,
    NodeMemory, ProcessorOrder, ProcessorUsage, StartFailure, StartOrder, SystemId, Usage,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// How long things take.
const QUICKLY: Duration = Duration::from_millis(20);
const START: Duration = Duration::from_millis(100);
/// The TCP port of the first console.
const FIRST_CONSOLE: u16 = 7000;
/// What a guest says that does not listen.
const DEAF: &str = "the guest does not listen to processors that come and go";
const SHUT_DOWN: Duration = Duration::from_millis(200);

/// What is going to happen.
#[derive(Default)]
struct Future {
    now: Duration,
    made: u64,
    /// By time, and by the order in which they were planned.
    events: BTreeMap<(Duration, u64), (SystemId, Event)>,
    /// The systems whose guests have powered themselves off, and when.
    ended: BTreeMap<SystemId, Duration>,
    /// The machine was told to end.
    host_end: Option<HostEnd>,
}

/// What is going to happen; clones share it.
#[derive(Clone, Default)]
pub(super) struct Timeline(Rc<RefCell<Future>>);

impl Timeline {
    pub(super) fn set(&self, now: Duration) {
        let mut future = self.0.borrow_mut();
        future.now = future.now.max(now);
    }

    /// The next event that is due.
    pub(super) fn take(&self) -> Option<(SystemId, Event)> {
        let mut future = self.0.borrow_mut();
        let entry = future.events.first_entry()?;
        let due = entry.key().0;
        let event = entry.remove();
        if due > future.now {
            future.events.insert((due, 0), event);
            return None;
        }
        if event.1 == Event::PoweredOff {
            future.ended.insert(event.0, due);
        }
        Some(event)
    }

    pub(super) fn next(&self) -> Option<Duration> {
        let future = self.0.borrow();
        future.events.first_key_value().map(|((due, _), _)| *due)
    }

    fn plan(&self, system: SystemId, after: Duration, event: Event) {
        let mut future = self.0.borrow_mut();
        future.made += 1;
        let key = (future.now + after, future.made);
        future.events.insert(key, (system, event));
    }

    /// Nothing that was planned for a system happens any more.
    fn forget(&self, system: SystemId) {
        let mut future = self.0.borrow_mut();
        future.events.retain(|_, (owner, _)| *owner != system);
    }

    fn ended(&self, system: SystemId) -> Option<Duration> {
        self.0.borrow().ended.get(&system).copied()
    }

    pub(super) fn host_end(&self) -> Option<HostEnd> {
        self.0.borrow().host_end
    }

    fn now(&self) -> Duration {
        self.0.borrow().now
    }
}

struct Guest {
    order: StartOrder,
    since: Duration,
}

impl Guest {
    /// What it has used: a tenth of a CPU, an exit each millisecond, and what it has printed is its command line.
    fn usage(&self, until: Duration) -> Usage {
        let ran = until.saturating_sub(self.since);
        let number = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Usage {
            cpu_nanoseconds: number(ran.as_nanos() / 10),
            exits: number(ran.as_millis()),
            memory_bytes: self.order.memory_bytes,
            console_written: number(self.order.boot.command_line.len() as u128),
            console_read: 0,
        }
    }

    /// The first virtual CPU has run half of the time of all, the second a quarter, and so on; the last one has the rest.
    fn processor_usage(&self, until: Duration) -> Vec<ProcessorUsage> {
        let Usage {
            cpu_nanoseconds,
            exits,
            ..
        } = self.usage(until);
        let count = self.order.processors.count;
        let share = |whole: u64, number: u32| match number + 1 == count {
            true => whole.checked_shr(number).unwrap_or(0),
            false => whole.checked_shr(number + 1).unwrap_or(0),
        };
        let usage = |number| ProcessorUsage {
            cpu_nanoseconds: share(cpu_nanoseconds, number),
            exits: share(exits, number),
        };
        (0..count).map(usage).collect()
    }

    /// The value behind a word of the command line.
    fn word(&self, name: &str) -> Option<&str> {
        let mut words = self.order.boot.command_line.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn time(&self, name: &str) -> Option<Duration> {
        let milliseconds = self.word(name)?.parse().ok()?;
        Some(Duration::from_millis(milliseconds))
    }

    fn has(&self, wanted: &str) -> bool {
        let mut words = self.order.boot.command_line.split_whitespace();
        words.any(|word| word == wanted)
    }

    fn is_deaf(&self) -> bool {
        self.has("fake.deaf")
    }

    fn refuses_tuning(&self) -> bool {
        self.has("fake.untunable")
    }
}

/// The machine.
pub(super) struct Machine {
    name: String,
    timeline: Timeline,
    guests: BTreeMap<SystemId, Guest>,
    /// Systems that ran before, until they are asked for.
    adopted: Vec<SystemId>,
    /// What systems that have ended had used.
    spent: Usage,
}

impl Machine {
    /// A machine. With `adopt`, every system that was on when the store was left still runs.
    pub(super) fn new(name: &str, timeline: Timeline, adopt: bool, keep: &dyn Keep) -> Self {
        let was_on = keep.entries("domain/active/").into_iter();
        let was_on = was_on.filter_map(|(name, _)| {
            let number = name.strip_prefix("domain/active/")?.parse().ok()?;
            Some(SystemId(number))
        });
        Machine {
            name: name.into(),
            timeline,
            spent: Usage::default(),
            guests: BTreeMap::new(),
            adopted: if adopt { was_on.collect() } else { Vec::new() },
        }
    }

    fn guest(&self, system: SystemId) -> Result<&Guest, MachineError> {
        let gone = || MachineError::Failed(format!("the system {system} does not run"));
        self.guests.get(&system).ok_or_else(gone)
    }

    /// The guest of a system is there no more.
    fn end(&mut self, system: SystemId) {
        let until = self.timeline.ended(system);
        if let Some(guest) = self.guests.remove(&system) {
            let usage = guest.usage(until.unwrap_or(self.timeline.now()));
            self.spent = self.spent.plus(without_memory(usage));
        }
    }

    /// What a guest does by itself after its start.
    fn live(&self, system: SystemId, from: Duration) {
        let Some(guest) = self.guests.get(&system) else {
            return;
        };
        let plan = |after: Duration, event| self.timeline.plan(system, from + after, event);
        if let Some(after) = guest.time("fake.crash") {
            plan(
                after,
                Event::Crashed(Crash {
                    reason: "triple fault at 0xdeadbeef".into(),
                    record: "rip 0xdeadbeef\nrsp 0x7fff0".into(),
                }),
            );
        }
        if let Some(after) = guest.time("fake.off") {
            plan(after, Event::PoweredOff);
        }
        if let Some(after) = guest.time("fake.restart") {
            plan(after, Event::Resetting);
            plan(after + START, Event::ResetDone);
        }
    }
}

fn without_memory(usage: Usage) -> Usage {
    Usage {
        memory_bytes: 0,
        ..usage
    }
}

impl cim_domain::Machine for Machine {
    fn host(&self) -> HostFacts {
        let processor = |number| HostProcessor {
            number,
            model: "Simulated processor".into(),
            megahertz: 2400,
            held_by: (number == 0).then(|| "management".into()),
        };
        HostFacts {
            name: self.name.clone(),
            memory_bytes: 2048 << 20,
            nodes: NodeMemory::new(vec![1024 << 20; 2]),
            processors: (0..4).map(processor).collect(),
            max_processors: 8,
            min_memory_bytes: 16 << 20,
            reservable_percent: 90,
            max_running: 64,
        }
    }

    fn start(&mut self, system: SystemId, order: &StartOrder) -> Result<(), MachineError> {
        self.timeline.forget(system);
        let guest = Guest {
            order: order.clone(),
            since: self.timeline.now(),
        };
        let takes = guest.time("fake.start").unwrap_or(START);
        let failure = guest.word("fake.fail").map(|reason| match reason {
            "image" => StartFailure::Image(format!(
                "{} is no kernel that can be booted",
                order.boot.kernel
            )),
            "memory" => StartFailure::Resources("No frames are left for page tables".into()),
            _ => StartFailure::Machine("The simulated machine was told to fail".into()),
        });
        self.timeline.plan(system, takes / 2, Event::Progress(50));
        match failure {
            Some(failure) => {
                let failed = Event::StartFailed(failure);
                self.timeline.plan(system, takes, failed);
            }
            None => {
                self.end(system);
                self.timeline.0.borrow_mut().ended.remove(&system);
                self.guests.insert(system, guest);
                self.timeline.plan(system, takes, Event::Started);
                self.live(system, takes);
            }
        }
        Ok(())
    }

    fn stop(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.timeline.forget(system);
        self.end(system);
        self.timeline.plan(system, QUICKLY, Event::PoweredOff);
        Ok(())
    }

    fn pause(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.timeline.plan(system, QUICKLY, Event::Paused);
        Ok(())
    }

    fn resume(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.timeline.plan(system, QUICKLY, Event::Resumed);
        Ok(())
    }

    fn reset(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.guest(system)?;
        self.timeline.forget(system);
        self.timeline.plan(system, START, Event::ResetDone);
        self.live(system, START);
        Ok(())
    }

    fn power_button(&mut self, system: SystemId) -> Result<(), MachineError> {
        let deaf = self.guests.get(&system).is_some_and(Guest::is_deaf);
        if !deaf {
            self.timeline.forget(system);
            self.timeline.plan(system, SHUT_DOWN, Event::PoweredOff);
        }
        Ok(())
    }

    fn tune(
        &mut self,
        system: SystemId,
        processors: &ProcessorOrder,
        cpus: &[u32],
    ) -> Result<(), MachineError> {
        let gone = || MachineError::Failed(format!("the system {system} does not run"));
        let Some(guest) = self.guests.get_mut(&system) else {
            return Err(gone());
        };
        if guest.refuses_tuning() {
            let what = "The simulated machine was told not to change how the system runs";
            return Err(MachineError::Failed(what.into()));
        }
        if processors.count > guest.order.processors.count && guest.has("fake.noacpi") {
            return Err(MachineError::Guest(DEAF.into()));
        }
        guest.order.processors = *processors;
        guest.order.cpus = cpus.to_vec();
        Ok(())
    }

    fn offer_processors(&mut self, system: SystemId, _: u32) {
        let mut future = self.timeline.0.borrow_mut();
        let gone =
            |event: &Event| matches!(event, Event::ProcessorsLeft | Event::ProcessorsKept(_));
        future
            .events
            .retain(|_, (owner, event)| *owner != system || !gone(event));
    }

    fn ask_back_processors(&mut self, system: SystemId, _: u32) -> Result<(), MachineError> {
        let guest = self.guest(system)?;
        if guest.has("fake.noacpi") {
            return Err(MachineError::Guest(DEAF.into()));
        }
        let event = match guest.has("fake.keep") {
            true => Event::ProcessorsKept("The simulated guest was told to keep them".into()),
            false => Event::ProcessorsLeft,
        };
        self.timeline.plan(system, QUICKLY, event);
        Ok(())
    }

    fn end_host(&mut self, end: HostEnd) -> Result<(), MachineError> {
        self.timeline.0.borrow_mut().host_end = Some(end);
        Ok(())
    }

    fn destroy(&mut self, system: SystemId) {
        self.timeline.forget(system);
        self.end(system);
    }

    fn usage(&self, system: SystemId) -> Option<Usage> {
        let on = self.timeline.ended(system).is_none();
        let guest = self.guests.get(&system).filter(|_| on)?;
        Some(guest.usage(self.timeline.now()))
    }

    fn processor_usage(&self, system: SystemId) -> Vec<ProcessorUsage> {
        let on = self.timeline.ended(system).is_none();
        let guest = self.guests.get(&system).filter(|_| on);
        let usage = guest.map(|guest| guest.processor_usage(self.timeline.now()));
        usage.unwrap_or_default()
    }

    fn spent(&self) -> Usage {
        let off = self.guests.iter();
        off.filter_map(|(id, guest)| Some(guest.usage(self.timeline.ended(*id)?)))
            .map(without_memory)
            .fold(self.spent, Usage::plus)
    }

    fn console_port(&self, system: SystemId) -> Option<u16> {
        // Nobody listens there; clients only read the number.
        self.guests.get(&system)?;
        u16::try_from(system.0 % 64)
            .ok()
            .map(|slot| FIRST_CONSOLE + slot)
    }

    fn adopt(&mut self, known: &BTreeMap<SystemId, StartOrder>) -> Vec<Adopted> {
        let ids = std::mem::take(&mut self.adopted).into_iter();
        let since = self.timeline.now();
        let ids = ids.inspect(|system| {
            if let Some(order) = known.get(system) {
                let order = order.clone();
                self.guests.insert(*system, Guest { order, since });
            }
        });
        ids.map(|system| Adopted {
            system,
            state: AdoptedState::Running,
        })
        .collect()
    }
}
