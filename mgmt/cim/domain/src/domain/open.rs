//! The start of the domain: from what is kept and what still runs.

use super::{Domain, MakeUuid};
use crate::definition::{Definition, StartupAction};
use crate::host::HostFacts;
use crate::id::SystemId;
use crate::image::Images;
use crate::keep::Keep;
use crate::ledger::Ledger;
use crate::machine::{AdoptedState, Machine};
use crate::notice::Notices;
use crate::now::Now;
use crate::problem::{Problem, ProblemKind};
use crate::record;
use crate::state::State;
use crate::system::System;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

impl Domain {
    /// The domain as it was kept, with the systems that still run. Also tells what could not be read, for the log.
    #[must_use]
    pub fn open(
        machine: Box<dyn Machine>,
        keep: Box<dyn Keep>,
        images: Box<dyn Images>,
        make_uuid: MakeUuid,
        now: Now,
    ) -> (Self, Vec<Problem>) {
        let host: HostFacts = machine.host();
        let mut domain = Domain {
            ledger: Ledger::new(&host),
            machine,
            keep,
            images,
            make_uuid,
            host,
            systems: BTreeMap::new(),
            jobs: BTreeMap::new(),
            next_system: 1,
            next_job: 1,
            next_pool: 1,
            stop: None,
            notices: Notices::default(),
        };
        let mut problems = domain.load_pools();
        problems.extend(domain.load(now));
        let active = domain.load_active();
        domain.adopt(&active, now);
        domain.plan_starts(&active, now);
        (domain, problems)
    }

    fn load(&mut self, now: Now) -> Vec<Problem> {
        let mut problems = Vec::new();
        let kept = self.keep.entries(record::NEXT_SYSTEM).into_iter().next();
        let number = kept.and_then(|(_, value)| core::str::from_utf8(&value).ok()?.parse().ok());
        let mut next: u64 = number.unwrap_or(1);
        for (name, value) in self.keep.entries(record::DEFINITIONS) {
            let Some(id) = record::system_in(&name, record::DEFINITIONS) else {
                continue;
            };
            next = next.max(id.0.saturating_add(1));
            match record::decode(&value) {
                Some(definition) => {
                    self.systems.insert(id, off(id, definition, now));
                }
                None => problems.push(Problem::new(
                    ProblemKind::Store,
                    "BH-UNREADABLE",
                    format!("The definition of system {id} cannot be read and is left alone"),
                    "",
                )),
            }
        }
        self.next_system = next;
        problems
    }

    /// What systems that were on had started with.
    fn load_active(&self) -> BTreeMap<SystemId, Definition> {
        let entries = self.keep.entries(record::ACTIVE).into_iter();
        entries
            .filter_map(|(name, value)| {
                let id = record::system_in(&name, record::ACTIVE)?;
                Some((id, record::decode(&value)?))
            })
            .collect()
    }

    fn adopt(&mut self, kept: &BTreeMap<SystemId, Definition>, now: Now) {
        let known = self.systems.values().filter_map(|system| {
            let active = match kept.get(&system.id) {
                Some(active) => active.clone(),
                None => crate::resolve::resolved(&system.defined, &self.host),
            };
            Some((system.id, crate::resolve::order(&active).ok()?))
        });
        let known: BTreeMap<_, _> = known.collect();
        for adopted in self.machine.adopt(&known) {
            let id = adopted.system;
            let Some(system) = self.systems.get_mut(&id) else {
                // Destroyed while it was being turned off: nobody wants it.
                let _ = self.machine.stop(id);
                continue;
            };
            let active = match kept.get(&id) {
                Some(active) => active.clone(),
                None => crate::resolve::resolved(&system.defined, &self.host),
            };
            let memory = self.machine.memory_of(id);
            self.ledger.adopt(id, &active, memory);
            system.active = Some(active);
            system.state = match adopted.state {
                AdoptedState::Running | AdoptedState::Crashed(_) => State::Running,
                AdoptedState::Paused => State::Paused,
            };
            system.running_since = Some(now.monotonic);
            if let AdoptedState::Crashed(crash) = adopted.state {
                self.event(id, crate::event::Event::Crashed(crash), now);
            }
        }
        // Nobody could have subscribed yet.
        while self.notices.take().is_some() {}
    }

    /// Notes which systems start with the host.
    fn plan_starts(&mut self, kept: &BTreeMap<SystemId, Definition>, now: Now) {
        for (name, _) in self.keep.entries(record::ACTIVE) {
            let id = record::system_in(&name, record::ACTIVE);
            // The host went down between the two halves of a destruction. A definition that cannot be read is another
            // matter: nothing of it is touched.
            let defined = |id| !self.keep.entries(&record::definition_name(id)).is_empty();
            if id.is_some_and(|id| !defined(id)) {
                let _ = self.keep.remove(&name);
            }
        }
        let was_up = self.machine.was_up();
        for system in self.systems.values_mut() {
            if system.state.is_active() {
                continue;
            }
            let was_on = kept.contains_key(&system.id);
            let starts = match system.defined.startup.action {
                _ if was_up => false,
                Some(StartupAction::Always) => true,
                Some(StartupAction::IfActive) => was_on,
                Some(StartupAction::None) | None => false,
            };
            if starts {
                let delay = system.defined.startup.delay.unwrap_or_default();
                system.start_at = Some(now.monotonic.saturating_add(delay));
            } else if was_on {
                let _ = self.keep.remove(&record::active_name(system.id));
            }
        }
    }
}

/// A system that is off.
pub(super) fn off(id: SystemId, defined: Definition, now: Now) -> System {
    System {
        id,
        defined,
        active: None,
        state: State::Off,
        requested: None,
        changed: now.unix_micros,
        last_end: None,
        job: None,
        leaving: None,
        recoveries: 0,
        running_since: None,
        start_at: None,
        stop_at: None,
    }
}
