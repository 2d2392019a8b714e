//! What all CPUs share, set once by the boot CPU.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use bulkhead_abi::host::{HostInfo, NODE_CPUS, NODES};
use bulkhead_boot::BootInfo;
use bulkhead_core::boot_image::StartFacts;
use bulkhead_core::cpu_shape::CpuShape;
use bulkhead_core::cpuid::{CpuidFeatures, CpuidPolicy, CpuidTable, HypervisorLeaves};
use bulkhead_core::fault::ResourceError;
use bulkhead_core::id::{ApicId, CpuId};
use bulkhead_core::local_apic::{ExtendedDestination, LapicConfig, LapicFeatures};
use bulkhead_core::machine::{Machine, WhenDone};
use bulkhead_core::msr::{BankConfig, DIRECT, Vendor, number};
use bulkhead_core::paging::GigabytePages;
use bulkhead_core::paravirtual_clock;
use bulkhead_core::pc_board::BoardConfig;
use bulkhead_core::time::{Hertz, Instant, Ratio};
use bulkhead_hw::acpi::Acpi;
use bulkhead_hw::cpuid::ThisCpu as HostCpuid;
use bulkhead_hw::percpu::PerCpu;
use bulkhead_hw::probe::{CpuFeatures, CpuidSource, Vendor as CpuVendor, Virtualization};
use bulkhead_hw::virtualization::{MsrAccess, PermissionMaps};
use spin::Once;

use super::devices;
use crate::bringup::{Exit, IommuChoice, Platform};

/// Rate of the virtual local APICs' timers.
const APIC_TIMER_HZ: u64 = 1_000_000_000;
/// Port of the partitions' ACPI timers.
const PM_TIMER_PORT: u16 = 0x608;
/// XCR0 bits that guests may use: x87, SSE, AVX, AVX-512, PKRU.
const XCR0: u64 = 0x2e7;

/// The shared record.
pub struct Shared {
    /// Partitions, inboxes, interrupt routes.
    pub machine: Machine,
    /// CPUs that have no run loop yet.
    expected: AtomicUsize,
    /// The CPUs by number.
    pub cpus: Vec<(&'static PerCpu, ApicId)>,
    /// The TSC's rate.
    pub tsc: Hertz,
    /// From TSC ticks to ticks of the host's APIC timers.
    pub tsc_to_timer: Ratio,
    /// What all virtual local APICs have in common.
    pub lapic: LapicConfig,
    /// What all MSR banks have in common.
    pub bank: BankConfig,
    /// What all platform devices have in common; see [`Shared::board_at`].
    board: BoardConfig,
    /// Which ports and MSRs guests reach themselves.
    pub guest_maps: PermissionMaps,
    /// Which the management partition does.
    pub management_maps: PermissionMaps,
    /// Whether the IOMMU is used.
    pub iommu: IommuChoice,
    /// The CPU's features.
    pub features: CpuFeatures,
    /// The CPU's virtualization.
    pub virtualization: Virtualization,
    /// What the boot loader said.
    pub boot: Box<BootInfo>,
    /// What ACPI says.
    pub acpi: Box<Acpi>,
    /// What partitions are told at their start.
    pub facts: StartFacts,
    /// What managers are told of the machine; the changing numbers are filled in on request.
    pub info: HostInfo,
}

static SHARED: Once<Shared> = Once::new();

impl Shared {
    /// Makes the record known to all CPUs.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn publish(platform: Platform) -> Result<&'static Shared, ResourceError> {
        let cpus: Vec<_> = platform
            .cpus
            .iter()
            .map(|cpu| (cpu.block, cpu.block.apic))
            .collect();
        let when_done = match platform.options.exit {
            Exit::Never => WhenDone::Stay,
            Exit::WhenDone => WhenDone::PowerOff,
        };
        let apic_timer = Hertz::new(APIC_TIMER_HZ).ok_or(ResourceError::TableFull("clocks"))?;
        let physical_bits = platform.features.physical_bits;
        let ecam = platform
            .acpi
            .config_spaces
            .iter()
            .find(|space| space.segment == 0);
        let mut brand = [0; 48];
        for (slot, byte) in brand.iter_mut().zip(platform.identity.brand().bytes()) {
            *slot = byte;
        }
        let mut version = [0; 32];
        for (slot, byte) in version.iter_mut().zip(env!("CARGO_PKG_VERSION").bytes()) {
            *slot = byte;
        }
        let mut cpu_nodes = [0; NODE_CPUS];
        for cpu in &platform.cpus {
            if let Some(node) = cpu_nodes.get_mut(usize::from(cpu.block.cpu.0)) {
                *node = cpu.node.0.min(u8::MAX.into()) as u8;
            }
        }
        let guest_memory_bytes = platform.frames.total_bytes();
        let shared = Shared {
            // CPU numbers of CPUs that failed to start stay unused.
            machine: Machine::new(
                cpus.iter().map(|(cpu, _)| cpu.cpu.0 + 1).max().unwrap_or(1),
                when_done,
                platform.frames,
            ),
            expected: AtomicUsize::new(cpus.len()),
            tsc: platform.tsc,
            tsc_to_timer: Ratio::new(platform.tsc, platform.apic_timer),
            lapic: LapicConfig {
                timer_hz: apic_timer,
                tsc_hz: platform.tsc,
                physical_bits,
                features: LapicFeatures::X2APIC | LapicFeatures::TSC_DEADLINE,
            },
            bank: BankConfig {
                vendor: match platform.identity.vendor {
                    CpuVendor::Intel => Vendor::Intel,
                    // Others that have SVM descend from AMD's designs.
                    CpuVendor::Amd | CpuVendor::Other => Vendor::Amd,
                },
                physical_bits,
                microcode: 0,
                tsc: Some(platform.tsc),
            },
            board: BoardConfig {
                tsc: platform.tsc,
                seconds: platform.boot_time.unwrap_or(0),
                extended: ExtendedDestination::On,
                pm_timer_port: PM_TIMER_PORT,
            },
            guest_maps: guest_maps()?,
            management_maps: management_maps()?,
            iommu: platform.options.iommu,
            features: platform.features,
            virtualization: platform.virtualization,
            facts: StartFacts {
                tsc_hz: platform.tsc.get(),
                apic_timer_hz: APIC_TIMER_HZ,
                ecam_base: ecam.map_or(0, |space| space.base.as_u64()),
                ecam_buses: ecam.map_or((0, 0), |space| (space.first_bus, space.last_bus)),
                boot_time: platform
                    .boot_time
                    .and_then(|seconds| u64::try_from(seconds).ok())
                    .unwrap_or(0),
                ..StartFacts::default()
            },
            info: HostInfo {
                version: bulkhead_abi::VERSION,
                cpus: cpus.len() as u32,
                memory_bytes: platform.memory_bytes,
                guest_memory_bytes,
                guest_memory_free: 0,
                hypervisor_bytes: platform.foundation.bytes(),
                tsc_hz: platform.tsc.get(),
                tsc: 0,
                cpu_brand: brand,
                nodes: platform.nodes.count() as u32,
                iommu: 0,
                hypervisor_version: version,
                hypervisor_free_bytes: 0,
                node_free: [0; NODES],
                cpu_nodes,
            },
            cpus,
            boot: platform.boot,
            acpi: platform.acpi,
        };
        Ok(SHARED.call_once(|| shared))
    }

    /// The record, as soon as it is there.
    pub fn wait() -> &'static Shared {
        loop {
            if let Some(shared) = SHARED.get() {
                return shared;
            }
            core::hint::spin_loop();
        }
    }

    /// Says that the CPU which runs this has its run loop, and all the memory that it needs.
    pub fn arrive(&self) {
        self.expected.fetch_sub(1, Ordering::Release);
    }

    /// Waits until all other CPUs have arrived. One that cannot has said why.
    pub fn wait_for_others(&self) {
        while self.expected.load(Ordering::Acquire) > 1 {
            core::hint::spin_loop();
        }
    }

    /// What the platform devices of a partition that is made now are made for: their clock shows the time.
    pub fn board_at(&self, now: Instant) -> BoardConfig {
        let passed = now.0 / self.tsc.get();
        BoardConfig {
            seconds: self.board.seconds.saturating_add_unsigned(passed),
            ..self.board
        }
    }

    /// Whether nested tables can hold 1 GiB pages.
    pub fn gigabyte_pages(&self) -> GigabytePages {
        let supported = match &self.virtualization {
            Virtualization::Svm(_) => self.features.gigabyte_pages,
            Virtualization::Vmx(probe) => probe.gigabyte_pages,
        };
        if supported {
            GigabytePages::Supported
        } else {
            GigabytePages::Absent
        }
    }

    /// What CPUID tells a partition of this shape.
    pub fn cpuid(&self, shape: &CpuShape) -> CpuidTable {
        let policy = CpuidPolicy {
            shape: *shape,
            features: CpuidFeatures::X2APIC | CpuidFeatures::TSC_DEADLINE,
            physical_bits: self.features.physical_bits,
            xcr0: XCR0,
            tsc: Some(self.tsc),
            lapic_timer: self.lapic.timer_hz,
            hypervisor: HypervisorLeaves {
                interface: [bulkhead_abi::VERSION, 0, 0, 0],
                compatible: Some(paravirtual_clock::FEATURES),
            },
        };
        CpuidTable::new(&policy, &|leaf, subleaf| HostCpuid.cpuid(leaf, subleaf))
    }

    /// The APIC id of a CPU.
    pub fn apic_of(&self, cpu: CpuId) -> Option<ApicId> {
        self.cpus
            .iter()
            .find(|(block, _)| block.cpu == cpu)
            .map(|(_, apic)| *apic)
    }

    /// The CPU with an APIC id.
    pub fn cpu_of(&self, apic: ApicId) -> Option<CpuId> {
        self.cpus
            .iter()
            .find(|(_, id)| *id == apic)
            .map(|(block, _)| block.cpu)
    }
}

/// Every port exits; MSRs that the backend switches do not.
fn guest_maps() -> Result<PermissionMaps, ResourceError> {
    let mut maps = PermissionMaps::intercept_all()?;
    for direct in DIRECT {
        // TSC_AUX is switched lazily, from the value of its last intercepted write.
        if direct.msr != number::TSC_AUX {
            maps.open_msr(direct.msr, MsrAccess::ReadWrite);
        }
    }
    Ok(maps)
}

/// The same with PCI configuration.
fn management_maps() -> Result<PermissionMaps, ResourceError> {
    let mut maps = guest_maps()?;
    let (first, last) = devices::PCI_CONFIG_PORTS;
    maps.open_ports(first, last);
    Ok(maps)
}
