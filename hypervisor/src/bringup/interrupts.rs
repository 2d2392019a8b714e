//! Interrupt controllers and clocks.

use bulkhead_core::addr::Hva;
use bulkhead_core::paging::MemoryType;
use bulkhead_hw::acpi::Acpi;
use bulkhead_hw::apic::{self, ApicMode};
use bulkhead_hw::clock::{self, HPET_BYTES, Rates, Reference};
use bulkhead_hw::probe::CpuFeatures;
use bulkhead_hw::{info, ioapic, pic, space, warn};

use super::options::ApicChoice;

/// The mode for all local APICs.
pub fn choose_mode(features: &CpuFeatures, choice: ApicChoice) -> ApicMode {
    if features.x2apic && choice == ApicChoice::Best {
        ApicMode::X2apic
    } else {
        ApicMode::Xapic
    }
}

/// Masks the 8259s. Before the local APIC's LINT0 is masked, so that the controllers take back
/// what they have requested already.
pub fn mask_pics(acpi: &Acpi) {
    if acpi.madt.has_pics {
        pic::mask();
    }
}

/// Masks all I/O APICs.
pub fn mask_io_apics(acpi: &Acpi) {
    for entry in &acpi.madt.io_apics {
        // SAFETY: the firmware says that an I/O APIC is there.
        let mapped =
            unsafe { space::map_device(entry.address, ioapic::BLOCK_BYTES, MemoryType::Uncached) };
        match mapped {
            Ok(base) => {
                // SAFETY: mapped just now; each entry is used once.
                let inputs = unsafe { ioapic::mask_all(base) };
                info!(
                    "I/O APIC {}: {inputs} inputs from {}, masked",
                    entry.id, entry.first
                );
            }
            Err(error) => warn!("I/O APIC {} is not masked: {error}", entry.id),
        }
    }
}

/// Measures TSC and APIC timer against the best clock that works.
pub fn measure_clocks(acpi: &Acpi) -> Option<Rates> {
    let hpet = acpi.hpet.and_then(|hpet| {
        // SAFETY: the firmware says that the timer is there.
        let base: Hva =
            unsafe { space::map_device(hpet.address, HPET_BYTES, MemoryType::Uncached) }.ok()?;
        // SAFETY: mapped just now, for good, and used here only.
        unsafe { Reference::hpet(base) }
    });
    let pm_timer = acpi.fadt.and_then(|fadt| fadt.pm_timer);
    let references = [
        hpet,
        pm_timer.map(Reference::pm_timer),
        Some(Reference::Pit),
    ];
    for mut reference in references.into_iter().flatten() {
        if let Some(rates) = clock::measure(&mut reference) {
            info!(
                "TSC {} kHz, APIC timer {} kHz, measured against the {}",
                rates.tsc.get() / 1000,
                rates.apic_timer.get() / 1000,
                reference.name()
            );
            return Some(rates);
        }
        warn!("the {} stands still, not used as a clock", reference.name());
    }
    None
}

/// The name of the mode in use.
pub fn mode_name() -> &'static str {
    match apic::mode() {
        Some(ApicMode::Xapic) => "xAPIC",
        Some(ApicMode::X2apic) => "x2APIC",
        None => "no APIC",
    }
}
