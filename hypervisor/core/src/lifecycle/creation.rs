//! Making partitions: for the boot configuration, and at run time as management asks.
//!
//! A request succeeds wholly or leaves nothing behind. Nothing loops over the partition's RAM but by blocks of 2 MiB: clearing is
//! management's, piece by piece.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bulkhead_abi::host::{NODES, PartitionOrigin};
use bulkhead_abi::partition::{MAX_VCPUS, PartitionRequest};

use super::cpu_choice::CpuChoice;
use super::removal;
use crate::boot_image::BootImage;
use crate::config::Role;
use crate::cpu_shape::CpuShape;
use crate::device_windows::DeviceWindows;
use crate::fault::ResourceError;
use crate::frames::{BLOCK_BYTES, FrameAllocator, NodeId, Owner, Placement};
use crate::guest_memory::GuestMemory;
use crate::host::Host;
use crate::id::{CpuId, PartitionId, VcpuId};
use crate::machine::{Machine, Works};
use crate::nested_space::{Content, NestedSpace};
use crate::paging::Flushed;
use crate::partition::{Partition, PartitionParts};
use crate::platform_devices::PlatformDevices;
use crate::sched::Entitlement;
use crate::sched::placement::Load;
use crate::shared_vcpu::{Presence, SharedVcpu};

/// Heap that a partition takes at most, without its vCPUs and ranges of RAM.
const HEAP_BASE: usize = 64 << 10;
/// Heap that a vCPU takes at most.
const HEAP_VCPU: usize = 32 << 10;
/// Heap that a range of RAM takes, in the lists that exist at the same time.
const HEAP_RANGE: usize = 128;
/// Frames for tables that are left for what cannot fail gracefully.
const SPARE_TABLES: u64 = 64;

/// A partition cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CreateError {
    /// The request asks for what cannot be.
    Request(&'static str),
    /// Somebody else makes or removes a partition just now.
    Busy,
    /// Something is exhausted.
    Resource(ResourceError),
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateError::Request(why) => f.write_str(why),
            CreateError::Busy => f.write_str("another partition is being made or removed"),
            CreateError::Resource(error) => error.fmt(f),
        }
    }
}

impl From<ResourceError> for CreateError {
    fn from(error: ResourceError) -> Self {
        CreateError::Resource(error)
    }
}

/// A partition to be made of parts that are there.
pub struct Order {
    /// Its id, with which its RAM is owned.
    pub id: PartitionId,
    /// Its name.
    pub name: String,
    /// Its rights.
    pub role: Role,
    /// Who makes it.
    pub origin: PartitionOrigin,
    /// What its maker knows it by.
    pub cookie: [u8; 16],
    /// What it is loaded from.
    pub boot: Option<BootImage>,
    /// Its RAM.
    pub memory: GuestMemory,
    /// The device memory it may reach.
    pub windows: DeviceWindows,
    /// How CPUID shows its vCPUs.
    pub shape: CpuShape,
    /// The physical CPU of each vCPU that is present; the others stay with the first one's, and cost it nothing.
    pub owners: Vec<CpuId>,
    /// What it gets of them.
    pub entitlement: Entitlement,
}

/// Makes a partition, stopped; its CPUs get its vCPUs at its first start.
///
/// # Errors
/// Something is exhausted; nothing is left but what the order brought.
pub fn make<H: Host>(
    host: &mut H,
    works: &mut Works,
    order: Order,
) -> Result<Arc<Partition>, ResourceError> {
    let machine = host.machine();
    let vcpus = usize::from(order.shape.vcpus);
    host.check_heap(heap_for(vcpus, order.memory.ranges().len()))?;
    let tables = tables_for(&order.memory).saturating_add(SPARE_TABLES);
    host.grow_tables(tables, &mut works.frames)?;
    let mut space = host.new_space()?;
    for range in order.memory.ranges() {
        if space.map(range.gpa, range.machine, Content::Ram).is_err() {
            // No CPU has seen the tables.
            space.destroy(Flushed::attest());
            return Err(ResourceError::HypervisorMemory);
        }
    }
    let mut partition = assemble(host, order, space);
    if let Err(error) = enrol(host, machine, &partition) {
        if let Some(partition) = Arc::get_mut(&mut partition) {
            removal::dismantle(partition, works, machine.management());
        }
        return Err(error);
    }
    Ok(partition)
}

/// The partition of these parts. A function of its own, because it needs much of the stack.
#[inline(never)]
fn assemble<H: Host>(host: &H, order: Order, space: Box<dyn NestedSpace>) -> Arc<Partition> {
    let first = order.owners.first().copied().unwrap_or(CpuId(0));
    let vcpus = (0..order.shape.vcpus).map(|number| {
        let apic = order.shape.apic_id(number);
        let owner = order.owners.get(usize::from(number));
        let vcpu = SharedVcpu::new(VcpuId(number), apic, *owner.unwrap_or(&first));
        if owner.is_none() {
            vcpu.set_present(Presence::Absent);
        }
        Arc::new(vcpu)
    });
    Arc::new(Partition::new(PartitionParts {
        id: order.id,
        name: order.name,
        role: order.role,
        origin: order.origin,
        cookie: order.cookie,
        boot: order.boot,
        memory: order.memory,
        windows: order.windows,
        space,
        cpuid: host.cpuid_table(&order.shape),
        devices: PlatformDevices::new(&host.board(), host.now()),
        vcpus: vcpus.collect(),
        entitlement: order.entitlement,
    }))
}

/// Makes the partition's vCPUs, and puts it into the machine's table.
fn enrol<H: Host>(
    host: &mut H,
    machine: &Machine,
    partition: &Arc<Partition>,
) -> Result<(), ResourceError> {
    let adoptions = partition
        .vcpus
        .iter()
        .map(|vcpu| Ok((vcpu.owner(), host.new_vcpu(partition, vcpu.id)?)))
        .collect::<Result<Vec<_>, ResourceError>>()?;
    machine.add(partition.clone())?;
    partition.park(adoptions);
    Ok(())
}

/// Makes the partition that management asks for: stopped, its RAM not cleared, without a boot state.
///
/// # Errors
/// [`CreateError`]; nothing has changed.
#[inline(never)]
pub fn create<H: Host>(
    host: &mut H,
    request: &PartitionRequest,
) -> Result<PartitionId, CreateError> {
    let (name, entitlement) = check(request).map_err(CreateError::Request)?;
    let choice = CpuChoice::new(request.cpus, host)
        .ok_or(CreateError::Request("none of its CPUs exists"))?;
    let machine = host.machine();
    let mut works = machine.try_works().ok_or(CreateError::Busy)?;
    let id = machine.free_id()?;
    let vcpus = request.vcpus as u16;
    host.check_heap(heap_for(usize::from(vcpus), 0))?;
    let memory = take_ram(
        &mut works.frames,
        id,
        request.memory_bytes,
        &request.node_blocks,
    )?;
    let present = present(request);
    let mut owners = Vec::with_capacity(present as usize);
    let load = Load::of_vcpu(entitlement, present);
    let runs = |cpu| choice.allows(cpu, host);
    owners.extend((0..present).map_while(|_| machine.take_place(runs, load)));
    let places = owners.clone();
    let undo = |works: &mut Works| {
        for place in &places {
            machine.leave_place(*place, load);
        }
        works.frames.free_all(Owner::Partition(id));
    };
    if places.len() < present as usize {
        undo(&mut works);
        return Err(CreateError::Resource(ResourceError::Reservations));
    }
    let order = Order {
        id,
        name: String::from(name),
        role: Role::Guest,
        origin: PartitionOrigin::Management,
        cookie: request.cookie,
        boot: None,
        memory,
        windows: DeviceWindows::none(),
        shape: CpuShape {
            vcpus,
            threads_per_core: request.threads_per_core,
            cores_per_socket: request.cores_per_socket,
        },
        owners,
        entitlement,
    };
    match make(host, &mut works, order) {
        Ok(partition) => Ok(partition.id),
        Err(error) => {
            undo(&mut works);
            Err(CreateError::Resource(error))
        }
    }
}

/// The name and what it is entitled to, of a request that makes sense.
fn check(request: &PartitionRequest) -> Result<(&str, Entitlement), &'static str> {
    let length = request.name.iter().position(|byte| *byte == 0);
    let name = request.name.get(..length.unwrap_or(request.name.len()));
    let name =
        core::str::from_utf8(name.unwrap_or_default()).map_err(|_| "its name is not UTF-8")?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err("its name is empty or has control characters");
    }
    if request.memory_bytes == 0 || !request.memory_bytes.is_multiple_of(BLOCK_BYTES) {
        return Err("its memory is not a multiple of 2 MiB");
    }
    if request.vcpus == 0 || request.vcpus > MAX_VCPUS {
        return Err("it has no vCPU, or too many");
    }
    let (threads, cores) = (request.threads_per_core, request.cores_per_socket);
    let socket = u32::from(threads).saturating_mul(u32::from(cores));
    if socket == 0 || !request.vcpus.is_multiple_of(socket) {
        return Err("its vCPUs do not fill sockets of so many cores and threads");
    }
    let blocks = request.node_blocks.iter().copied().map(u64::from);
    let from_nodes = blocks.sum::<u64>().saturating_mul(BLOCK_BYTES);
    if from_nodes != 0 && from_nodes != request.memory_bytes {
        return Err("what it takes of the NUMA nodes is not its memory");
    }
    if request.present_vcpus > request.vcpus {
        return Err("more of its vCPUs are present than it may have");
    }
    let entitlement = Entitlement::new(
        request.weight,
        request.reservation_percent,
        request.limit_percent,
        present(request),
    )?;
    Ok((name, entitlement))
}

/// How many of its vCPUs are present.
fn present(request: &PartitionRequest) -> u32 {
    match request.present_vcpus {
        0 => request.vcpus,
        present => present,
    }
}

/// Takes RAM for a partition, laid out as a PC has it: so many blocks of each node, or any where none is named.
///
/// # Errors
/// There is not so much; nothing is taken.
pub fn take_ram(
    frames: &mut FrameAllocator<'static>,
    id: PartitionId,
    bytes: u64,
    node_blocks: &[u32; NODES],
) -> Result<GuestMemory, ResourceError> {
    let owner = Owner::Partition(id);
    let mut pieces = Vec::new();
    let mut listed = true;
    let mut take = |bytes, placement| {
        frames.allocate(owner, bytes, placement, |piece| {
            listed &= pieces.try_reserve(1).is_ok();
            if listed {
                pieces.push(piece);
            }
        })
    };
    let mut taken = Ok(());
    let mut anywhere = true;
    for (node, blocks) in (0..).map(NodeId).zip(node_blocks) {
        if *blocks != 0 && taken.is_ok() {
            anywhere = false;
            taken = take(u64::from(*blocks) * BLOCK_BYTES, Placement::Strict(node));
        }
    }
    if anywhere {
        taken = take(bytes, Placement::Anywhere);
    }
    if let Err(error) = taken {
        frames.free_all(owner);
        return Err(error);
    }
    let memory = match listed {
        true => GuestMemory::with_pc_hole(&pieces),
        false => Err(ResourceError::HypervisorMemory),
    };
    if memory.is_err() {
        frames.free_all(owner);
    }
    memory
}

/// Heap that a partition takes at most.
fn heap_for(vcpus: usize, ranges: usize) -> usize {
    let vcpus = vcpus.saturating_mul(HEAP_VCPU);
    let ranges = ranges.saturating_mul(HEAP_RANGE);
    HEAP_BASE.saturating_add(vcpus).saturating_add(ranges)
}

/// Tables that mapping all of this takes at most: RAM comes in blocks of 2 MiB, so the lowest level is not needed.
pub(super) fn tables_for(memory: &GuestMemory) -> u64 {
    let last = memory.end().as_u64().saturating_sub(1);
    // A table for each gigabyte and for each 512 of them, and the root.
    (last >> 30).saturating_add(last >> 39).saturating_add(3)
}
