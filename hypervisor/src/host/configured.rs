//! The partitions of the boot configuration: memory, tables, vCPUs.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bulkhead_boot::Module;
use bulkhead_core::addr::{Gpa, HpaRange, PageSize};
use bulkhead_core::boot_image::BootImage;
use bulkhead_core::config::{self, PartitionConfig, Role};
use bulkhead_core::device_windows::DeviceWindows;
use bulkhead_core::fault::ResourceError;
use bulkhead_core::frames::{FrameAllocator, Owner, Placement};
use bulkhead_core::guest_memory::{GuestMemory, RamRange};
use bulkhead_core::host::Host;
use bulkhead_core::id::{ApicId, CpuId, PartitionId, VcpuId};
use bulkhead_core::lifecycle;
use bulkhead_core::machine::Adoption;
use bulkhead_core::nested_space::{Content, NestedSpace, NestedTables};
use bulkhead_core::paging::{LongMode, UserBit};
use bulkhead_core::partition::{Partition, PartitionParts};
use bulkhead_core::platform_devices::PlatformDevices;
use bulkhead_core::shared_vcpu::SharedVcpu;
use bulkhead_hw::pool::{self, Tables};
use bulkhead_hw::{error, info, space};

use super::shared::Shared;
use super::this_cpu::ThisCpu;
use super::{devices, dma};

/// The module that says which partitions there are.
const CONFIGURATION: &str = "partitions.conf";
/// Frames for the tables of one partition and of the hypervisor's view of it.
const TABLE_FRAMES: u64 = 256;
/// The management partition's devices may reach only so far without an IOMMU.
const DMA_LIMIT: u64 = 1 << 32;

/// Why a partition of the configuration cannot be made.
enum Refusal {
    NoSuchModule,
    Resource(ResourceError),
    Space,
    Start(lifecycle::StartError),
    NoSuchCpu(CpuId),
    Iommu(dma::Refusal),
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refusal::NoSuchModule => f.write_str("its image is not among the boot modules"),
            Refusal::Resource(error) => error.fmt(f),
            Refusal::Space => f.write_str("its memory cannot be mapped"),
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
pub fn start_all(shared: &'static Shared, mut frames: FrameAllocator<'static>, cpu: &mut ThisCpu) {
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
    let mut next_cpu = 0;
    let mut prepared = Vec::new();
    for config in &configs {
        match prepare_one(shared, &mut frames, cpu, config, &mut next_cpu) {
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
        frames.free_bytes() >> 20
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
    frames: &mut FrameAllocator<'static>,
    cpu: &mut ThisCpu,
    config: &PartitionConfig,
    next_cpu: &mut usize,
) -> Result<Arc<Partition>, Refusal> {
    let image = module(shared, &config.image).ok_or(Refusal::NoSuchModule)?;
    pool::grow(TABLE_FRAMES, frames)?;
    let id = shared.machine.next_id();
    let memory = memory(frames, id, config)?;
    let space = space_of(shared, &memory)?;
    let mut facts = shared.facts;
    let windows = match config.role {
        Role::Management => {
            let iommus = dma::description(shared).map_err(Refusal::Iommu)?;
            let hidden = iommus.iter().flat_map(dma::registers);
            let windows = devices::windows(
                &shared.boot,
                &shared.acpi,
                shared.features.physical_bits,
                hidden,
            );
            facts.iommu =
                dma::confine(shared, iommus, frames, id, &memory).map_err(Refusal::Iommu)?;
            windows
        }
        Role::Guest => DeviceWindows::none(),
    };
    let vcpus = vcpus(shared, config, next_cpu)?;
    let partition = Arc::new(Partition::new(PartitionParts {
        id,
        name: config.name.clone(),
        role: config.role,
        boot: BootImage {
            image,
            arguments: config.arguments.clone(),
            archive: None,
            facts,
        },
        memory,
        windows,
        space,
        cpuid: shared.cpuid(config.vcpus),
        devices: PlatformDevices::new(&shared.board_at(cpu.now()), cpu.now()),
        vcpus,
    }));
    shared.machine.add(partition.clone())?;
    if config.role == Role::Management {
        shared.machine.set_management(partition.clone());
    }
    for vcpu in &partition.vcpus {
        let adoption = Adoption {
            partition: partition.clone(),
            vcpu: vcpu.id,
        };
        shared.machine.hand_over(vcpu.owner(), adoption);
    }
    info!(
        "partition {}: {} MiB, {} vCPUs",
        config.name,
        partition.memory.bytes() >> 20,
        config.vcpus
    );
    lifecycle::prepare(&partition, cpu).map_err(Refusal::Start)?;
    Ok(partition)
}

/// The partition's RAM: for management identity-mapped and in one piece, else as a PC has it.
fn memory(
    frames: &mut FrameAllocator<'static>,
    id: PartitionId,
    config: &PartitionConfig,
) -> Result<GuestMemory, ResourceError> {
    let owner = Owner::Partition(id);
    if config.role == Role::Management {
        let machine = frames.allocate_contiguous(
            owner,
            config.memory,
            PageSize::Size2M,
            Some(bulkhead_core::addr::Hpa::new(DMA_LIMIT)),
            Placement::Anywhere,
        )?;
        let gpa = Gpa::new(machine.start.as_u64());
        return Ok(GuestMemory::new(alloc::vec![RamRange { gpa, machine }]));
    }
    let mut pieces = Vec::new();
    frames.allocate(owner, config.memory, Placement::Anywhere, |piece| {
        pieces.push(piece)
    })?;
    Ok(GuestMemory::with_pc_hole(pieces))
}

/// Nested tables that map all of the RAM.
fn space_of(shared: &Shared, memory: &GuestMemory) -> Result<Box<dyn NestedSpace>, Refusal> {
    let format = LongMode::new(
        UserBit::Always,
        shared.gigabyte_pages(),
        shared.features.physical_bits,
    );
    let mut space: Box<dyn NestedSpace> = Box::new(NestedTables::new(format, Tables, Tables)?);
    for range in memory.ranges() {
        space
            .map(range.gpa, range.machine, Content::Ram)
            .map_err(|_| Refusal::Space)?;
    }
    Ok(space)
}

/// The shared parts of the vCPUs, each with its physical CPU.
fn vcpus(
    shared: &Shared,
    config: &PartitionConfig,
    next_cpu: &mut usize,
) -> Result<Vec<Arc<SharedVcpu>>, Refusal> {
    let mut vcpus = Vec::new();
    for number in 0..config.vcpus {
        let owner = match config.pin.iter().cycle().nth(usize::from(number)) {
            Some(&pinned) => pinned,
            None => {
                let chosen = shared
                    .cpus
                    .iter()
                    .cycle()
                    .nth(*next_cpu)
                    .map_or(CpuId(0), |(block, _)| block.cpu);
                *next_cpu = (*next_cpu + 1) % shared.cpus.len().max(1);
                chosen
            }
        };
        if shared.apic_of(owner).is_none() {
            return Err(Refusal::NoSuchCpu(owner));
        }
        vcpus.push(Arc::new(SharedVcpu::new(
            VcpuId(number),
            ApicId(u32::from(number)),
            owner,
        )));
    }
    Ok(vcpus)
}
