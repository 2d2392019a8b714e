//! The partitions of the boot configuration: memory, tables, vCPUs.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bulkhead_abi::host::{NODES, PartitionOrigin};
use bulkhead_boot::Module;
use bulkhead_core::addr::{Gpa, Hpa, HpaRange, PAGE_SIZE, PageSize};
use bulkhead_core::boot_image::BootImage;
use bulkhead_core::config::{self, PartitionConfig, Role};
use bulkhead_core::cpu_shape::CpuShape;
use bulkhead_core::device_windows::DeviceWindows;
use bulkhead_core::fault::ResourceError;
use bulkhead_core::frames::{BLOCK_BYTES, FrameAllocator, Owner, Placement};
use bulkhead_core::guest_memory::{GuestMemory, RamRange};
use bulkhead_core::id::{CpuId, PartitionId};
use bulkhead_core::lifecycle;
use bulkhead_core::lifecycle::creation::{self, Order};
use bulkhead_core::machine::Works;
use bulkhead_core::nested_space::Content;
use bulkhead_core::partition::Partition;
use bulkhead_core::sched::Entitlement;
use bulkhead_core::sched::placement::Load;
use bulkhead_hw::pool;
use bulkhead_hw::{error, info, space};

use super::shared::Shared;
use super::this_cpu::ThisCpu;
use super::{devices, dma};

/// The module that says which partitions there are.
const CONFIGURATION: &str = "partitions.conf";
/// The management partition's devices may reach only so far without an IOMMU.
const DMA_LIMIT: u64 = 1 << 32;

/// Why a partition of the configuration cannot be made.
enum Refusal {
    NoSuchModule,
    Resource(ResourceError),
    Start(lifecycle::StartError),
    NoSuchCpu(CpuId),
    Iommu(dma::Refusal),
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refusal::NoSuchModule => f.write_str("its image is not among the boot modules"),
            Refusal::Resource(error) => error.fmt(f),
            Refusal::Start(error) => error.fmt(f),
            Refusal::Iommu(refusal) => refusal.fmt(f),
            Refusal::NoSuchCpu(cpu) => write!(f, "there is no CPU {cpu} to pin a vCPU to"),
        }
    }
}

impl From<ResourceError> for Refusal {
    fn from(error: ResourceError) -> Self {
        Refusal::Resource(error)
    }
}

/// Makes and starts all of them. What cannot be started is reported and left out.
pub fn start_all(shared: &'static Shared, cpu: &mut ThisCpu) {
    if let Err(error) = map_modules(shared) {
        error!("boot modules cannot be read: {error}");
        return;
    }
    let Some(text) = module(shared, CONFIGURATION) else {
        info!("there is no boot module {CONFIGURATION}");
        return;
    };
    let text = alloc::string::String::from_utf8_lossy(text);
    let configs = match config::parse(&text) {
        Ok(configs) => configs,
        Err(refusal) => {
            error!("{refusal}");
            return;
        }
    };
    let mut prepared = Vec::new();
    for config in &configs {
        match prepare_one(shared, cpu, config) {
            Ok(partition) => prepared.push(partition),
            Err(refusal) => error!("partition {} is not started: {refusal}", config.name),
        }
    }
    // A partition that ends at once must not be taken for the last one while others are still being made.
    for partition in &prepared {
        let _ = lifecycle::release(partition, cpu);
    }
    info!(
        "memory: {} MiB left for partitions",
        shared.machine.works().frames.free_bytes() >> 20
    );
}

/// Makes the memory of the boot modules readable.
fn map_modules(shared: &Shared) -> Result<(), &'static str> {
    for range in &shared.boot.reserved {
        let start = range.start.align_down(PageSize::Size4K);
        let end = range
            .end
            .align_up(PageSize::Size4K)
            .ok_or("an address past the end")?;
        // SAFETY: the range is kept for the boot modules and belongs to nobody else.
        unsafe { space::map_direct(HpaRange { start, end }) }
            .map_err(|_| "no memory for tables")?;
    }
    Ok(())
}

/// The bytes of a boot module.
fn module(shared: &Shared, name: &str) -> Option<&'static [u8]> {
    let found: &Module = shared
        .boot
        .modules
        .iter()
        .find(|module| module.name == name)?;
    let bytes = usize::try_from(found.range.bytes()).ok()?;
    let address = pool::address_of(found.range.start).as_u64() as usize;
    // SAFETY: `map_modules` mapped the module for good, and nothing writes to it.
    Some(unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address), bytes) })
}

/// Makes a partition and loads it; its vCPUs do not run yet.
fn prepare_one(
    shared: &'static Shared,
    cpu: &mut ThisCpu,
    config: &PartitionConfig,
) -> Result<Arc<Partition>, Refusal> {
    let image = module(shared, &config.image).ok_or(Refusal::NoSuchModule)?;
    let mut works = shared.machine.works();
    let id = shared.machine.free_id()?;
    let memory = memory(&mut works.frames, id, config)?;
    let made = order(shared, &mut works, config, (id, image), memory).and_then(|order| {
        let places = order.owners.clone();
        creation::make(cpu, &mut works, order).map_err(|error| {
            leave(shared, &places, load(config));
            Refusal::Resource(error)
        })
    });
    let partition = match made {
        Ok(partition) => partition,
        Err(refusal) => {
            // Devices may reach the management partition's memory by now; what they could do must not come to others.
            if config.role == Role::Guest {
                works.frames.free_all(Owner::Partition(id));
            }
            return Err(refusal);
        }
    };
    if config.role == Role::Management {
        shared.machine.set_management(partition.clone());
        prepare_management(&partition, &mut works);
        show_archive(&partition, &mut works);
    }
    drop(works);
    info!(
        "partition {}: {} MiB, {} vCPUs",
        config.name,
        partition.memory.bytes() >> 20,
        config.vcpus
    );
    lifecycle::prepare(&partition, cpu).map_err(Refusal::Start)?;
    Ok(partition)
}

/// What the partition is made of.
fn order(
    shared: &'static Shared,
    works: &mut Works,
    config: &PartitionConfig,
    (id, image): (PartitionId, &'static [u8]),
    memory: GuestMemory,
) -> Result<Order, Refusal> {
    let mut facts = shared.facts;
    let windows = match config.role {
        Role::Management => {
            let iommus = dma::description(shared).map_err(Refusal::Iommu)?;
            let hidden: Vec<_> = iommus.iter().flat_map(dma::registers).collect();
            works.windows = devices::window_area(shared, &hidden);
            info!(
                "windows onto guests: {} GiB from {} on",
                works.windows.bytes() >> 30,
                works.windows.start()
            );
            let windows = devices::windows(shared, &works.windows, &hidden);
            facts.iommu = dma::confine(shared, iommus, &mut works.frames, id, &memory)
                .map_err(Refusal::Iommu)?;
            windows
        }
        Role::Guest => DeviceWindows::none(),
    };
    Ok(Order {
        id,
        name: config.name.clone(),
        role: config.role,
        origin: PartitionOrigin::Configuration,
        cookie: [0; 16],
        boot: Some(BootImage {
            image,
            arguments: config.arguments.clone(),
            archive: shared
                .boot
                .archive
                .filter(|_| config.role == Role::Management),
            facts,
        }),
        memory,
        windows,
        shape: CpuShape::flat(config.vcpus),
        owners: owners(shared, config)?,
        entitlement: Entitlement::default(),
    })
}

/// The partition's RAM: for management identity-mapped and in one piece, else as a PC has it.
fn memory(
    frames: &mut FrameAllocator<'static>,
    id: PartitionId,
    config: &PartitionConfig,
) -> Result<GuestMemory, ResourceError> {
    if config.role == Role::Guest {
        return creation::take_ram(frames, id, config.memory, &[0; NODES]);
    }
    let machine = frames.allocate_contiguous(
        Owner::Partition(id),
        config.memory,
        PageSize::Size2M,
        Some(Hpa::new(DMA_LIMIT)),
        Placement::Anywhere,
    )?;
    let gpa = Gpa::new(machine.start.as_u64());
    Ok(GuestMemory::new(alloc::vec![RamRange { gpa, machine }]))
}

/// Shows the archive of boot modules to the partition. What shares a page with it was the boot loader's as well.
fn show_archive(partition: &Partition, works: &mut Works) {
    let Some(archive) = partition.boot.as_ref().and_then(|boot| boot.archive) else {
        return;
    };
    let start = archive.start.align_down(PageSize::Size4K);
    let range = archive.end.align_up(PageSize::Size4K);
    let range = range.and_then(|end| HpaRange::new(start, end.as_u64() - start.as_u64()));
    // Tables for the worst case: a path to each end, and one table for every 2 MiB.
    let tables = 8 + (archive.bytes() >> 21);
    let mapped = range.is_some_and(|range| {
        let gpa = Gpa::new(range.start.as_u64());
        let mut space = partition.space.lock();
        pool::grow(tables, &mut works.frames).is_ok()
            && space.map(gpa, range, Content::ReadOnly).is_ok()
    });
    if !mapped {
        error!("the boot modules cannot be shown to {}", partition.name);
    }
}

/// Makes the tables behind the pages that the partition will share with the hypervisor, so that the number of free ones does not
/// depend on which pages these are.
fn prepare_management(partition: &Partition, works: &mut Works) {
    for range in partition.memory.ranges() {
        for offset in (0..range.machine.bytes()).step_by(BLOCK_BYTES as usize) {
            let first = range.machine.start.wrapping_add(offset);
            let page = HpaRange::new(first, PAGE_SIZE);
            let needed = pool::grow(1, &mut works.frames);
            if let (Some(page), Ok(())) = (page, needed) {
                // SAFETY: RAM of the partition, which the hypervisor reaches there by atomic accesses only.
                let _ = unsafe { space::map_direct(page) };
            }
        }
    }
}

/// The physical CPU of each vCPU.
fn owners(shared: &Shared, config: &PartitionConfig) -> Result<Vec<CpuId>, Refusal> {
    let mut owners = Vec::new();
    for number in 0..config.vcpus {
        let pinned = config.pin.iter().cycle().nth(usize::from(number)).copied();
        let allowed =
            |cpu| shared.apic_of(cpu).is_some() && pinned.is_none_or(|pinned| pinned == cpu);
        let place = shared.machine.take_place(allowed, load(config));
        match place {
            Some(cpu) => owners.push(cpu),
            None => {
                leave(shared, &owners, load(config));
                return Err(Refusal::NoSuchCpu(pinned.unwrap_or_default()));
            }
        }
    }
    Ok(owners)
}

/// What each vCPU counts for.
fn load(config: &PartitionConfig) -> Load {
    Load::of_vcpu(Entitlement::default(), config.vcpus.into())
}

fn leave(shared: &Shared, places: &[CpuId], load: Load) {
    for place in places {
        shared.machine.leave_place(*place, load);
    }
}
