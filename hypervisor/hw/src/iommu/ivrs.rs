//! The ACPI table that describes AMD's I/O virtualization (AMD IOMMU specification 48882, 5.2).
//!
//! Pure parsing of bytes that the firmware wrote: lengths are verified, what is unknown or does not
//! fit is skipped with a note.

use alloc::vec::Vec;
use core::fmt;

use bulkhead_core::addr::{Hpa, HpaRange};
use bulkhead_core::id::Bdf;

#[cfg(test)]
mod tests;

const HEADER_BYTES: usize = 48;

/// Blocks that describe a unit, from the least to the most detailed.
const UNIT_BASIC: u8 = 0x10;
const UNIT_EXTENDED: u8 = 0x11;
const UNIT_EXTENDED_ACPI: u8 = 0x40;
/// Blocks that describe memory which devices need in any case: for all, one, or a range of them.
const MEMORY_ALL: u8 = 0x20;
const MEMORY_ONE: u8 = 0x21;
const MEMORY_RANGE: u8 = 0x22;

/// Requester ids from the first to the last, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Requesters {
    /// The first.
    pub first: Bdf,
    /// The last.
    pub last: Bdf,
}

impl Requesters {
    /// Every id of the segment.
    pub const ALL: Requesters = Requesters {
        first: Bdf(0),
        last: Bdf(u16::MAX),
    };

    const fn one(bdf: Bdf) -> Self {
        Requesters {
            first: bdf,
            last: bdf,
        }
    }

    /// Whether `bdf` is one of them.
    pub fn contains(&self, bdf: Bdf) -> bool {
        self.first <= bdf && bdf <= self.last
    }

    /// Whether an id is among both.
    pub fn overlaps(&self, other: &Requesters) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// One IOMMU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnitInfo {
    /// The PCI function that it is.
    pub bdf: Bdf,
    /// Its registers.
    pub registers: Hpa,
    /// Flags that its control register must repeat (table 5-3).
    pub flags: u8,
    /// How detailed the block was that described it.
    kind: u8,
}

/// What an interrupt source that is no PCI device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpecialKind {
    /// An I/O APIC; the handle is its APIC id.
    IoApic,
    /// A high-precision event timer; the handle is its number.
    Hpet,
}

/// An interrupt source that is no PCI device, and the requester id that it uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Special {
    /// What it is.
    pub kind: SpecialKind,
    /// Which one.
    pub handle: u8,
    /// Its requester id.
    pub requester: Bdf,
}

/// Devices whose requests arrive under another id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alias {
    /// The devices.
    pub devices: Requesters,
    /// The id that they share.
    pub requester: Bdf,
}

/// Settings of device table entries (table 5-8): which system messages devices may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The devices.
    pub devices: Requesters,
    /// The bits, never 0.
    pub bits: u8,
}

/// Memory that firmware and devices share, to be mapped at its own address in the devices' domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedMemory {
    /// The devices.
    pub devices: Requesters,
    /// The memory.
    pub range: HpaRange,
    /// Flags (table 5-13).
    flags: u8,
}

impl SharedMemory {
    /// Whether the devices read it.
    pub fn is_readable(&self) -> bool {
        self.flags & 1 << 1 != 0
    }

    /// Whether the devices write it.
    pub fn is_writable(&self) -> bool {
        self.flags & 1 << 2 != 0
    }
}

/// Something that was left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IvrsNote {
    /// A block of this type is unknown.
    UnknownBlock(u8),
    /// A device entry of this type is unknown.
    UnknownEntry(u8),
    /// A block has an impossible length; the rest of the table is not read.
    BadBlock(u8),
    /// An entry reaches beyond its block; the rest of the block is not read.
    BadEntry(u8),
    /// An end of a range has no start, or lies before it.
    BadRange(Bdf),
    /// A unit of another PCI segment.
    OtherSegment(u16),
    /// More of these than the hypervisor can hold.
    TooMany(&'static str),
}

impl fmt::Display for IvrsNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IvrsNote::UnknownBlock(kind) => write!(f, "IVRS: block type {kind:#x} is unknown"),
            IvrsNote::UnknownEntry(kind) => write!(f, "IVRS: device entry {kind:#x} is unknown"),
            IvrsNote::BadBlock(kind) => write!(f, "IVRS: block type {kind:#x} has a wrong length"),
            IvrsNote::BadEntry(kind) => write!(f, "IVRS: device entry {kind:#x} is cut off"),
            IvrsNote::BadRange(bdf) => write!(f, "IVRS: a device range ends wrongly at {bdf}"),
            IvrsNote::OtherSegment(segment) => {
                write!(f, "IVRS: PCI segment {segment} is not supported")
            }
            IvrsNote::TooMany(what) => write!(f, "IVRS: too many {what}"),
        }
    }
}

/// What the table says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ivrs {
    /// The IOMMUs.
    pub units: Vec<UnitInfo>,
    /// Interrupt sources besides PCI devices.
    pub specials: Vec<Special>,
    /// Devices with shared ids.
    pub aliases: Vec<Alias>,
    /// Settings of device table entries.
    pub settings: Vec<Setting>,
    /// Memory that must stay reachable.
    pub shared: Vec<SharedMemory>,
    /// What was left out.
    pub notes: Vec<IvrsNote>,
}

impl Ivrs {
    /// Parses a table whose checksum was verified; `None` where it is too short for its header.
    pub fn parse(table: &[u8]) -> Option<Self> {
        let mut ivrs = Ivrs::default();
        let mut rest = table.get(HEADER_BYTES..)?;
        while let (Some(kind), Some(length)) = (u8_at(rest, 0), u16_at(rest, 2)) {
            let Some((block, after)) = rest
                .split_at_checked(usize::from(length))
                .filter(|_| length >= 4)
            else {
                ivrs.note(IvrsNote::BadBlock(kind));
                break;
            };
            rest = after;
            let understood = match kind {
                UNIT_BASIC | UNIT_EXTENDED | UNIT_EXTENDED_ACPI => ivrs.unit(kind, block),
                MEMORY_ALL | MEMORY_ONE | MEMORY_RANGE => ivrs.memory(kind, block),
                _ => {
                    ivrs.note(IvrsNote::UnknownBlock(kind));
                    Some(())
                }
            };
            if understood.is_none() {
                ivrs.note(IvrsNote::BadBlock(kind));
            }
        }
        Some(ivrs)
    }

    /// The id under which requests of `bdf` arrive.
    pub fn requester_of(&self, bdf: Bdf) -> Bdf {
        self.aliases
            .iter()
            .find(|alias| alias.devices.contains(bdf))
            .map_or(bdf, |alias| alias.requester)
    }

    /// The setting bits of `bdf`'s device table entry.
    pub fn setting_of(&self, bdf: Bdf) -> u8 {
        self.settings
            .iter()
            .filter(|setting| setting.devices.contains(bdf))
            .fold(0, |bits, setting| bits | setting.bits)
    }

    /// Whether interrupts of this id come from an I/O APIC or HPET, which the hypervisor owns.
    pub fn is_special(&self, bdf: Bdf) -> bool {
        self.specials.iter().any(|special| special.requester == bdf)
    }

    /// Whether the firmware says which id the I/O APICs use: then interrupts can be controlled.
    pub fn describes_interrupts(&self) -> bool {
        self.specials
            .iter()
            .any(|special| special.kind == SpecialKind::IoApic)
    }

    fn unit(&mut self, kind: u8, block: &[u8]) -> Option<()> {
        let flags = u8_at(block, 1)?;
        let bdf = Bdf(u16_at(block, 4)?);
        let registers = Hpa::new(u64_at(block, 8)?);
        let segment = u16_at(block, 16)?;
        let header = if kind == UNIT_BASIC { 24 } else { 40 };
        let entries = block.get(header..)?;
        if segment != 0 {
            self.note(IvrsNote::OtherSegment(segment));
            return Some(());
        }
        let unit = UnitInfo {
            bdf,
            registers,
            flags,
            kind,
        };
        // The same unit is described once for each generation of software: the best counts. The
        // entries of all blocks agree, so reading them again only repeats what is known.
        match self.units.iter_mut().find(|known| known.bdf == bdf) {
            Some(known) if known.kind < kind => *known = unit,
            Some(_) => {}
            None => push(&mut self.units, unit, &mut self.notes, "units"),
        }
        self.entries(entries);
        Some(())
    }

    /// The device entries of a unit (5.2.2.2).
    fn entries(&mut self, mut rest: &[u8]) {
        let mut range: Option<RangeStart> = None;
        while let Some(kind) = u8_at(rest, 0) {
            let length = entry_bytes(kind, rest);
            let Some((entry, after)) = length.and_then(|length| rest.split_at_checked(length))
            else {
                return self.note(IvrsNote::BadEntry(kind));
            };
            rest = after;
            if self.entry(kind, entry, &mut range).is_none() {
                self.note(IvrsNote::BadEntry(kind));
            }
        }
    }

    fn entry(&mut self, kind: u8, entry: &[u8], range: &mut Option<RangeStart>) -> Option<()> {
        let bdf = Bdf(u16_at(entry, 1)?);
        let bits = u8_at(entry, 3)?;
        match kind {
            // Padding.
            0 | 64 => {}
            1 => self.set(Requesters::ALL, bits),
            2 | 70 => self.set(Requesters::one(bdf), bits),
            3 | 71 => *range = Some(RangeStart::new(bdf, bits, None)),
            4 => match range.take() {
                Some(start) if start.first <= bdf => self.close(start, bdf),
                _ => self.note(IvrsNote::BadRange(bdf)),
            },
            66 => {
                let source = Bdf(u16_at(entry, 5)?);
                self.close(RangeStart::new(bdf, bits, Some(source)), bdf);
            }
            67 => *range = Some(RangeStart::new(bdf, bits, Some(Bdf(u16_at(entry, 5)?)))),
            72 => self.special(entry, bits)?,
            // A device that ACPI names: its DMA uses this id like any other.
            240 => self.set(Requesters::one(bdf), bits),
            _ => self.note(IvrsNote::UnknownEntry(kind)),
        }
        Some(())
    }

    fn close(&mut self, start: RangeStart, last: Bdf) {
        let devices = Requesters {
            first: start.first,
            last,
        };
        self.set(devices, start.bits);
        if let Some(requester) = start.alias {
            let alias = Alias { devices, requester };
            push(&mut self.aliases, alias, &mut self.notes, "aliases");
            self.set(Requesters::one(requester), start.bits);
        }
    }

    fn set(&mut self, devices: Requesters, bits: u8) {
        if bits != 0 {
            let setting = Setting { devices, bits };
            push(&mut self.settings, setting, &mut self.notes, "settings");
        }
    }

    fn special(&mut self, entry: &[u8], bits: u8) -> Option<()> {
        let requester = Bdf(u16_at(entry, 5)?);
        let kind = match u8_at(entry, 7)? {
            1 => SpecialKind::IoApic,
            2 => SpecialKind::Hpet,
            _ => {
                self.note(IvrsNote::UnknownEntry(72));
                return Some(());
            }
        };
        let special = Special {
            kind,
            handle: u8_at(entry, 4)?,
            requester,
        };
        push(
            &mut self.specials,
            special,
            &mut self.notes,
            "interrupt sources",
        );
        self.set(Requesters::one(requester), bits);
        Some(())
    }

    /// A memory block (5.2.2.3).
    fn memory(&mut self, kind: u8, block: &[u8]) -> Option<()> {
        let flags = u8_at(block, 1)?;
        let first = Bdf(u16_at(block, 4)?);
        let last = Bdf(u16_at(block, 6)?);
        let range = HpaRange::new(Hpa::new(u64_at(block, 16)?), u64_at(block, 24)?)?;
        let devices = match kind {
            MEMORY_ALL => Requesters::ALL,
            MEMORY_ONE => Requesters::one(first),
            _ if first <= last => Requesters { first, last },
            _ => {
                self.note(IvrsNote::BadRange(last));
                return Some(());
            }
        };
        let shared = SharedMemory {
            devices,
            range,
            flags,
        };
        push(&mut self.shared, shared, &mut self.notes, "memory blocks");
        Some(())
    }

    fn note(&mut self, note: IvrsNote) {
        note_once(&mut self.notes, note);
    }
}

/// A range entry whose end is still to come.
#[derive(Clone, Copy)]
struct RangeStart {
    first: Bdf,
    bits: u8,
    alias: Option<Bdf>,
}

impl RangeStart {
    const fn new(first: Bdf, bits: u8, alias: Option<Bdf>) -> Self {
        RangeStart { first, bits, alias }
    }
}

/// The length of a device entry (table 5-6); `None` where it cannot be told.
fn entry_bytes(kind: u8, entry: &[u8]) -> Option<usize> {
    match kind {
        0..=63 => Some(4),
        64..=127 => Some(8),
        128..=191 => Some(16),
        192..=239 => Some(32),
        // 22 bytes, and the unique id of the device after them.
        240..=255 => Some(22 + usize::from(u8_at(entry, 21)?)),
    }
}

/// Most items of a kind, so that a damaged table cannot fill the heap.
const MOST: usize = 128;

fn push<T: PartialEq>(list: &mut Vec<T>, item: T, notes: &mut Vec<IvrsNote>, what: &'static str) {
    if list.contains(&item) {
        return;
    }
    if list.len() < MOST {
        list.push(item);
    } else {
        note_once(notes, IvrsNote::TooMany(what));
    }
}

fn note_once(notes: &mut Vec<IvrsNote>, note: IvrsNote) {
    if notes.len() < MOST && !notes.contains(&note) {
        notes.push(note);
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

fn u8_at(bytes: &[u8], offset: usize) -> Option<u8> {
    bytes.get(offset).copied()
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes_at(bytes, offset).map(u16::from_le_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes_at(bytes, offset).map(u64::from_le_bytes)
}
