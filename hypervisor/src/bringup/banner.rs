//! What the machine is, in lines for the operator.

use bulkhead_boot::{BootInfo, MemoryKind};
use bulkhead_hw::acpi::Acpi;
use bulkhead_hw::info;
use bulkhead_hw::probe::{CpuFeatures, CpuIdentity, CpuidSource, MsrSource, Virtualization};
use heapless::String;

/// Names joined by blanks; those beyond the room are left out.
fn names(table: impl Iterator<Item = (&'static str, bool)>, wanted: Found) -> String<200> {
    let mut text = String::new();
    for (name, found) in table {
        if found == (wanted == Found::Yes) {
            let _cut = text.push(' ').and_then(|()| text.push_str(name));
        }
    }
    if text.is_empty() {
        let _fits = text.push_str(" none");
    }
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Yes,
    No,
}

/// The CPU and its general features.
pub fn cpu(identity: &CpuIdentity, features: &CpuFeatures) {
    info!("CPU: {identity}");
    let table = features.table();
    info!(
        "CPU features found:{}",
        names(table.into_iter(), Found::Yes)
    );
    info!(
        "CPU features missing:{}",
        names(table.into_iter(), Found::No)
    );
}

/// The raw answers behind the probe, at debug level: they make a machine a unit test.
pub fn record(cpu: &impl CpuidSource, msrs: &impl MsrSource) {
    const LEAVES: [u32; 12] = [
        0,
        1,
        7,
        0xb,
        0x8000_0000,
        0x8000_0001,
        0x8000_0002,
        0x8000_0003,
        0x8000_0004,
        0x8000_0007,
        0x8000_0008,
        0x8000_000a,
    ];
    for leaf in LEAVES {
        let [a, b, c, d] = cpu.cpuid(leaf, 0);
        bulkhead_hw::debug!("CPUID {leaf:#010x}: {a:#010x} {b:#010x} {c:#010x} {d:#010x}");
    }
    if cpu.cpuid(1, 0)[2] >> 5 & 1 != 0 {
        vmx_registers(msrs, |msr| {
            bulkhead_hw::debug!("MSR {msr:#x}: {:#018x}", msrs.read(msr));
        });
    }
}

/// Calls `each` with IA32_FEATURE_CONTROL and the capability registers that a CPU with VMX has (SDM 3D appendix A).
fn vmx_registers(msrs: &impl MsrSource, mut each: impl FnMut(u32)) {
    let bit = |msr, bit: u32| msrs.read(msr) >> bit & 1 != 0;
    [0x3a].into_iter().chain(0x480..=0x48a).for_each(&mut each);
    // Secondary controls.
    if bit(0x482, 63) {
        each(0x48b);
        // EPT or VPID.
        if bit(0x48b, 33) || bit(0x48b, 37) {
            each(0x48c);
        }
        // VM functions.
        if bit(0x48b, 45) {
            each(0x491);
        }
    }
    // True controls.
    if bit(0x480, 55) {
        (0x48d..=0x490).for_each(&mut each);
    }
    // Tertiary controls.
    if bit(0x482, 49) {
        each(0x492);
    }
}

/// Virtualization.
pub fn virtualization(found: &Virtualization) {
    match found {
        Virtualization::Svm(probe) => {
            info!("SVM revision {}, {} ASIDs", probe.revision, probe.asids);
            info!("SVM features found:{}", names(probe.table(), Found::Yes));
            info!("SVM features missing:{}", names(probe.table(), Found::No));
        }
        Virtualization::Vmx(probe) => {
            let table = probe.table().into_iter();
            info!("VMX revision {:#x}", probe.revision);
            info!("VMX features found:{}", names(table.clone(), Found::Yes));
            info!("VMX features missing:{}", names(table, Found::No));
            info!("interrupts are delivered by {}", probe.delivery.name());
        }
    }
}

/// What the boot loader gave.
pub fn boot(info: &BootInfo) {
    let by = if info.loader.is_empty() { "" } else { " by " };
    info!("booted through {}{by}{}", info.protocol.name(), info.loader);
    info!("command line: \"{}\"", info.command_line);
    info!("memory: {} MiB usable", usable_bytes(info) >> 20);
    for region in &info.memory {
        bulkhead_hw::debug!(
            "memory: {} to {}: {:?}",
            region.range.start,
            region.range.end,
            region.kind
        );
    }
    for module in &info.modules {
        info!(
            "module \"{}\": {} bytes at {}",
            module.name,
            module.range.bytes(),
            module.range.start
        );
    }
    for note in &info.notes {
        bulkhead_hw::warn!("boot record: {note}");
    }
}

/// What ACPI says.
pub fn acpi(acpi: &Acpi, nodes: usize) {
    info!(
        "ACPI: {} CPUs, {} NUMA nodes, {} I/O APICs, {} PCI segments, IOMMU {}",
        acpi.madt.cpus.len(),
        nodes,
        acpi.madt.io_apics.len(),
        acpi.config_spaces.len(),
        match (acpi.ivrs, acpi.dmar) {
            (Some(_), _) => "AMD-Vi",
            (None, Some(_)) => "VT-d",
            (None, None) => "none",
        }
    );
    for note in &acpi.notes {
        info!("ACPI: {note}");
    }
}

/// Usable bytes in the memory map.
pub fn usable_bytes(info: &BootInfo) -> u64 {
    info.memory
        .iter()
        .filter(|region| region.kind == MemoryKind::Usable)
        .map(|region| region.range.bytes())
        .fold(0, u64::saturating_add)
}
