//! A machine that writes down what it is told, a store that can fail, and a domain over them.

use crate::{
    Adopted, AllocationChange, ConsoleKind, DefinitionChange, Domain, Event, HostEnd, HostFacts,
    HostProcessor, Image, ImageFormat, ImageName, Images, Keep, KeepError, Machine, MachineError,
    MemoryKeep, NewAllocation, NodeMemory, Notice, Now, Patch, Problem, ProcessorOrder,
    ProcessorUsage, Request, Requested, ResourceKind, StartOrder, State, SystemId, TimeLimit,
    Usage, Uuid,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// What the machine was told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Start(SystemId, Box<StartOrder>),
    Stop(SystemId),
    Pause(SystemId),
    Resume(SystemId),
    Reset(SystemId),
    PowerButton(SystemId),
    Destroy(SystemId),
    Tune(SystemId, ProcessorOrder, Vec<u32>),
    Offer(SystemId, u32),
    AskBack(SystemId, u32),
    EndHost(HostEnd),
}

#[derive(Default)]
pub(super) struct Script {
    pub(super) told: Vec<Told>,
    pub(super) refusal: Option<MachineError>,
    pub(super) adopted: Vec<Adopted>,
    /// The systems that it was told of when it was asked for them.
    pub(super) known: Vec<SystemId>,
    /// Only the management partition starts again.
    pub(super) was_up: bool,
    /// Where its memory is, unless it is all in one place.
    pub(super) nodes: Option<NodeMemory>,
    /// Refuses to be tuned.
    pub(super) untunable: Option<SystemId>,
}

#[derive(Clone, Default)]
pub(super) struct FakeMachine(pub(super) Rc<RefCell<Script>>);

impl FakeMachine {
    fn tell(&self, told: Told) -> Result<(), MachineError> {
        let mut script = self.0.borrow_mut();
        if let Some(refusal) = &script.refusal {
            return Err(refusal.clone());
        }
        script.told.push(told);
        Ok(())
    }
}

impl Machine for FakeMachine {
    fn host(&self) -> HostFacts {
        let processor = |number| HostProcessor {
            number,
            model: "Test".into(),
            megahertz: 1000,
            held_by: (number == 0).then(|| "management".into()),
        };
        HostFacts {
            name: "host".into(),
            memory_bytes: 1024 << 20,
            nodes: {
                let given = self.0.borrow().nodes.clone();
                given.unwrap_or(NodeMemory::new(vec![1024 << 20]))
            },
            processors: (0..4).map(processor).collect(),
            max_processors: 8,
            min_memory_bytes: 16 << 20,
            reservable_percent: 90,
            max_running: 8,
        }
    }

    fn start(&mut self, system: SystemId, order: &StartOrder) -> Result<(), MachineError> {
        self.tell(Told::Start(system, Box::new(order.clone())))
    }

    fn stop(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.tell(Told::Stop(system))
    }

    fn pause(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.tell(Told::Pause(system))
    }

    fn resume(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.tell(Told::Resume(system))
    }

    fn reset(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.tell(Told::Reset(system))
    }

    fn power_button(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.tell(Told::PowerButton(system))
    }

    fn tune(
        &mut self,
        system: SystemId,
        processors: &ProcessorOrder,
        cpus: &[u32],
    ) -> Result<(), MachineError> {
        if self.0.borrow().untunable == Some(system) {
            return Err(MachineError::Busy("It is not to be tuned".into()));
        }
        self.tell(Told::Tune(system, *processors, cpus.to_vec()))
    }

    fn offer_processors(&mut self, system: SystemId, count: u32) {
        self.0.borrow_mut().told.push(Told::Offer(system, count));
    }

    fn ask_back_processors(&mut self, system: SystemId, count: u32) -> Result<(), MachineError> {
        self.tell(Told::AskBack(system, count))
    }

    fn end_host(&mut self, end: HostEnd) -> Result<(), MachineError> {
        self.tell(Told::EndHost(end))
    }

    fn destroy(&mut self, system: SystemId) {
        self.0.borrow_mut().told.push(Told::Destroy(system));
    }

    fn usage(&self, _: SystemId) -> Option<Usage> {
        None
    }

    fn processor_usage(&self, _: SystemId) -> Vec<ProcessorUsage> {
        Vec::new()
    }

    fn was_up(&self) -> bool {
        self.0.borrow().was_up
    }

    fn adopt(&mut self, known: &BTreeMap<SystemId, StartOrder>) -> Vec<Adopted> {
        self.0.borrow_mut().known = known.keys().copied().collect();
        std::mem::take(&mut self.0.borrow_mut().adopted)
    }
}

/// A store that a test can look into and break.
#[derive(Clone, Default)]
pub(super) struct SharedKeep {
    pub(super) blobs: Rc<RefCell<MemoryKeep>>,
    /// Writes that succeed before all fail.
    pub(super) left: Rc<RefCell<Option<usize>>>,
}

impl SharedKeep {
    pub(super) fn names(&self) -> Vec<String> {
        let entries = self.entries("").into_iter();
        entries.map(|(name, _)| name).collect()
    }
}

impl Keep for SharedKeep {
    fn put(&mut self, name: &str, value: &[u8]) -> Result<(), KeepError> {
        if let Some(left) = &mut *self.left.borrow_mut() {
            *left = left.checked_sub(1).ok_or(KeepError::Full)?;
        }
        self.blobs.borrow_mut().put(name, value)
    }

    fn remove(&mut self, name: &str) -> Result<(), KeepError> {
        self.blobs.borrow_mut().remove(name)
    }

    fn entries(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        self.blobs.borrow().entries(prefix)
    }
}

#[derive(Clone)]
struct Library(Rc<RefCell<Vec<Image>>>);

impl Images for Library {
    fn list(&self) -> Vec<Image> {
        self.0.borrow().clone()
    }

    fn remove(&mut self, name: &ImageName) -> Result<(), String> {
        self.0.borrow_mut().retain(|image| image.name != *name);
        Ok(())
    }
}

pub(super) struct World {
    pub(super) domain: Domain,
    pub(super) machine: FakeMachine,
    pub(super) keep: SharedKeep,
    pub(super) seconds: u64,
}

fn domain(machine: &FakeMachine, keep: &SharedKeep, first: u8, now: Now) -> (Domain, Vec<Problem>) {
    let images = ["kernel", "initrd", "module"].map(|name| Image {
        name: ImageName::new(name).unwrap(),
        bytes: 1,
        sha256: None,
        unix_micros: None,
        format: ImageFormat::Unknown,
        removable: name != "initrd",
    });
    let library = Library(Rc::new(RefCell::new(images.to_vec())));
    let mut next = u128::from(first);
    let uuid = move || {
        next += 1;
        Uuid::from_random((next << 32 | next).to_be_bytes())
    };
    let (machine, keep) = (Box::new(machine.clone()), Box::new(keep.clone()));
    Domain::open(machine, keep, Box::new(library), Box::new(uuid), now)
}

impl World {
    pub(super) fn new() -> Self {
        let (machine, keep) = (FakeMachine::default(), SharedKeep::default());
        let mut world = World {
            domain: domain(&machine, &keep, 0, at(0)).0,
            machine,
            keep,
            seconds: 0,
        };
        world.notices();
        world
    }

    /// The management partition starts again over the same store.
    pub(super) fn restart(&mut self) -> Vec<Problem> {
        let (domain, problems) = domain(&self.machine, &self.keep, 100, self.now());
        self.domain = domain;
        self.machine.0.borrow_mut().told.clear();
        problems
    }

    /// The same, with what the machine was told at the start.
    pub(super) fn reopen(&mut self) {
        self.domain = domain(&self.machine, &self.keep, 100, self.now()).0;
    }

    pub(super) fn now(&self) -> Now {
        at(self.seconds)
    }

    /// Time passes.
    pub(super) fn wait(&mut self, seconds: u64) {
        self.seconds += seconds;
        self.domain.tick(self.now());
    }

    /// Defines a system with a kernel.
    pub(super) fn define(&mut self) -> SystemId {
        self.define_with(bootable(), vec![]).unwrap()
    }

    pub(super) fn define_with(
        &mut self,
        change: DefinitionChange,
        allocations: Vec<AllocationChange>,
    ) -> Result<SystemId, Problem> {
        let now = self.now();
        self.domain.define(change, placed(allocations), None, now)
    }

    /// Defines a system and brings it into a state.
    pub(super) fn running(&mut self) -> SystemId {
        let id = self.define();
        self.ask(id, Request::Enable).unwrap();
        self.event(id, Event::Started);
        assert_eq!(self.state(id), State::Running);
        id
    }

    pub(super) fn ask(&mut self, id: SystemId, request: Request) -> Result<Requested, Problem> {
        let now = self.now();
        self.domain.request(id, request, TimeLimit::Default, now)
    }

    pub(super) fn event(&mut self, id: SystemId, event: Event) {
        let now = self.now();
        self.domain.event(id, event, now);
    }

    pub(super) fn state(&self, id: SystemId) -> State {
        self.domain.system(id).unwrap().state
    }

    pub(super) fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.machine.0.borrow_mut().told)
    }

    pub(super) fn notices(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.domain.take_notice()).collect()
    }

    /// Reserved MiB of memory and percent of processors.
    pub(super) fn reserved(&self) -> (u64, u64) {
        let pools = self.domain.pools();
        (pools[1].reserved >> 20, pools[0].reserved)
    }
}

fn at(seconds: u64) -> Now {
    Now {
        monotonic: Duration::from_secs(seconds),
        unix_micros: i64::try_from(seconds).unwrap() * 1_000_000,
    }
}

pub(super) fn bootable() -> DefinitionChange {
    DefinitionChange {
        kernel: Patch::Set(ImageName::new("kernel").unwrap()),
        ..DefinitionChange::default()
    }
}

pub(super) fn placed(allocations: Vec<AllocationChange>) -> Vec<NewAllocation> {
    let numbered = allocations.into_iter().enumerate();
    numbered
        .map(|(index, change)| NewAllocation {
            place: format!("ResourceSettings[{index}]"),
            change,
        })
        .collect()
}

pub(super) fn memory(quantity: u64, units: &str) -> AllocationChange {
    AllocationChange {
        kind: Some(ResourceKind::Memory),
        quantity: Patch::Set(quantity),
        quantity_units: Patch::Set(units.into()),
        ..AllocationChange::default()
    }
}

pub(super) fn processors(count: u64) -> AllocationChange {
    AllocationChange {
        kind: Some(ResourceKind::Processor),
        quantity: Patch::Set(count),
        ..AllocationChange::default()
    }
}

pub(super) fn console(kind: ConsoleKind) -> AllocationChange {
    AllocationChange {
        kind: Some(ResourceKind::Console),
        console: Some(kind),
        ..AllocationChange::default()
    }
}
