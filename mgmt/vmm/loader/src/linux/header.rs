//! [`Header`]: the setup header of a bzImage.

use alloc::vec::Vec;

use crate::fields::{u8_at, u16_at, u32_at, u64_at};
use crate::places::END;
use crate::{FileIndex, Refusal};

/// Where the header begins, in the file and in the boot parameters alike.
pub const START: usize = 0x1f1;
/// Where the boot parameters have something else.
const LIMIT: usize = 0x290;
/// What every header of the protocol versions taken here has.
const LEAST: usize = 0x264;

const SETUP_SECTS: usize = 0x1f1;
const SYSSIZE: usize = 0x1f4;
const BOOT_FLAG: usize = 0x1fe;
/// The second byte of the jump: where the header ends, from 0x202.
const JUMP_OFFSET: usize = 0x201;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const LOADFLAGS: usize = 0x211;
const INITRD_ADDR_MAX: usize = 0x22c;
const KERNEL_ALIGNMENT: usize = 0x230;
const RELOCATABLE_KERNEL: usize = 0x234;
const XLOADFLAGS: usize = 0x236;
const CMDLINE_SIZE: usize = 0x238;
const PREF_ADDRESS: usize = 0x258;
const INIT_SIZE: usize = 0x260;

const SECTOR: u64 = 512;
/// The first version that tells whether there is a 64-bit entry point.
const PROTOCOL_2_12: u16 = 0x20c;
const LOADED_HIGH: u8 = 1;
const XLF_KERNEL_64: u16 = 1;
/// What 0 in the header stands for.
const DEFAULT_SETUP_SECTS: u8 = 4;
const DEFAULT_COMMAND_LINE: u32 = 255;

/// What the loader needs of the header.
#[derive(Debug)]
pub struct Header {
    /// The header itself, for the boot parameters.
    pub bytes: Vec<u8>,
    /// Where the protected-mode part begins in the file.
    pub payload_offset: u64,
    /// What it has at least, less than a paragraph rounded away.
    pub payload_bytes: u64,
    /// The memory that the kernel needs from its first byte on until it reads the memory map.
    pub init_bytes: u64,
    /// Where it wants to be.
    pub preferred_address: u64,
    /// The multiples at which it could be elsewhere; `None` where it cannot.
    pub alignment: Option<u64>,
    /// The end of what initrds may take.
    pub initrd_end: u64,
    /// Most bytes of the command line.
    pub command_line_limit: u32,
}

/// Whether a file begins like a bzImage of any version.
pub fn is_linux(head: &[u8]) -> bool {
    u16_at(head, BOOT_FLAG) == Some(0xaa55) && head.get(MAGIC..MAGIC + 4) == Some(b"HdrS")
}

impl Header {
    /// Checks everything that the loader relies on.
    pub fn parse(head: &[u8]) -> Result<Self, Refusal> {
        if !is_linux(head) {
            return Err(Refusal::NotOfKind(crate::Kind::Linux));
        }
        let cut_off = Refusal::Truncated(FileIndex::Image);
        let version = u16_at(head, VERSION).ok_or(cut_off)?;
        let flags = u8_at(head, LOADFLAGS).ok_or(cut_off)?;
        let extended = u16_at(head, XLOADFLAGS).unwrap_or(0);
        if version < PROTOCOL_2_12 || extended & XLF_KERNEL_64 == 0 {
            let [minor, major] = version.to_le_bytes();
            return Err(Refusal::No64BitEntry {
                protocol: (major, minor),
            });
        }
        if flags & LOADED_HIGH == 0 {
            return Err(Refusal::NotLoadedHigh);
        }
        let end = MAGIC.saturating_add(usize::from(u8_at(head, JUMP_OFFSET).ok_or(cut_off)?));
        if !(LEAST..=LIMIT).contains(&end) {
            return Err(Refusal::Damaged("its setup header has an impossible size"));
        }
        let sectors = match u8_at(head, SETUP_SECTS).ok_or(cut_off)? {
            0 => DEFAULT_SETUP_SECTS,
            sectors => sectors,
        };
        let command_line = match u32_at(head, CMDLINE_SIZE).ok_or(cut_off)? {
            0 => DEFAULT_COMMAND_LINE,
            bytes => bytes,
        };
        let paragraphs = u64::from(u32_at(head, SYSSIZE).ok_or(cut_off)?);
        let initrd_max = u64::from(u32_at(head, INITRD_ADDR_MAX).ok_or(cut_off)?);
        Ok(Self {
            bytes: head.get(START..end).ok_or(cut_off)?.to_vec(),
            payload_offset: (u64::from(sectors) + 1) * SECTOR,
            payload_bytes: (paragraphs * 16).saturating_sub(15),
            init_bytes: u64::from(u32_at(head, INIT_SIZE).ok_or(cut_off)?),
            preferred_address: preferred_address(head).ok_or(cut_off)??,
            alignment: alignment(head).ok_or(cut_off)??,
            initrd_end: initrd_max.saturating_add(1).min(END),
            command_line_limit: command_line,
        })
    }
}

fn preferred_address(head: &[u8]) -> Option<Result<u64, Refusal>> {
    let at = u64_at(head, PREF_ADDRESS)?;
    let good = at > 0 && at < END && at.is_multiple_of(16);
    Some(
        good.then_some(at)
            .ok_or(Refusal::Damaged("its preferred address is impossible")),
    )
}

fn alignment(head: &[u8]) -> Option<Result<Option<u64>, Refusal>> {
    let align = u32_at(head, KERNEL_ALIGNMENT)?;
    Some(match u8_at(head, RELOCATABLE_KERNEL)? {
        0 => Ok(None),
        _ if align.is_power_of_two() => Ok(Some(u64::from(align))),
        _ => Err(Refusal::Damaged("its alignment is no power of two")),
    })
}
