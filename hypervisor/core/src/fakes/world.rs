//! A machine with partitions over the fakes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::host::{FakeHost, Made};
use super::memory::{FakeMemory, NestedEntries, NestedFrames};
use super::script::Scripted;
use bulkhead_abi::host::PartitionOrigin;

use crate::addr::{Gpa, Hpa, HpaRange};
use crate::boot_image::{BootImage, StartFacts};
use crate::config::Role;
use crate::cpu_shape::CpuShape;
use crate::cpuid::{CpuidFeatures, CpuidPolicy, CpuidTable, HypervisorLeaves, Leaf};
use crate::device_windows::DeviceWindows;
use crate::fault::ResourceError;
use crate::frames::{FrameAllocator, Layout, NodeId, NodeRange, Storage, Zone};
use crate::guest_memory::{GuestMemory, RamRange};
use crate::id::{ApicId, CpuId, VcpuId};
use crate::local_apic::{
    ExtendedDestination, LapicConfig, LapicFeatures, LocalApic, ProcessorRole,
};
use crate::machine::{Adoption, Machine, WhenDone};
use crate::msr::{Bank, BankConfig, Vendor};
use crate::nested_space::{Content, NestedSpace, NestedTables};
use crate::paging::{GigabytePages, LongMode, UserBit};
use crate::partition::{Partition, PartitionParts};
use crate::pc_board::BoardConfig;
use crate::platform_devices::PlatformDevices;
use crate::sched::Entitlement;
use crate::shared_vcpu::SharedVcpu;
use crate::time::{Hertz, Instant};
use crate::vcpu_record::VcpuRecord;

/// RAM of each partition.
pub const GUEST_BYTES: u64 = 4 << 20;
/// Where the management partition's RAM is, in both address spaces.
pub const MANAGER_BASE: u64 = 0x4000_0000;
/// The rate of the fake TSC and of the virtual APIC timers: one tick is one nanosecond.
const CLOCK: u64 = 1_000_000_000;

/// A machine.
pub struct World {
    pub machine: &'static Machine,
    pub clock: Rc<Cell<u64>>,
    pub memory: Rc<RefCell<FakeMemory>>,
    /// The nested tables of all partitions.
    pub nested: NestedEntries,
    /// The frames of these tables.
    pub frames: NestedFrames,
    pub made: Rc<Made>,
    /// Who makes the next partitions.
    pub origin: PartitionOrigin,
    guests: u64,
}

/// RAM for partitions that management makes.
pub const POOL_BASE: u64 = 0x2_0000_0000;
/// Its bytes.
pub const POOL_BYTES: u64 = 64 << 20;

/// The last bytes of it, which belong to NUMA node 1.
pub const FAR_BYTES: u64 = 16 << 20;

/// An allocator of the pool, and of records for this many partitions.
fn pool() -> FrameAllocator<'static> {
    let node = |node, start, bytes| NodeRange {
        node: NodeId(node),
        range: HpaRange::new(Hpa::new(start), bytes).unwrap(),
    };
    let far = POOL_BASE + POOL_BYTES - FAR_BYTES;
    let usable = [
        node(0, POOL_BASE, POOL_BYTES - FAR_BYTES),
        node(1, far, FAR_BYTES),
    ];
    let zones = Box::leak(Box::new([Zone::default(); 4]));
    let layout = Layout::plan(zones, &usable, &[]).unwrap();
    let storage = Storage {
        blocks: Box::leak(vec![0; layout.blocks()].into_boxed_slice()),
        chunks: Box::leak(vec![0; layout.chunks()].into_boxed_slice()),
        partitions: Box::leak(vec![0; 1024].into_boxed_slice()),
    };
    FrameAllocator::new(layout, storage).unwrap()
}

fn clock() -> Hertz {
    Hertz::new(CLOCK).unwrap()
}

/// An ELF image of three bytes (NOP, NOP, HLT) that goes to 1 MiB.
pub fn start_image() -> &'static [u8] {
    let code = [0x90, 0x90, 0xf4];
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for field in [0x10_0000_u64, 64, 0] {
        file.extend(field.to_le_bytes());
    }
    file.extend([0; 4]);
    for field in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(field.to_le_bytes());
    }
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for field in [120_u64, 0x10_0000, 0x10_0000, 3, 3, 0x1000] {
        file.extend(field.to_le_bytes());
    }
    file.extend(code);
    Box::leak(file.into_boxed_slice())
}

/// The same, to be placed anywhere: for management, whose RAM lies high.
fn relocatable_image() -> &'static [u8] {
    let mut file = start_image().to_vec();
    file[16] = 3;
    Box::leak(file.into_boxed_slice())
}

/// The CPUID of a small AMD CPU.
fn host_cpuid(leaf: u32, subleaf: u32) -> Leaf {
    let name = [
        u32::from_le_bytes(*b"Auth"),
        u32::from_le_bytes(*b"cAMD"),
        u32::from_le_bytes(*b"enti"),
    ];
    match (leaf, subleaf) {
        (0, _) => [0xd, name[0], name[1], name[2]],
        (1, _) => [0x0080_0f12, 0x0002_0800, 0xf6f8_320b, 0x078b_fbfd],
        (7, 0) => [0, 0x0098_01a9, 0, 0],
        (0xd, 0) => [7, 0x340, 0x340, 0],
        (0xd, 1) => [1, 0x340, 0, 0],
        (0xd, 2) => [0x100, 0x240, 0, 0],
        (0x8000_0000, _) => [0x8000_001e, name[0], name[1], name[2]],
        (0x8000_0001, _) => [0x0080_0f12, 0, 0x77, 0x2fd3_fbfd],
        (0x8000_0008, _) => [0x3028, 0, 0, 0],
        _ => [0; 4],
    }
}

impl World {
    /// A machine of `cpus` CPUs at time 1000.
    pub fn new(cpus: u16) -> Self {
        Self::ending(cpus, WhenDone::Stay)
    }

    /// The same, and what becomes of it when its guests have ended.
    pub fn ending(cpus: u16, when_done: WhenDone) -> Self {
        Self {
            machine: Box::leak(Box::new(Machine::new(cpus, when_done, pool()))),
            clock: Rc::new(Cell::new(1000)),
            memory: Rc::default(),
            nested: NestedEntries::default(),
            frames: NestedFrames::default(),
            made: Rc::default(),
            origin: PartitionOrigin::Configuration,
            guests: 0,
        }
    }

    /// A CPU.
    pub fn host(&self, cpu: u16) -> FakeHost {
        FakeHost::new(
            CpuId(cpu),
            self.clock.clone(),
            self.memory.clone(),
            self.machine,
            self.made.clone(),
            (self.nested.clone(), self.frames.clone()),
        )
    }

    /// A guest with a vCPU on each of these CPUs and RAM from 0 on.
    pub fn guest(&mut self, owners: &[u16]) -> Arc<Partition> {
        let ram = RamRange {
            gpa: Gpa::new(0),
            machine: HpaRange::new(
                Hpa::new(0x1_0000_0000 + self.guests * GUEST_BYTES),
                GUEST_BYTES,
            )
            .unwrap(),
        };
        self.guests += 1;
        self.partition(Role::Guest, owners, ram, DeviceWindows::none())
    }

    /// The management partition, with device windows from 2 GiB to 3 GiB but for one page, and a small one at 0xe0000000.
    pub fn manager(&mut self, owners: &[u16]) -> Arc<Partition> {
        let range = |start, bytes| HpaRange::new(Hpa::new(start), bytes).unwrap();
        let windows = DeviceWindows::new(
            vec![
                range(0x8000_0000, 0x4000_0000),
                range(0xe000_0000, 0x10_0000),
            ],
            vec![range(0x8040_3000, 0x1000)],
        );
        let ram = RamRange {
            gpa: Gpa::new(MANAGER_BASE),
            machine: range(MANAGER_BASE, GUEST_BYTES),
        };
        let manager = self.partition(Role::Management, owners, ram, windows);
        self.machine.set_management(manager.clone());
        manager
    }

    fn partition(
        &mut self,
        role: Role,
        owners: &[u16],
        ram: RamRange,
        windows: DeviceWindows,
    ) -> Arc<Partition> {
        let mut space = empty_space(&self.nested, &self.frames).unwrap();
        space.map(ram.gpa, ram.machine, Content::Ram).unwrap();
        let id = self.machine.free_id().unwrap();
        let vcpus = (0..).zip(owners).map(|(number, owner)| {
            let apic = ApicId(u32::from(number));
            Arc::new(SharedVcpu::new(VcpuId(number), apic, CpuId(*owner)))
        });
        let image = match role {
            Role::Management => relocatable_image(),
            Role::Guest => start_image(),
        };
        let partition = Arc::new(Partition::new(PartitionParts {
            id,
            name: format!("p{id}"),
            role,
            origin: self.origin,
            cookie: [0; 16],
            boot: Some(BootImage {
                image,
                arguments: String::from("quiet"),
                archive: None,
                facts: StartFacts::default(),
            }),
            memory: GuestMemory::new(vec![ram]),
            windows,
            space,
            cpuid: cpuid_table(&CpuShape::flat(owners.len() as u16)),
            devices: PlatformDevices::new(&board(), Instant(self.clock.get())),
            vcpus: vcpus.collect(),
            entitlement: Entitlement::default(),
        }));
        self.machine.add(partition.clone()).unwrap();
        partition
    }

    /// The record of a vCPU, as its CPU gets it.
    pub fn record(&mut self, partition: &Arc<Partition>, id: u16) -> Box<VcpuRecord<Scripted>> {
        record(&self.made, partition, VcpuId(id))
    }

    /// Hands all vCPUs of a partition to their CPUs.
    pub fn hand_over(&self, partition: &Arc<Partition>) {
        for vcpu in &partition.vcpus {
            let adoption = Adoption::new(record(&self.made, partition, vcpu.id));
            self.machine.hand_over(vcpu.owner(), adoption);
        }
    }
}

/// The record of a vCPU.
pub fn record(made: &Made, partition: &Arc<Partition>, id: VcpuId) -> Box<VcpuRecord<Scripted>> {
    made.serial.set(made.serial.get() + 1);
    let shared = partition.vcpu(id).unwrap().clone();
    let role = match id {
        VcpuId(0) => ProcessorRole::Bootstrap,
        _ => ProcessorRole::Application,
    };
    let lapic = LapicConfig {
        timer_hz: clock(),
        tsc_hz: clock(),
        physical_bits: 40,
        features: LapicFeatures::X2APIC | LapicFeatures::TSC_DEADLINE,
    };
    let bank = Bank::new(BankConfig {
        vendor: Vendor::Amd,
        physical_bits: 40,
        microcode: 0,
        tsc: Some(clock()),
    });
    Box::new(VcpuRecord::new(
        Scripted::new(made.serial.get()),
        shared.clone(),
        partition.clone(),
        LocalApic::new(shared.apic_id, role, &lapic),
        bank,
    ))
}

/// Nested tables with nothing mapped.
pub fn empty_space(
    entries: &NestedEntries,
    frames: &NestedFrames,
) -> Result<Box<dyn NestedSpace>, ResourceError> {
    let format = LongMode::new(UserBit::Always, GigabytePages::Absent, 40);
    let tables = NestedTables::new(format, entries.clone(), frames.clone())?;
    Ok(Box::new(tables))
}

/// The platform devices' configuration.
pub fn board() -> BoardConfig {
    BoardConfig {
        tsc: clock(),
        seconds: 0,
        extended: ExtendedDestination::On,
        pm_timer_port: 0x608,
    }
}

/// What CPUID tells.
pub fn cpuid_table(shape: &CpuShape) -> CpuidTable {
    let policy = CpuidPolicy {
        shape: *shape,
        features: CpuidFeatures::all(),
        physical_bits: 40,
        xcr0: 7,
        tsc: Some(clock()),
        lapic_timer: clock(),
        hypervisor: HypervisorLeaves {
            interface: [1, 0, 0, 0],
            compatible: None,
        },
    };
    CpuidTable::new(&policy, &host_cpuid)
}
