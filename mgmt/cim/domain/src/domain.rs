//! [`Domain`]: the virtual systems and all that can be done with them.

mod allocations;
mod definitions;
mod events;
mod host_stop;
mod jobs;
mod live;
mod open;
mod pools;
mod requests;
mod timers;

use crate::allocation::{Mapping, Resource};
use crate::definition::Definition;
use crate::device_kind::DeviceKind;
use crate::host::HostFacts;
use crate::host_end::HostStop;
use crate::id::{JobId, SystemId};
use crate::image::{Image, ImageName, Images};
use crate::job::Job;
use crate::keep::{Keep, KeepError};
use crate::ledger::Ledger;
use crate::machine::{Machine, ProcessorUsage, Usage};
use crate::notice::{Notice, Notices};
use crate::now::Now;
use crate::pool::{Pool, PoolId, PoolKind};
use crate::problem::{Problem, ProblemKind};
use crate::resolve;
use crate::state::State;
use crate::system::System;
use crate::uuid::Uuid;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

/// Makes random UUIDs.
pub type MakeUuid = Box<dyn FnMut() -> Uuid>;

/// The virtual systems and all that can be done with them.
pub struct Domain {
    machine: Box<dyn Machine>,
    keep: Box<dyn Keep>,
    images: Box<dyn Images>,
    make_uuid: MakeUuid,
    host: HostFacts,
    systems: BTreeMap<SystemId, System>,
    jobs: BTreeMap<JobId, Job>,
    next_system: u64,
    next_job: u64,
    next_pool: u64,
    ledger: Ledger,
    /// The stop of the host that is under way.
    stop: Option<HostStop>,
    notices: Notices,
}

impl Domain {
    /// What the machine has.
    #[must_use]
    pub const fn host(&self) -> &HostFacts {
        &self.host
    }

    /// Every system, in the order in which they were defined.
    pub fn systems(&self) -> impl Iterator<Item = &System> {
        self.systems.values()
    }

    /// The system of a number.
    #[must_use]
    pub fn system(&self, id: SystemId) -> Option<&System> {
        self.systems.get(&id)
    }

    /// The system of a UUID.
    #[must_use]
    pub fn system_of(&self, uuid: Uuid) -> Option<&System> {
        self.systems().find(|system| system.defined.uuid == uuid)
    }

    /// The resource pools with their book-keeping.
    #[must_use]
    pub fn pools(&self) -> Vec<Pool> {
        self.ledger.pools()
    }

    /// The book-keeping.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A definition with every choice made as the next start would make it.
    #[must_use]
    pub fn resolved(&self, definition: &Definition) -> Definition {
        resolve::resolved(definition, &self.host)
    }

    /// RAM of a system whose definition leaves it open.
    #[must_use]
    pub fn default_memory_bytes(&self) -> u64 {
        resolve::DEFAULT_MEMORY.min(self.host.memory_bytes)
    }

    /// What systems may have of a pool at most, together: memory is never promised twice, processors are shared.
    #[must_use]
    pub fn most_consumable(&self, pool: &Pool) -> u64 {
        match pool.id.kind() {
            PoolKind::Memory => pool.capacity,
            PoolKind::Processor => {
                let systems = u64::try_from(self.host.max_running).unwrap_or(u64::MAX);
                let each = u64::from(self.host.max_processors).saturating_mul(100);
                systems.saturating_mul(each)
            }
        }
    }

    /// The physical CPUs of a pool that no child pool holds.
    #[must_use]
    pub fn own_processors(&self, pool: PoolId) -> Vec<u32> {
        self.ledger.own_processors(pool).into_iter().collect()
    }

    /// Whether a system runs as its definition says now: the next start would change nothing.
    #[must_use]
    pub fn is_as_defined(&self, system: &System) -> bool {
        let Some(active) = &system.active else {
            return false;
        };
        let mut next = self.resolved(&system.defined);
        // Processors that the host has chosen are as good as others that it would choose.
        let chosen = resolve::processor_settings(active);
        for allocation in &mut next.allocations {
            if let (Resource::Processor(settings), Some(chosen)) =
                (&mut allocation.resource, chosen)
                && settings.mapping == Some(Mapping::Dedicated)
                && settings.cpus.is_empty()
            {
                settings.cpus.clone_from(&chosen.cpus);
            }
        }
        next == *active
    }

    /// What a system uses right now; `None` when it is off.
    #[must_use]
    pub fn usage(&self, system: SystemId) -> Option<Usage> {
        self.machine.usage(system)
    }

    /// What a virtual CPU of a system has used; `None` when it is not there.
    #[must_use]
    pub fn processor_usage(&self, system: SystemId, number: u32) -> Option<ProcessorUsage> {
        let usage = self.machine.processor_usage(system);
        usage.get(usize::try_from(number).ok()?).copied()
    }

    /// What all systems have used since the management partition was started, and the memory that they hold now.
    #[must_use]
    pub fn total_usage(&self) -> Usage {
        let on = self.systems.keys();
        on.filter_map(|id| self.machine.usage(*id))
            .fold(self.machine.spent(), Usage::plus)
    }

    /// How many devices of a kind the systems that are on have, together.
    #[must_use]
    pub fn devices_in_use(&self, kind: DeviceKind) -> u64 {
        let on = self.systems().filter_map(|system| system.active.as_ref());
        on.map(|active| kind.count(active))
            .fold(0, u64::saturating_add)
    }

    /// The TCP port of a system's console, while it has one.
    #[must_use]
    pub fn console_port(&self, system: SystemId) -> Option<u16> {
        self.machine.console_port(system)
    }

    /// The images.
    #[must_use]
    pub fn images(&self) -> Vec<Image> {
        self.images.list()
    }

    /// The image of a name.
    #[must_use]
    pub fn image(&self, name: &ImageName) -> Option<Image> {
        self.images.find(name)
    }

    /// The systems whose defined or state configuration names an image.
    pub fn users_of<'a>(&'a self, name: &'a ImageName) -> impl Iterator<Item = &'a System> {
        let names =
            move |definition: &Definition| definition.boot.images().any(|image| image == name);
        self.systems().filter(move |system| {
            names(&system.defined) || system.active.as_ref().is_some_and(names)
        })
    }

    /// Removes an image that no system names.
    ///
    /// # Errors
    /// [`ProblemKind::NotFound`]; [`ProblemKind::State`] while it is in use or where it cannot be removed;
    /// [`ProblemKind::Store`] where the library refuses.
    pub fn remove_image(&mut self, name: &ImageName) -> Result<(), Problem> {
        let Some(image) = self.images.find(name) else {
            return Err(Problem::new(
                ProblemKind::NotFound,
                "BH-IMAGE-UNKNOWN",
                format!("There is no image {name}"),
                "",
            ));
        };
        let user = self.users_of(name).next();
        if let Some(user) = user {
            return Err(Problem::new(
                ProblemKind::State,
                "BH-IMAGE-IN-USE",
                format!(
                    "The image {name} is in use by the system {}",
                    user.defined.name
                ),
                "Destroy that system or let it boot something else",
            ));
        }
        if !image.removable {
            return Err(Problem::new(
                ProblemKind::State,
                "BH-IMAGE-FIXED",
                format!("The image {name} came with the boot loader and cannot be removed"),
                "",
            ));
        }
        self.images
            .remove(name)
            .map_err(|reason| Problem::new(ProblemKind::Store, "BH-IMAGE-KEPT", reason, ""))
    }

    /// The oldest notice that has not been taken.
    pub fn take_notice(&mut self) -> Option<Notice> {
        self.notices.take()
    }

    /// The system of a number, or the problem that there is none.
    fn known(&self, id: SystemId) -> Result<&System, Problem> {
        self.systems.get(&id).ok_or_else(|| no_system(id))
    }

    /// Changes a system and tells of it.
    fn alter<T>(&mut self, id: SystemId, change: impl FnOnce(&mut System) -> T) -> Option<T> {
        let system = self.systems.get_mut(&id)?;
        let before = system.clone();
        let outcome = change(system);
        if *system != before {
            self.notices.add(Notice::SystemModified {
                before: Box::new(before),
                after: Box::new(system.clone()),
            });
        }
        Some(outcome)
    }

    /// Sets the state of a system.
    fn enter(&mut self, id: SystemId, state: State, now: Now) {
        self.alter(id, |system| {
            if system.state != state {
                system.changed = now.unix_micros;
            }
            system.state = state;
            system.running_since = match state {
                State::Running => system.running_since.or(Some(now.monotonic)),
                State::Paused | State::Pausing | State::Resuming | State::ShuttingDown => {
                    system.running_since
                }
                _ => None,
            };
        });
    }
}

fn no_system(id: SystemId) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "BH-SYSTEM-UNKNOWN",
        format!("There is no system {id}"),
        "",
    )
}

fn not_kept(fault: KeepError) -> Problem {
    Problem::new(
        ProblemKind::Store,
        "BH-NOT-KEPT",
        format!("The change could not be saved, because {fault}; nothing has changed"),
        match fault {
            KeepError::Full => "Destroy definitions that are not needed any more",
            KeepError::Failed => "",
        },
    )
}
