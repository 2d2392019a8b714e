//! [`Machine`]: the port to whatever runs virtual systems.

use crate::event::Crash;
use crate::host::HostFacts;
use crate::host_end::HostEnd;
use crate::id::SystemId;
use crate::node_memory::NodeMemory;
use crate::order::{ProcessorOrder, StartOrder};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Whatever runs virtual systems: hypercalls and device models in the management partition, timers in the
/// simulator.
///
/// Every call returns at once. What it begins is reported later by [`Domain::event`](crate::Domain::event), never from
/// within the call. The domain calls only what the state of the system allows: `start` when it is off, the others when
/// it is not.
pub trait Machine {
    /// What there is for virtual systems.
    fn host(&self) -> HostFacts;

    /// Begins to make and boot a system; ends in `Started` or `StartFailed`. The order counts for every reset until the
    /// system is off again.
    ///
    /// # Errors
    /// [`MachineError`] when it cannot even begin; nothing has happened.
    fn start(&mut self, system: SystemId, order: &StartOrder) -> Result<(), MachineError>;

    /// Turns a system off, whatever it is doing (also while it starts, and after a crash); ends in `PoweredOff`. It may
    /// come again while the system is still on its way down.
    ///
    /// # Errors
    /// [`MachineError`].
    fn stop(&mut self, system: SystemId) -> Result<(), MachineError>;

    /// Takes the CPUs of a running system out of guest mode; ends in `Paused`.
    ///
    /// # Errors
    /// [`MachineError`].
    fn pause(&mut self, system: SystemId) -> Result<(), MachineError>;

    /// Lets a paused system go on; ends in `Resumed`.
    ///
    /// # Errors
    /// [`MachineError`].
    fn resume(&mut self, system: SystemId) -> Result<(), MachineError>;

    /// Boots a running or paused system anew with its order; ends in `ResetDone`, or in `StartFailed` and off.
    ///
    /// # Errors
    /// [`MachineError`].
    fn reset(&mut self, system: SystemId) -> Result<(), MachineError>;

    /// Presses the ACPI power button of a running system. A guest that listens will power itself off, some time.
    ///
    /// # Errors
    /// [`MachineError`].
    fn power_button(&mut self, system: SystemId) -> Result<(), MachineError>;

    /// Changes how the CPUs of a system that is on are run from now on: number, weight, reservation and limit of `processors`, and
    /// which physical CPUs may run them (`cpus`, none: any). Their arrangement is what it was. It counts
    /// when the call returns; its guest is told of CPUs that come by [`Machine::offer_processors`], and the call may be undone before. CPUs that go,
    /// the guest has given back before.
    ///
    /// # Errors
    /// [`MachineError`]; nothing has changed. [`MachineError::Guest`] where CPUs would come and the guest would not hear of them.
    fn tune(
        &mut self,
        system: SystemId,
        processors: &ProcessorOrder,
        cpus: &[u32],
    ) -> Result<(), MachineError>;

    /// Tells the guest of a system that is on that it has so many CPUs, as many as [`Machine::tune`] has made: of those that it
    /// does not know yet, and that none of them is wanted back any more.
    fn offer_processors(&mut self, system: SystemId, count: u32);

    /// Asks the guest of a running system to give back all its CPUs but the first so many; ends in `ProcessorsLeft` or
    /// `ProcessorsKept`, some time or never.
    ///
    /// # Errors
    /// [`MachineError`]; nothing has happened. [`MachineError::Guest`] where the guest would not hear of it.
    fn ask_back_processors(&mut self, system: SystemId, count: u32) -> Result<(), MachineError>;

    /// Ends the machine once everything that was kept is on its medium. No system is on, but for one that could not be
    /// turned off.
    ///
    /// # Errors
    /// [`MachineError`]; the machine stays as it is.
    fn end_host(&mut self, end: HostEnd) -> Result<(), MachineError>;

    /// Forgets what is kept about a system that is off; its definition is gone.
    fn destroy(&mut self, system: SystemId);

    /// What a system uses right now; `None` when it is off.
    fn usage(&self, system: SystemId) -> Option<Usage>;

    /// What each virtual CPU of a system has used, in the order of their numbers; empty when it is off.
    fn processor_usage(&self, system: SystemId) -> Vec<ProcessorUsage>;

    /// What the systems that have ended had used, together, since the management partition was started; they hold no memory
    /// any more.
    fn spent(&self) -> Usage {
        Usage::default()
    }

    /// The TCP port where the console of a system is, while it has one.
    fn console_port(&self, system: SystemId) -> Option<u16> {
        let _ = system;
        None
    }

    /// The RAM that an adopted system has, by NUMA node; `None` where the machine cannot tell.
    fn memory_of(&self, system: SystemId) -> Option<NodeMemory> {
        let _ = system;
        None
    }

    /// Whether the machine was up already, and only the management partition has started again: then nothing starts with the
    /// host.
    fn was_up(&self) -> bool {
        false
    }

    /// The systems that were running before the management partition started; asked once, by
    /// [`Domain::open`](crate::Domain::open). `known` has what every system that may still run was started with, or would be;
    /// what runs and is not among them belongs to nobody, and the machine may end it.
    fn adopt(&mut self, known: &BTreeMap<SystemId, StartOrder>) -> Vec<Adopted> {
        let _ = known;
        Vec::new()
    }
}

/// A system that was running before the management partition started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The system that it belongs to.
    pub system: SystemId,
    /// What it does.
    pub state: AdoptedState,
}

/// What an adopted system does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdoptedState {
    /// It runs.
    Running,
    /// It is paused.
    Paused,
    /// It has crashed and still holds its memory.
    Crashed(Crash),
}

/// What a system uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Nanoseconds that its CPUs have run, together, since it was started.
    pub cpu_nanoseconds: u64,
    /// How often they have left the guest for the hypervisor since then.
    pub exits: u64,
    /// Bytes of physical memory that it holds.
    pub memory_bytes: u64,
    /// Bytes that the guest has written to its consoles, since it was started or since the management partition was.
    pub console_written: u64,
    /// Bytes that it was given to read from them, since then.
    pub console_read: u64,
}

/// What a virtual CPU of a system that is on has used since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessorUsage {
    /// Nanoseconds that it has run.
    pub cpu_nanoseconds: u64,
    /// How often it has left the guest for the hypervisor.
    pub exits: u64,
}

impl Usage {
    /// This and another one together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Usage {
            cpu_nanoseconds: self.cpu_nanoseconds.saturating_add(other.cpu_nanoseconds),
            exits: self.exits.saturating_add(other.exits),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            console_written: self.console_written.saturating_add(other.console_written),
            console_read: self.console_read.saturating_add(other.console_read),
        }
    }
}

/// Why the machine does not do something. The texts are sentences without their full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineError {
    /// Not enough of something.
    Resources(String),
    /// It is busy with this system; the same call may succeed later.
    Busy(String),
    /// The guest cannot do its part.
    Guest(String),
    /// It failed.
    Failed(String),
}
