//! The multiple APIC description table (ACPI 6.5, 5.2.12).

use bulkhead_core::addr::Hpa;
use bulkhead_core::id::{ApicId, Gsi};
use heapless::Vec;

use super::reader::{entries, u8_at, u16_at, u32_at, u64_at};
use super::{AcpiNote, Notes, note_in, push_or_note};
use crate::layout::MAX_CPUS;

/// A CPU that the firmware enabled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuEntry {
    /// Its local APIC.
    pub apic: ApicId,
    /// The number by which the ACPI namespace knows it.
    pub acpi_uid: u32,
}

/// An I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApicEntry {
    /// Its id.
    pub id: u8,
    /// Its registers.
    pub address: Hpa,
    /// Its first input.
    pub first: Gsi,
}

/// An ISA interrupt that is not wired one to one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Override {
    /// The ISA interrupt.
    pub isa: u8,
    /// Where it arrives.
    pub gsi: Gsi,
    /// Polarity (bits 0 and 1) and trigger mode (bits 2 and 3), as the MPS INTI flags.
    pub flags: u16,
}

/// What the table says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Madt {
    /// Enabled CPUs, in the order of the table.
    pub cpus: Vec<CpuEntry, MAX_CPUS>,
    /// I/O APICs.
    pub io_apics: Vec<IoApicEntry, 16>,
    /// Interrupt overrides.
    pub overrides: Vec<Override, 16>,
    /// Whether there is a pair of 8259s to be masked.
    pub has_pics: bool,
    /// CPUs that are listed but not enabled.
    pub disabled_cpus: u32,
}

const ENABLED: u32 = 1;
const PCAT_COMPAT: u32 = 1;
/// The id that addresses all CPUs of an xAPIC machine, and so is none.
const XAPIC_BROADCAST: u32 = 0xff;

impl Madt {
    /// Adds what `table` says; `None` where it is damaged.
    pub(super) fn read(&mut self, table: &[u8], notes: &mut Notes) -> Option<()> {
        self.has_pics = u32_at(table, 40)? & PCAT_COMPAT != 0;
        for entry in entries(table, 44) {
            let (kind, entry) = entry?;
            match kind {
                // Local APIC.
                0 => {
                    let id = u32::from(u8_at(entry, 3)?);
                    let uid = u32::from(u8_at(entry, 2)?);
                    if id != XAPIC_BROADCAST {
                        self.cpu(ApicId(id), uid, u32_at(entry, 4)?, notes);
                    }
                }
                // I/O APIC.
                1 => push_or_note(
                    &mut self.io_apics,
                    IoApicEntry {
                        id: u8_at(entry, 2)?,
                        address: Hpa::new(u64::from(u32_at(entry, 4)?)),
                        first: Gsi(u32_at(entry, 8)?),
                    },
                    "I/O APICs",
                    notes,
                ),
                // Interrupt source override.
                2 => push_or_note(
                    &mut self.overrides,
                    Override {
                        isa: u8_at(entry, 3)?,
                        gsi: Gsi(u32_at(entry, 4)?),
                        flags: u16_at(entry, 8)?,
                    },
                    "interrupt overrides",
                    notes,
                ),
                // Local APIC address override: the APIC base MSR tells it too, and is right.
                5 => {
                    let _address = u64_at(entry, 4)?;
                }
                // Local x2APIC.
                9 => {
                    let id = ApicId(u32_at(entry, 4)?);
                    self.cpu(id, u32_at(entry, 12)?, u32_at(entry, 8)?, notes);
                }
                _ => {}
            }
        }
        Some(())
    }

    fn cpu(&mut self, apic: ApicId, acpi_uid: u32, flags: u32, notes: &mut Notes) {
        if flags & ENABLED == 0 {
            self.disabled_cpus = self.disabled_cpus.saturating_add(1);
        } else if self.cpus.iter().any(|cpu| cpu.apic == apic) {
            // Firmware may list a CPU as APIC and as x2APIC.
        } else if self.cpus.push(CpuEntry { apic, acpi_uid }).is_err() {
            note_in(notes, AcpiNote::TooMany("CPUs"));
        }
    }
}
