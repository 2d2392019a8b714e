//! A domain with systems in many states.

use crate::element::Element;
use crate::elements;
use cim_domain::{
    AllocationChange, ConsoleKind, Crash, DefinitionChange, Domain, Event, HostEnd, HostFacts,
    HostProcessor, Image, ImageFormat, ImageName, Images, Machine, MachineError, MemoryKeep,
    NewAllocation, NodeMemory, Now, Patch, PoolId, PoolKind, PoolShare, Problem, ProblemKind,
    ProcessorOrder, ProcessorUsage, RecoveryAction, Request, ResourceKind, StartFailure,
    StartOrder, SystemId, TimeLimit, Usage, Uuid,
};
use cim_model::ClassName;
use std::time::Duration;

struct Quiet;

impl Machine for Quiet {
    fn host(&self) -> HostFacts {
        let processor = |number| HostProcessor {
            number,
            model: "Test".into(),
            megahertz: 1000,
            held_by: (number == 0).then(|| "management".into()),
        };
        HostFacts {
            name: "host".into(),
            memory_bytes: 4096 << 20,
            nodes: NodeMemory::new(vec![4096 << 20]),
            processors: (0..2).map(processor).collect(),
            max_processors: 8,
            min_memory_bytes: 16 << 20,
            reservable_percent: 90,
            max_running: 32,
        }
    }

    fn start(&mut self, _: SystemId, _: &StartOrder) -> Result<(), MachineError> {
        Ok(())
    }

    fn stop(&mut self, _: SystemId) -> Result<(), MachineError> {
        Ok(())
    }

    fn pause(&mut self, _: SystemId) -> Result<(), MachineError> {
        Ok(())
    }

    fn resume(&mut self, _: SystemId) -> Result<(), MachineError> {
        Ok(())
    }

    fn reset(&mut self, _: SystemId) -> Result<(), MachineError> {
        Ok(())
    }

    fn power_button(&mut self, _: SystemId) -> Result<(), MachineError> {
        Ok(())
    }

    fn offer_processors(&mut self, _: SystemId, _: u32) {}

    fn ask_back_processors(&mut self, _: SystemId, _: u32) -> Result<(), MachineError> {
        Ok(())
    }

    fn tune(&mut self, _: SystemId, _: &ProcessorOrder, _: &[u32]) -> Result<(), MachineError> {
        Ok(())
    }

    fn end_host(&mut self, _: HostEnd) -> Result<(), MachineError> {
        Ok(())
    }

    fn destroy(&mut self, _: SystemId) {}

    fn usage(&self, _: SystemId) -> Option<Usage> {
        Some(Usage {
            cpu_nanoseconds: 7,
            exits: 6,
            memory_bytes: 5,
            console_written: 4,
            console_read: 3,
        })
    }

    fn processor_usage(&self, _: SystemId) -> Vec<ProcessorUsage> {
        let usage = ProcessorUsage {
            cpu_nanoseconds: 2,
            exits: 1,
        };
        vec![usage; 8]
    }

    fn console_port(&self, system: SystemId) -> Option<u16> {
        Some(7000 + u16::try_from(system.0).unwrap())
    }
}

struct Library;

impl Images for Library {
    fn list(&self) -> Vec<Image> {
        let formats = [
            ImageFormat::LinuxKernel,
            ImageFormat::Elf,
            ImageFormat::Unknown,
        ];
        let image = |format| Image {
            name: ImageName::new(&format!("{format:?}")).unwrap(),
            bytes: 5,
            sha256: Some([7; 32]),
            unix_micros: Some(1),
            format,
            removable: format != ImageFormat::Elf,
        };
        formats.map(image).to_vec()
    }

    fn remove(&mut self, _: &ImageName) -> Result<(), String> {
        Ok(())
    }
}

pub(super) const NOW: Now = Now {
    monotonic: Duration::ZERO,
    unix_micros: 1_000_000,
};

fn full() -> DefinitionChange {
    DefinitionChange {
        kernel: Patch::Set(ImageName::new("LinuxKernel").unwrap()),
        initrd: Patch::Set(ImageName::new("Unknown").unwrap()),
        description: Patch::Set("d".into()),
        notes: Patch::Set(vec!["n".into()]),
        recovery: Patch::Set(RecoveryAction::Restart),
        command_line: Patch::Set("c".into()),
        ..DefinitionChange::default()
    }
}

fn devices() -> Vec<NewAllocation> {
    let of = |kind, console| NewAllocation {
        place: String::new(),
        change: AllocationChange {
            kind: Some(kind),
            console,
            ..AllocationChange::default()
        },
    };
    vec![
        of(ResourceKind::Console, Some(ConsoleKind::Serial)),
        of(ResourceKind::Console, Some(ConsoleKind::Virtio)),
        of(ResourceKind::Entropy, None),
    ]
}

/// What happens at the start, if there is one; what is asked then; and what happens last.
type Story = (Option<Vec<Event>>, Option<Request>, Vec<Event>);

/// A domain with a system in every state that there is, and with jobs of every kind.
pub(super) fn world() -> Domain {
    let mut next = 0;
    let uuid = move || {
        next += 1;
        Uuid::from_random([next; 16])
    };
    let (machine, keep) = (Box::new(Quiet), Box::new(MemoryKeep::default()));
    let (mut domain, _) = Domain::open(machine, keep, Box::new(Library), Box::new(uuid), NOW);
    let crash = || {
        Event::Crashed(Crash {
            reason: "r".into(),
            record: "x".into(),
        })
    };
    let failed = Event::StartFailed(StartFailure::Machine("m".into()));
    let started = [Event::Started];
    let stories: Vec<Story> = vec![
        (None, None, vec![]),
        (Some(vec![]), None, vec![]),
        (Some(vec![failed]), None, vec![]),
        (Some(started.to_vec()), None, vec![]),
        (Some(started.to_vec()), Some(Request::Pause), vec![]),
        (
            Some(started.to_vec()),
            Some(Request::Pause),
            vec![Event::Paused],
        ),
        (Some(started.to_vec()), Some(Request::ShutDown), vec![]),
        (Some(started.to_vec()), Some(Request::Reboot), vec![]),
        (Some(started.to_vec()), Some(Request::Reset), vec![]),
        (Some(started.to_vec()), Some(Request::Disable), vec![]),
        (Some(started.to_vec()), None, vec![Event::PoweredOff]),
        (Some(started.to_vec()), None, vec![crash()]),
        (
            Some(started.to_vec()),
            None,
            vec![crash(), Event::PoweredOff],
        ),
    ];
    let parents = PoolKind::ALL.map(PoolId::Primordial);
    for (parent, share) in parents.into_iter().zip([
        PoolShare::ProcessorCount(1),
        PoolShare::Memory {
            bytes: 64 << 20,
            node: None,
        },
    ]) {
        domain.create_pool(None, parent, share).unwrap();
    }
    for (start, request, events) in stories {
        let id = domain.define(full(), devices(), None, NOW).unwrap();
        if let Some(first) = start {
            domain
                .request(id, Request::Enable, TimeLimit::Default, NOW)
                .unwrap();
            for event in first {
                domain.event(id, event, NOW);
            }
        }
        if let Some(request) = request {
            domain
                .request(id, request, TimeLimit::Default, NOW)
                .unwrap();
        }
        for event in events {
            domain.event(id, event, NOW);
        }
    }
    domain
        .define(DefinitionChange::default(), vec![], None, NOW)
        .unwrap();
    let problem = Problem::new(ProblemKind::Busy, "BH-X", "What", "Fix");
    domain.refuse(None, problem, NOW);
    domain
}

/// Every element of a domain.
pub(super) fn all(domain: &Domain) -> Vec<Element> {
    let classes = elements::CLASSES.into_iter();
    classes
        .flat_map(|class| elements::of_class(domain, &ClassName::from_static(class)))
        .collect()
}
