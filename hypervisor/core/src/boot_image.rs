//! Loads a partition by the direct boot protocol of `bulkhead_abi::start`.
//!
//! The image goes to the start of the first RAM range (fixed images to their own addresses); the start page, a stack, a GDT and
//! page tables take the last 64 KiB of that range.

mod identity_map;

use alloc::string::String;

use bulkhead_abi::start::{FLAG_IOMMU, FLAG_MANAGEMENT, MAGIC, StartInfo};
use zerocopy::{FromZeros, IntoBytes};

use crate::addr::{Gpa, HpaRange};
use crate::config::Role;
use crate::elf_image::{ElfImage, GuestWriter, LoadError, Room};
use crate::guest_memory::{GuestMemory, NotRam};
use crate::host::Host;
use crate::paging::GigabytePages;
use crate::partition::Partition;
use crate::vcpu::StartState;

/// Bytes at the end of the first RAM range that the start structures take.
const RESERVED: u64 = 64 << 10;
/// Offsets in that area.
const STACK_TOP: u64 = 16 << 10;
const START_PAGE: u64 = 16 << 10;
const GDT: u64 = 20 << 10;
const TABLES: u64 = 24 << 10;

const _: () = assert!(TABLES + identity_map::BYTES <= RESERVED);
/// CPUID 8000_0001 EDX: pages of 1 GiB.
const HAS_GIGABYTE_PAGES: u32 = 1 << 26;

/// What a partition is started from.
pub struct BootImage {
    /// The ELF file.
    pub image: &'static [u8],
    /// The command line.
    pub arguments: String,
    /// The archive of boot modules, mapped read-only at its machine address: for management.
    pub archive: Option<HpaRange>,
    /// What the start page tells of the machine.
    pub facts: StartFacts,
}

impl BootImage {
    /// Whether the address lies in the archive.
    pub fn is_archive(&self, gpa: Gpa) -> bool {
        let at = gpa.as_u64();
        self.archive
            .is_some_and(|range| range.start.as_u64() <= at && at < range.end.as_u64())
    }
}

/// What the start page tells of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartFacts {
    /// TSC rate in Hz.
    pub tsc_hz: u64,
    /// Virtual APIC timer rate in Hz.
    pub apic_timer_hz: u64,
    /// Machine address of the PCI ECAM, 0 if none.
    pub ecam_base: u64,
    /// First and last bus of the ECAM.
    pub ecam_buses: (u8, u8),
    /// An IOMMU confines the partition's devices.
    pub iommu: Iommu,
    /// Unix time at TSC 0 in seconds, 0 if unknown.
    pub boot_time: u64,
}

/// Whether an IOMMU confines devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Iommu {
    /// It does.
    Confines,
    /// There is none in use.
    #[default]
    Absent,
}

/// The image cannot be started.
pub type BootError = LoadError<NotRam>;

struct Writer<'a, H> {
    memory: &'a GuestMemory,
    host: &'a mut H,
}

impl<H: Host> GuestWriter for Writer<'_, H> {
    type Error = NotRam;

    fn write(&mut self, at: Gpa, bytes: &[u8]) -> Result<(), NotRam> {
        self.memory.write(self.host, at, bytes)
    }

    fn zero(&mut self, at: Gpa, len: u64) -> Result<(), NotRam> {
        // All RAM was cleared before the image came.
        match len.checked_sub(1) {
            Some(last) => self.memory.locate(at.wrapping_add(last)).map(|_| ()),
            None => Ok(()),
        }
    }
}

/// Clears the partition's RAM, loads the image and writes the start structures.
///
/// # Errors
/// The image is damaged or does not fit.
pub fn load<H: Host>(
    partition: &Partition,
    boot: &BootImage,
    host: &mut H,
) -> Result<StartState, BootError> {
    let memory = &partition.memory;
    let first = memory
        .ranges()
        .first()
        .ok_or(LoadError::Write(NotRam(Gpa::new(0))))?;
    let (base, bytes) = (first.gpa, first.machine.bytes());
    let reserved = base.wrapping_add(bytes.saturating_sub(RESERVED));
    let image = ElfImage::parse(boot.image).map_err(LoadError::Image)?;
    memory.clear(host);
    let room = Room {
        start: base,
        end: reserved,
        base,
    };
    let placed = image.load(room, &mut Writer { memory, host })?;
    let info = start_info(partition, boot, base, bytes, reserved, placed.end);
    let at = |offset: u64| reserved.wrapping_add(offset);
    let mut write =
        |gpa: Gpa, bytes: &[u8]| memory.write(host, gpa, bytes).map_err(LoadError::Write);
    write(at(START_PAGE), info.as_bytes())?;
    // Null, 64-bit code, data.
    for (slot, descriptor) in [0, 0x00af_9b00_0000_ffff_u64, 0x00cf_9300_0000_ffff]
        .iter()
        .enumerate()
    {
        write(
            at(GDT).wrapping_add(slot as u64 * 8),
            &descriptor.to_le_bytes(),
        )?;
    }
    let features = partition.cpuid.feature_words();
    let pages = if features.extended1_edx & HAS_GIGABYTE_PAGES != 0 {
        GigabytePages::Supported
    } else {
        GigabytePages::Absent
    };
    identity_map::write(at(TABLES), pages, (base, at(RESERVED - 1)), write)?;
    Ok(StartState::Direct {
        entry: placed.entry.as_u64(),
        stack: at(STACK_TOP).as_u64(),
        argument: at(START_PAGE).as_u64(),
        page_tables: at(TABLES),
        gdt: at(GDT),
    })
}

fn start_info(
    partition: &Partition,
    boot: &BootImage,
    base: Gpa,
    bytes: u64,
    reserved: Gpa,
    image_end: Gpa,
) -> StartInfo {
    let facts = &boot.facts;
    let management = partition.role == Role::Management;
    let mut info = StartInfo::new_zeroed();
    info.magic = MAGIC;
    info.version = bulkhead_abi::VERSION;
    info.flags = if management { FLAG_MANAGEMENT } else { 0 }
        | if management && facts.iommu == Iommu::Confines {
            FLAG_IOMMU
        } else {
            0
        };
    info.partition = u32::from(partition.id.0);
    info.vcpus = partition.vcpus.len() as u32;
    info.ram_base = base.as_u64();
    info.ram_bytes = bytes;
    info.image_end = image_end.as_u64();
    info.reserved_start = reserved.as_u64();
    info.tsc_hz = facts.tsc_hz;
    info.apic_timer_hz = facts.apic_timer_hz;
    info.restarts = partition.starts();
    info.boot_time = facts.boot_time;
    if management {
        info.ecam_base = facts.ecam_base;
        info.ecam_buses = u32::from(facts.ecam_buses.0) | u32::from(facts.ecam_buses.1) << 8;
        info.archive_base = boot.archive.map_or(0, |range| range.start.as_u64());
        info.archive_bytes = boot.archive.map_or(0, |range| range.bytes());
    }
    let line = boot.arguments.as_bytes();
    info.command_line_bytes = line.len().min(info.command_line.len()) as u32;
    for (slot, byte) in info.command_line.iter_mut().zip(line) {
        *slot = *byte;
    }
    for (slot, byte) in info.name.iter_mut().zip(partition.name.bytes()) {
        *slot = byte;
    }
    info
}
