//! The further CPUs.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use bulkhead_core::id::{ApicId, CpuId, Vector};
use bulkhead_core::time::Hertz;
use bulkhead_hw::acpi::Acpi;
use bulkhead_hw::apic::{self, ApicMode};
use bulkhead_hw::cpuid::ThisCpu;
use bulkhead_hw::layout::MAX_CPUS;
use bulkhead_hw::numa::Nodes;
use bulkhead_hw::percpu::PerCpu;
use bulkhead_hw::probe::{CpuFeatures, Virtualization};
use bulkhead_hw::smp::{self, StartPage};
use bulkhead_hw::{debug, idt, info, registers, space, warn};

use super::platform::Cpu;
use super::{ThisMsrs, image};

/// The interrupt that wakes a waiting CPU: what arrived is found by looking.
const WAKE: Vector = Vector(0xf0);

/// Highest APIC id that xAPIC mode can address.
const XAPIC_HIGHEST: u32 = 254;

static RELEASED: AtomicBool = AtomicBool::new(false);

/// Starts all CPUs of the MADT but `boot`, and gives all that take part.
pub fn start_all(
    acpi: &Acpi,
    nodes: &Nodes,
    boot: &'static PerCpu,
    page: Option<StartPage>,
    tsc: Hertz,
) -> Vec<Cpu> {
    let node = |apic: ApicId| nodes.of_cpu(&acpi.srat, apic);
    let mut cpus = Vec::new();
    cpus.push(Cpu {
        block: boot,
        node: node(boot.apic),
    });
    let others = || {
        acpi.madt
            .cpus
            .iter()
            .filter(|entry| entry.apic != boot.apic)
    };
    let Some(page) = page else {
        if others().next().is_some() {
            warn!("no free page below 640 KiB: only the boot CPU is used");
        }
        return cpus;
    };
    let entry = image::smp_entry();
    // SAFETY: the other CPUs sleep in the firmware.
    unsafe { smp::reset(others().map(|other| other.apic), tsc) };
    // A number is used up even by a CPU that fails: its region stays mapped.
    for (number, other) in (1..).zip(others()) {
        if usize::from(number) >= MAX_CPUS {
            warn!("more than {MAX_CPUS} CPUs: the rest is left out");
            break;
        }
        if apic::mode() == Some(ApicMode::Xapic) && other.apic.0 > XAPIC_HIGHEST {
            warn!(
                "the CPU with APIC id {} needs x2APIC mode, left out",
                other.apic
            );
            continue;
        }
        // SAFETY: the page was filled before the identity map went; ids in the MADT are unique,
        // and this CPU runs on the final tables.
        match unsafe { smp::start(CpuId(number), other.apic, page, &entry, tsc) } {
            Ok(block) => cpus.push(Cpu {
                block,
                node: node(other.apic),
            }),
            Err(error) => warn!("the CPU with APIC id {} is left out: {error}", other.apic),
        }
    }
    cpus
}

/// Sets up the running further CPU, and waits until the boot CPU has started the host.
pub fn join(block: &'static PerCpu, mode: ApicMode) {
    let features = CpuFeatures::read(&ThisCpu);
    // SAFETY: the block is this CPU's, the tables are the final ones, the IDT was filled by the
    // boot CPU, and the APIC's registers are mapped.
    unsafe {
        space::activate(&features);
        block.install();
        idt::load();
        apic::enable(mode);
    }
    if apic::id() != Some(block.apic) {
        warn!(
            "CPU {} finds another APIC id than the firmware gave",
            block.cpu
        );
    }
    if let Err(refusal) = Virtualization::read(&ThisCpu, &ThisMsrs) {
        warn!("CPU {} cannot run partitions: {refusal}", block.cpu);
        registers::halt();
    }
    smp::arrived(block);
    // Pairs with the release in `release_all`.
    while !RELEASED.load(Ordering::Acquire) {
        // SAFETY: the IDT is loaded, and no lock is held.
        unsafe { registers::wait_for_interrupt() };
    }
    while block.take_pending().is_some() {}
}

/// Lets the further CPUs go on.
pub fn release_all(cpus: &[Cpu]) {
    for cpu in cpus {
        let block = cpu.block;
        debug!(
            "CPU {}: APIC id {}, node {}",
            block.cpu, block.apic, cpu.node.0
        );
    }
    RELEASED.store(true, Ordering::Release);
    for cpu in cpus.iter().skip(1) {
        apic::send(cpu.block.apic, WAKE);
    }
    info!(
        "{} CPUs online, {} mode",
        cpus.len(),
        super::interrupts::mode_name()
    );
}
