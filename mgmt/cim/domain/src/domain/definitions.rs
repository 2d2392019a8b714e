//! Defining, modifying and destroying systems.

use super::open::off;
use super::{Domain, not_kept};
use crate::allocation::{
    Allocation, ConsoleKind, ConsoleSettings, MemorySettings, ProcessorSettings, Resource,
    ResourceKind,
};
use crate::change::{DefinitionChange, NewAllocation};
use crate::definition::Definition;
use crate::id::{AllocationId, SystemId};
use crate::notice::Notice;
use crate::now::Now;
use crate::patch::Patch;
use crate::problem::{Problem, ProblemKind};
use crate::system::System;
use crate::uuid::Uuid;
use crate::{apply, check, record, resolve};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

/// Definitions at once.
const MAX_SYSTEMS: usize = 1024;

impl Domain {
    /// Defines a system. What the change leaves open comes from the reference system's definition, if one is given, and
    /// else is left to the host; of processors, memory and a console every system has at least the default.
    ///
    /// # Errors
    /// Any [`Problem`] with the definition; there is no system then.
    pub fn define(
        &mut self,
        mut change: DefinitionChange,
        new: Vec<NewAllocation>,
        reference: Option<SystemId>,
        now: Now,
    ) -> Result<SystemId, Problem> {
        if self.systems.len() >= MAX_SYSTEMS {
            return Err(Problem::new(
                ProblemKind::Resources,
                "BH-SYSTEMS",
                format!("There are {MAX_SYSTEMS} systems already"),
                "Destroy one first",
            ));
        }
        if change.name == Patch::Clear {
            // NULL leaves the choice to the host; only a system that has a name cannot lose it.
            change.name = Patch::Keep;
        }
        let id = SystemId(self.next_system);
        let uuid = self.uuid_for(&mut change)?;
        let name = format!("system-{id}");
        let mut definition = Definition::new(name, uuid, now.unix_micros);
        if let Some(reference) = reference {
            definition = Definition {
                name: definition.name,
                identifier: None,
                uuid,
                created: now.unix_micros,
                ..self.known(reference)?.defined.clone()
            };
        }
        apply::define(change, &mut definition).map_err(|problem| problem.at("SystemSettings"))?;
        let singles: Vec<ResourceKind> = new.iter().filter_map(|new| new.change.kind).collect();
        // What the request brings takes the place of what the reference has of that kind.
        let brought = |known: &Allocation| singles.contains(&known.resource.kind());
        definition.allocations.retain(|known| !brought(known));
        self.add_to(&mut definition, new)?;
        complete(&mut definition);
        self.check(&definition)?;
        self.store(id, &definition, self.next_system.saturating_add(1))?;
        self.next_system = self.next_system.saturating_add(1);
        let system = off(id, definition, now);
        self.notices
            .add(Notice::SystemCreated(Box::new(system.clone())));
        self.systems.insert(id, system);
        Ok(id)
    }

    /// Changes the defined configuration of a system; it counts from the next start on.
    ///
    /// # Errors
    /// Any [`Problem`] with the outcome; nothing has changed then.
    pub fn modify(&mut self, id: SystemId, change: DefinitionChange) -> Result<(), Problem> {
        let mut definition = self.known(id)?.defined.clone();
        apply::define(change, &mut definition).map_err(|problem| problem.at("SystemSettings"))?;
        self.replace(id, definition)
    }

    /// Destroys a system that is off, with its definition.
    ///
    /// # Errors
    /// [`ProblemKind::State`] while it is on; [`ProblemKind::Store`].
    pub fn destroy(&mut self, id: SystemId) -> Result<(), Problem> {
        let system = self.known(id)?;
        if system.state.is_active() {
            return Err(Problem::new(
                ProblemKind::State,
                "BH-STATE",
                format!(
                    "The system {} {}",
                    system.defined.name,
                    system.state.phrase()
                ),
                "Turn it off first: ask for 4 (Shut Down) or 3 (Disabled)",
            ));
        }
        self.keep
            .remove(&record::definition_name(id))
            .map_err(not_kept)?;
        // The blob of a system that is off has no meaning without its definition.
        let _ = self.keep.remove(&record::active_name(id));
        self.machine.destroy(id);
        if let Some(system) = self.systems.remove(&id) {
            self.notices.add(Notice::SystemDeleted(Box::new(system)));
        }
        Ok(())
    }

    /// The UUID that a new system gets: the one that the client gives, be it as such or as the identifier.
    fn uuid_for(&mut self, change: &mut DefinitionChange) -> Result<Uuid, Problem> {
        let identifier = change.identifier.given().and_then(|text| Uuid::parse(text));
        let given = match core::mem::take(&mut change.uuid) {
            Patch::Set(uuid) => Some(uuid),
            Patch::Keep | Patch::Clear => identifier,
        };
        let uuid = match given {
            Some(uuid) => uuid,
            None => (self.make_uuid)(),
        };
        let text = format!("{uuid}");
        let taken = |system: &&System| {
            let same = system.defined.identifier.as_ref();
            system.defined.uuid == uuid
                || same
                    .is_some_and(|known| *known == text || change.identifier.given() == Some(known))
        };
        match self.systems.values().find(taken) {
            None => Ok(uuid),
            Some(system) => Err(Problem::new(
                ProblemKind::Exists,
                "BH-SYSTEM-EXISTS",
                format!(
                    "The system {} has that identifier already",
                    system.defined.name
                ),
                "Give another, or leave the choice to the host",
            )
            .at("SystemSettings.VirtualSystemIdentifier")),
        }
    }

    /// Adds new allocations to a definition.
    pub(super) fn add_to(
        &self,
        definition: &mut Definition,
        new: Vec<NewAllocation>,
    ) -> Result<Vec<AllocationId>, Problem> {
        let mut added = Vec::new();
        for new in new {
            let id = AllocationId(definition.next_allocation);
            definition.next_allocation = definition.next_allocation.saturating_add(1);
            let allocation = apply::allocate(new.change, id, &self.host, &self.ledger)
                .map_err(|problem| problem.at(&new.place))?;
            definition.allocations.push(allocation);
            added.push(id);
        }
        Ok(added)
    }

    /// Puts a definition in place of another.
    pub(super) fn replace(&mut self, id: SystemId, definition: Definition) -> Result<(), Problem> {
        self.check(&definition)?;
        self.store(id, &definition, self.next_system)?;
        self.alter(id, |system| system.defined = definition);
        Ok(())
    }

    /// Whether a definition could be started, as far as that can be told beforehand.
    ///
    /// # Errors
    /// The first thing that is wrong: nothing to boot, an image that has gone.
    pub fn check_boot(&self, definition: &Definition) -> Result<(), Problem> {
        resolve::order(&self.resolved(definition))?;
        self.check(definition)
    }

    pub(super) fn check(&self, definition: &Definition) -> Result<(), Problem> {
        check::check(definition, &self.host, &*self.images)
    }

    /// Writes a definition, after the number that no later system may fall below.
    pub(super) fn store(
        &mut self,
        id: SystemId,
        definition: &Definition,
        next: u64,
    ) -> Result<(), Problem> {
        if next != self.next_system {
            let number = format!("{next}");
            self.keep
                .put(record::NEXT_SYSTEM, number.as_bytes())
                .map_err(not_kept)?;
        }
        let bytes = record::encode(definition);
        self.keep
            .put(&record::definition_name(id), &bytes)
            .map_err(not_kept)
    }
}

/// Adds what every system has and nobody asked for.
fn complete(definition: &mut Definition) {
    let defaults = [
        Resource::Processor(ProcessorSettings::default()),
        Resource::Memory(MemorySettings::default()),
        Resource::Console(ConsoleSettings {
            kind: ConsoleKind::Serial,
        }),
    ];
    for resource in defaults {
        let mut known = definition.allocations.iter();
        if known.any(|known| known.resource.kind() == resource.kind()) {
            continue;
        }
        let id = AllocationId(definition.next_allocation);
        definition.next_allocation = definition.next_allocation.saturating_add(1);
        definition.allocations.push(Allocation {
            id,
            name: None,
            pool: None,
            resource,
        });
    }
}
