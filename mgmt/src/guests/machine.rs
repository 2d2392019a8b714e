//! [`GuestMachine`]: the domain's machine over hypercalls.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bulkhead_abi::host::{HostInfo, NODES, PartitionInfo, PartitionState};
use bulkhead_abi::hypercall::Status;
use bulkhead_abi::partition::{MAX_VCPUS, PartitionRequest};
use cim_domain::{
    Adopted, AdoptedState, HostEnd, HostFacts, HostProcessor, Machine, MachineError, NodeMemory,
    ProcessorOrder, ProcessorUsage, StartOrder, SystemId, Usage,
};
use mgmt_hypercall::{PartitionId, Refusal, field_text, state_name};
use zerocopy::FromZeros;

use super::guest::{Command, Guest, Making};
use super::kept::{KeptState, Phase};
use super::{Host, Shelf, life, placement};
use crate::report;
use crate::root::Root;

/// Memory is given to guests in units of a large page.
const GRANULE: u64 = 2 << 20;
/// Less than that holds no kernel.
const MIN_MEMORY: u64 = 16 << 20;
/// How much of a CPU the hypervisor promises, in percent: `PartitionRequest::reservation_percent`.
const RESERVABLE: u32 = 90;
/// Most systems that are on at once: the hypervisor's table of partitions.
const MAX_RUNNING: usize = 1000;
/// What begins the cookie of a partition that a domain made; the system's number follows.
const COOKIE: [u8; 8] = *b"BHsystem";

/// The machine.
pub struct GuestMachine {
    root: Root,
    host: Host,
    shelf: Shelf,
    info: HostInfo,
    /// What physical CPUs run besides systems.
    held: BTreeMap<u32, String>,
    name: String,
    /// How often this partition was started again.
    restarts: u32,
}

impl GuestMachine {
    /// The machine over this hypervisor; `name` is the host system's, and this partition was started again so often.
    ///
    /// # Errors
    /// The hypervisor's refusal.
    pub fn new(
        root: &Root,
        host: &Host,
        shelf: &Shelf,
        name: &str,
        restarts: u32,
    ) -> Result<Self, Refusal> {
        let mut info = host.host_info()?;
        shelf.tsc_hz.set(info.tsc_hz);
        // What systems from before a restart of ours hold is theirs for a while, and comes back.
        for (_, made, _) in made(host)? {
            info.guest_memory_free = info.guest_memory_free.saturating_add(made.memory_bytes);
            for (free, held) in info.node_free.iter_mut().zip(made.node_memory) {
                *free = free.saturating_add(held);
            }
        }
        Ok(GuestMachine {
            name: name.to_string(),
            root: root.clone(),
            host: host.clone(),
            shelf: shelf.clone(),
            info,
            held: placement::held(host)?,
            restarts,
        })
    }

    fn guest(&self, system: SystemId) -> Result<Rc<Guest>, MachineError> {
        let guest = self.shelf.guests.borrow().get(&system).cloned();
        guest.ok_or_else(|| MachineError::Failed("the system is off".into()))
    }

    fn command(&self, system: SystemId, command: Command) -> Result<(), MachineError> {
        self.guest(system)?.command(command);
        Ok(())
    }

    fn create(&self, system: SystemId, order: &StartOrder) -> Result<PartitionId, MachineError> {
        let mut request = PartitionRequest::new_zeroed();
        for (slot, byte) in request.name.iter_mut().zip(order.name.bytes()) {
            *slot = byte;
        }
        // A name that was cut in the middle of a character would not be text.
        let whole = order.name.floor_char_boundary(request.name.len());
        request
            .name
            .iter_mut()
            .skip(whole)
            .for_each(|byte| *byte = 0);
        request.memory_bytes = order.memory_bytes;
        request.vcpus = order.processors.maximum;
        request.present_vcpus = order.processors.count;
        let topology = order.processors.topology;
        let narrow = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        request.threads_per_core = narrow(topology.threads);
        request.cores_per_socket = narrow(topology.cores);
        request.cpus = placement::mask(&order.cpus)?;
        if self.tells_nodes() {
            for (node, blocks) in request.node_blocks.iter_mut().enumerate() {
                *blocks = u32::try_from(order.nodes.on(node) / GRANULE).unwrap_or(u32::MAX);
            }
        }
        request.cookie = cookie(system);
        let shares = placement::shares(&order.processors);
        request.weight = shares.weight;
        request.reservation_percent = shares.reservation_percent;
        request.limit_percent = shares.limit_percent;
        let create = |page| self.host.hypervisor.partition_create(page);
        self.host
            .with_record(&request, create)
            .map_err(|refusal| match refusal.status {
                Some(Status::NoResource) => MachineError::Resources(format!(
                    "the hypervisor has no room for {} MiB and {} vCPUs now",
                    order.memory_bytes >> 20,
                    order.processors.count
                )),
                Some(Status::Busy) => MachineError::Busy(refusal.to_string()),
                _ => MachineError::Failed(refusal.to_string()),
            })
    }

    /// Whether memory is divided among NUMA nodes that the hypervisor tells apart.
    fn tells_nodes(&self) -> bool {
        let nodes = usize::try_from(self.info.nodes).unwrap_or(usize::MAX);
        (2..=NODES).contains(&nodes)
    }

    /// Removes a partition that has never run, at once where nothing holds it up.
    fn discard(&self, id: PartitionId, name: &str) {
        if let Err(refusal) = self.host.hypervisor.partition_destroy(id) {
            let (root, host) = (self.root.clone(), self.host.clone());
            let task = life::end_stranger(root, host, id, name.into(), refusal.to_string());
            self.root.spawner().spawn(task);
        }
    }

    /// Says what is free and in use without the system, so that whoever makes many of them sees that nothing is lost.
    fn report_what_is_left(&self, system: SystemId) {
        let Ok(info) = self.host.host_info() else {
            return;
        };
        report!(
            "system {} is gone: free {} bytes for guests, {} of the hypervisor; in use {} event ports, {} consoles; idle {} pages; heap {} bytes",
            system.0,
            info.guest_memory_free,
            info.hypervisor_free_bytes,
            self.host.events.in_use(),
            self.shelf.desk.count(),
            self.host.pages.idle(),
            crate::heap::in_use(),
        );
    }
}

impl GuestMachine {
    /// Goes on with a system that was on before this partition started.
    fn take_over(
        &self,
        system: SystemId,
        id: PartitionId,
        info: &PartitionInfo,
        order: &StartOrder,
    ) -> Result<AdoptedState, String> {
        let kept = self.host.kept_state(id);
        let kept = kept.map_err(|refusal| refusal.to_string())?;
        let kept = KeptState::from_bytes(&kept).ok_or("nothing is kept of its devices")?;
        if let Some(port) = kept.console {
            self.shelf.desk.reserve(system, &order.name, port);
        }
        let mut order = order.clone();
        // What it has, whatever the definition says.
        order.memory_bytes = info.memory_bytes;
        order.processors.maximum = info.vcpus;
        // A change of their number may have been half done: it is what the definition says.
        let reserved = placement::count(&self.host, id, &order.processors, &order.cpus);
        if reserved.is_err() {
            order.processors.count = info.present_vcpus;
        }
        let count = order.processors.count;
        let making = Making { system, id, order };
        let guest = Guest::new(&self.root, &self.host, &self.shelf, making, Some(&kept))?;
        guest.offer_processors(count);
        let is = |state: PartitionState| info.state == state as u32;
        let state = if is(PartitionState::Paused) {
            AdoptedState::Paused
        } else if is(PartitionState::Crashed) && kept.phase == Phase::Running {
            AdoptedState::Crashed(life::crash(&guest))
        } else {
            AdoptedState::Running
        };
        report!(
            "{id} {}: {}, goes on as system {system}",
            guest.name(),
            state_name(info.state)
        );
        self.shelf.guests.borrow_mut().insert(system, guest.clone());
        let task = life::resume_watch(guest, kept.phase);
        self.root.spawner().spawn(task);
        Ok(state)
    }
}

fn cookie(system: SystemId) -> [u8; 16] {
    let mut cookie = [0; 16];
    let number = system.0.to_le_bytes();
    for (slot, byte) in cookie.iter_mut().zip(COOKIE.iter().chain(&number)) {
        *slot = *byte;
    }
    cookie
}

/// The partitions that were made for systems, each with its system.
fn made(host: &Host) -> Result<Vec<(PartitionId, PartitionInfo, SystemId)>, Refusal> {
    let ids = (0..host.hypervisor.partition_count()?).map(PartitionId);
    // Ids have gaps.
    let infos = ids.filter_map(|id| Some((id, host.info(id).ok()?)));
    let made = infos.filter_map(|(id, info)| Some((id, info, system_of(&info)?)));
    Ok(made.collect())
}

fn system_of(info: &PartitionInfo) -> Option<SystemId> {
    let (mark, number) = info.cookie.split_first_chunk()?;
    let number = number.first_chunk()?;
    (*mark == COOKIE).then_some(SystemId(u64::from_le_bytes(*number)))
}

impl Machine for GuestMachine {
    fn host(&self) -> HostFacts {
        let info = &self.info;
        let model = field_text(&info.cpu_brand);
        let megahertz = u32::try_from(info.tsc_hz / 1_000_000).unwrap_or(0);
        HostFacts {
            name: self.name.clone(),
            memory_bytes: info.guest_memory_free / GRANULE * GRANULE,
            nodes: match self.tells_nodes() {
                true => NodeMemory::new(info.node_free.to_vec()),
                false => NodeMemory::of_node(0, info.guest_memory_free / GRANULE * GRANULE),
            },
            processors: (0..info.cpus)
                .map(|number| HostProcessor {
                    number,
                    model: model.trim().into(),
                    megahertz,
                    held_by: self
                        .held
                        .get(&number)
                        .map(|names| format!("the partition {names}")),
                })
                .collect(),
            max_processors: MAX_VCPUS,
            min_memory_bytes: MIN_MEMORY,
            reservable_percent: RESERVABLE,
            max_running: MAX_RUNNING,
        }
    }

    fn start(&mut self, system: SystemId, order: &StartOrder) -> Result<(), MachineError> {
        if self.shelf.guests.borrow().contains_key(&system) {
            return Err(MachineError::Busy("the system is not off yet".into()));
        }
        let id = self.create(system, order)?;
        if !order.cpus.is_empty() {
            let settled = placement::settle(&self.host, id, &order.processors, &order.cpus);
            settled.inspect_err(|_| self.discard(id, &order.name))?;
        }
        let making = Making {
            system,
            id,
            order: order.clone(),
        };
        match Guest::new(&self.root, &self.host, &self.shelf, making, None) {
            Ok(guest) => {
                placement::report(&self.host, system, id);
                let guests = &self.shelf.guests;
                guests.borrow_mut().insert(system, guest.clone());
                self.root.spawner().spawn(life::live(guest));
                Ok(())
            }
            Err(reason) => {
                self.discard(id, &order.name);
                Err(MachineError::Resources(reason))
            }
        }
    }

    fn stop(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.command(system, Command::Stop)
    }

    fn pause(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.command(system, Command::Pause)
    }

    fn resume(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.command(system, Command::Resume)
    }

    fn reset(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.command(system, Command::Reset)
    }

    fn power_button(&mut self, system: SystemId) -> Result<(), MachineError> {
        self.command(system, Command::PowerButton)
    }

    fn tune(
        &mut self,
        system: SystemId,
        processors: &ProcessorOrder,
        cpus: &[u32],
    ) -> Result<(), MachineError> {
        let guest = self.guest(system)?;
        if processors.count > guest.processors() {
            guest.must_listen()?;
        }
        placement::tune(&self.host, guest.id(), processors, cpus)?;
        guest.set_processors(processors.count);
        placement::report(&self.host, system, guest.id());
        Ok(())
    }

    fn offer_processors(&mut self, system: SystemId, count: u32) {
        if let Ok(guest) = self.guest(system) {
            guest.offer_processors(count);
        }
    }

    fn ask_back_processors(&mut self, system: SystemId, count: u32) -> Result<(), MachineError> {
        let guest = self.guest(system)?;
        guest.must_listen()?;
        guest.ask_back_processors(count);
        Ok(())
    }

    fn end_host(&mut self, end: HostEnd) -> Result<(), MachineError> {
        self.shelf.host_end.ask(end);
        Ok(())
    }

    fn destroy(&mut self, system: SystemId) {
        self.shelf.desk.forget(system);
        self.report_what_is_left(system);
    }

    fn console_port(&self, system: SystemId) -> Option<u16> {
        self.shelf.desk.port(system)
    }

    fn usage(&self, system: SystemId) -> Option<Usage> {
        self.guest(system).ok()?.usage()
    }

    fn processor_usage(&self, system: SystemId) -> Vec<ProcessorUsage> {
        let guest = self.guest(system);
        guest
            .map(|guest| guest.processor_usage())
            .unwrap_or_default()
    }

    fn spent(&self) -> Usage {
        self.shelf.spent.get()
    }

    fn memory_of(&self, system: SystemId) -> Option<NodeMemory> {
        let guest = self.guest(system).ok()?;
        let info = self.host.info(guest.id()).ok()?;
        Some(match self.tells_nodes() {
            true => NodeMemory::new(info.node_memory.to_vec()),
            false => NodeMemory::of_node(0, info.memory_bytes),
        })
    }

    fn was_up(&self) -> bool {
        self.restarts > 0
    }

    fn adopt(&mut self, known: &BTreeMap<SystemId, StartOrder>) -> Vec<Adopted> {
        let made = match made(&self.host) {
            Ok(made) => made,
            Err(refusal) => {
                report!("systems that still run: {refusal}");
                return Vec::new();
            }
        };
        let mut adopted = Vec::new();
        for (id, info, system) in made {
            let taken = match known.get(&system) {
                Some(order) => self.take_over(system, id, &info, order),
                None => Err("it is not known any more".into()),
            };
            match taken {
                Ok(state) => adopted.push(Adopted { system, state }),
                Err(reason) => {
                    let name = field_text(&info.name);
                    let (root, host) = (self.root.clone(), self.host.clone());
                    let task = life::end_stranger(root, host, id, name, reason);
                    self.root.spawner().spawn(task);
                }
            }
        }
        adopted
    }
}
