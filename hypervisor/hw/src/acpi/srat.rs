//! The system resource affinity table (ACPI 6.5, 5.2.16): which node CPUs and memory are on.

use bulkhead_core::addr::{Hpa, HpaRange};
use bulkhead_core::id::ApicId;
use heapless::Vec;

use super::reader::{entries, u8_at, u32_at, u64_at};
use super::{Notes, push_or_note};
use crate::layout::MAX_CPUS;

/// A proximity domain: the firmware's name of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Domain(pub u32);

/// The node of a CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuAffinity {
    /// The CPU.
    pub apic: ApicId,
    /// Its node.
    pub domain: Domain,
}

/// The node of a memory range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryAffinity {
    /// The memory; parts of it need not exist.
    pub range: HpaRange,
    /// Its node.
    pub domain: Domain,
}

/// What the table says; empty where there is none: one node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Srat {
    /// CPUs.
    pub cpus: Vec<CpuAffinity, MAX_CPUS>,
    /// Memory.
    pub memory: Vec<MemoryAffinity, 64>,
}

const ENABLED: u32 = 1;

impl Srat {
    /// Adds what `table` says; `None` where it is damaged.
    pub(super) fn read(&mut self, table: &[u8], notes: &mut Notes) -> Option<()> {
        for entry in entries(table, 48) {
            let (kind, entry) = entry?;
            match kind {
                // Local APIC: the domain's bytes are apart for compatibility.
                0 if u32_at(entry, 4)? & ENABLED != 0 => {
                    let low = u32::from(u8_at(entry, 2)?);
                    let high = u32_at(entry, 8)? & 0xffff_ff00;
                    let affinity = CpuAffinity {
                        apic: ApicId(u32::from(u8_at(entry, 3)?)),
                        domain: Domain(high | low),
                    };
                    push_or_note(&mut self.cpus, affinity, "CPU affinities", notes);
                }
                // Memory.
                1 if u32_at(entry, 28)? & ENABLED != 0 => {
                    let range = HpaRange::new(Hpa::new(u64_at(entry, 8)?), u64_at(entry, 16)?)?;
                    let domain = Domain(u32_at(entry, 2)?);
                    if range.bytes() > 0 {
                        let affinity = MemoryAffinity { range, domain };
                        push_or_note(&mut self.memory, affinity, "memory affinities", notes);
                    }
                }
                // Local x2APIC.
                2 if u32_at(entry, 12)? & ENABLED != 0 => {
                    let affinity = CpuAffinity {
                        apic: ApicId(u32_at(entry, 8)?),
                        domain: Domain(u32_at(entry, 4)?),
                    };
                    push_or_note(&mut self.cpus, affinity, "CPU affinities", notes);
                }
                _ => {}
            }
        }
        Some(())
    }
}
