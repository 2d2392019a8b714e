//! What a guest's own page tables say: guest-virtual to guest-physical, read-only, with the fault hardware would raise.
//!
//! The instruction fetch of the MMIO emulator and the crash reports call it, where hardware gives no
//! help. It neither sets accessed and dirty marks nor models protection keys (CPUID does not offer
//! them to guests). Tables can change under the walk; each entry is read once.
//!
//! Sources: SDM 3A chapter 4, APM 2 chapter 5.

use super::long_mode::GigabytePages;
use crate::addr::{Gpa, Gva};
use crate::fault::Exception;

#[cfg(test)]
mod tests;

const CR0_WP: u64 = 1 << 16;
const CR0_PG: u64 = 1 << 31;
const CR4_PSE: u64 = 1 << 4;
const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const CODE_PRESENT: u32 = 1 << 0;
const CODE_WRITE: u32 = 1 << 1;
const CODE_USER: u32 = 1 << 2;
const CODE_RESERVED: u32 = 1 << 3;
const CODE_FETCH: u32 = 1 << 4;

/// Reads of guest-physical memory, little-endian.
pub trait GuestMemory {
    /// What a read that cannot be served says.
    type Error;

    /// The 8 bytes at `at`, which is a multiple of 8.
    ///
    /// # Errors
    /// Where the guest has no memory there.
    fn read_u64(&mut self, at: Gpa) -> Result<u64, Self::Error>;

    /// The 4 bytes at `at`, which is a multiple of 4.
    ///
    /// # Errors
    /// Where the guest has no memory there.
    fn read_u32(&mut self, at: Gpa) -> Result<u32, Self::Error>;
}

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessKind {
    /// Reads data.
    Read,
    /// Writes data.
    Write,
    /// Fetches an instruction.
    Fetch,
}

/// On whose behalf an access is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Privilege {
    /// CPL 3.
    User,
    /// CPL 0 to 2, or implicit accesses to system tables.
    Supervisor,
    /// CPL 0 to 2 with RFLAGS.AC set, which lifts SMAP.
    SupervisorWithAc,
}

/// One access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// What it does.
    pub kind: AccessKind,
    /// For whom.
    pub privilege: Privilege,
}

/// The registers that govern paging.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ControlRegisters {
    /// CR0.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// IA32_EFER.
    pub efer: u64,
}

/// Why an address has no translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WalkError<E> {
    /// A page fault; CR2 is the address.
    PageFault {
        /// The error code that hardware pushes.
        code: u32,
    },
    /// The address is not canonical: #GP, or #SS for a stack access.
    NonCanonical,
    /// A table lies where the guest has no memory.
    Memory(E),
}

impl<E> WalkError<E> {
    /// The exception to inject; `None` for [`WalkError::Memory`].
    pub fn exception(&self) -> Option<Exception> {
        match self {
            WalkError::PageFault { code } => Some(Exception {
                vector: 14,
                error_code: Some(*code),
            }),
            WalkError::NonCanonical => Some(Exception::GP0),
            WalkError::Memory(_) => None,
        }
    }
}

/// Where an address leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuestPage {
    /// The guest-physical address.
    pub gpa: Gpa,
    /// Bytes from there to the end of the page: as far as this translation holds.
    pub remaining: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Off,
    /// 4-byte entries; 4 MiB pages if CR4.PSE is set.
    Legacy,
    Pae,
    /// 4 or 5 levels.
    Long {
        levels: u32,
    },
}

/// The paging mode of a vCPU.
#[derive(Clone, Copy, Debug)]
pub struct GuestPaging {
    mode: Mode,
    registers: ControlRegisters,
    physical_bits: u32,
    gigabyte_pages: GigabytePages,
}

/// The rights that the entries of a walk leave over.
#[derive(Clone, Copy)]
struct Rights {
    writable: bool,
    user: bool,
    no_execute: bool,
}

impl Rights {
    const ALL: Rights = Rights {
        writable: true,
        user: true,
        no_execute: false,
    };

    fn and(self, entry: u64) -> Rights {
        Rights {
            writable: self.writable && entry & WRITABLE != 0,
            user: self.user && entry & USER != 0,
            no_execute: self.no_execute || entry & NO_EXECUTE != 0,
        }
    }
}

impl GuestPaging {
    /// The mode that the registers select, for a guest that is shown `physical_bits` address bits
    /// and, or not, 1 GiB pages.
    pub const fn new(
        registers: ControlRegisters,
        physical_bits: u8,
        gigabyte_pages: GigabytePages,
    ) -> Self {
        let mode = if registers.cr0 & CR0_PG == 0 {
            Mode::Off
        } else if registers.cr4 & CR4_PAE == 0 {
            Mode::Legacy
        } else if registers.efer & EFER_LMA == 0 {
            Mode::Pae
        } else if registers.cr4 & CR4_LA57 == 0 {
            Mode::Long { levels: 4 }
        } else {
            Mode::Long { levels: 5 }
        };
        Self {
            mode,
            registers,
            physical_bits: if physical_bits > 52 {
                52
            } else {
                physical_bits as u32
            },
            gigabyte_pages,
        }
    }

    /// Translates one address: at most one load per level.
    ///
    /// # Errors
    /// [`WalkError`].
    pub fn translate<M: GuestMemory>(
        &self,
        memory: &mut M,
        address: Gva,
        access: Access,
    ) -> Result<GuestPage, WalkError<M::Error>> {
        // Outside of long mode linear addresses have 32 bits.
        let linear = address.as_u64();
        let short = linear & 0xffff_ffff;
        match self.mode {
            Mode::Off => Ok(page(short, 12, short)),
            Mode::Legacy => self.walk_legacy(memory, short, access),
            Mode::Pae => {
                let slot = (self.registers.cr3 & 0xffff_ffe0) | (short >> 30) << 3;
                let entry = read_u64(memory, slot)?;
                if entry & PRESENT == 0 {
                    return Err(self.fault(access, 0));
                }
                // Bits 1, 2 and 5 to 8 have no meaning in this one kind of entry.
                if entry & (0x1e6 | !((1 << self.physical_bits) - 1)) != 0 {
                    return Err(self.fault(access, CODE_PRESENT | CODE_RESERVED));
                }
                self.walk(memory, entry & ADDRESS, 2, short, access)
            }
            Mode::Long { levels } => {
                let unused = 64 - (12 + 9 * levels);
                if ((linear << unused).cast_signed() >> unused).cast_unsigned() != linear {
                    return Err(WalkError::NonCanonical);
                }
                let root = self.registers.cr3 & ADDRESS;
                self.walk(memory, root, levels, linear, access)
            }
        }
    }

    /// The levels with 8-byte entries, from the table `table` of level `level` down.
    fn walk<M: GuestMemory>(
        &self,
        memory: &mut M,
        mut table: u64,
        mut level: u32,
        linear: u64,
        access: Access,
    ) -> Result<GuestPage, WalkError<M::Error>> {
        let mut rights = Rights::ALL;
        loop {
            let shift = 12 + 9 * (level - 1);
            let slot = table | ((linear >> shift) & 0x1ff) << 3;
            let entry = read_u64(memory, slot)?;
            if entry & PRESENT == 0 {
                return Err(self.fault(access, 0));
            }
            let leaf = level == 1 || (entry & LARGE != 0 && level <= 3);
            if entry & self.reserved(entry, level, leaf) != 0 {
                return Err(self.fault(access, CODE_PRESENT | CODE_RESERVED));
            }
            rights = rights.and(entry);
            if leaf {
                self.check(rights, access)?;
                let base = entry & ADDRESS & !((1 << shift) - 1);
                return Ok(page(base, shift, linear));
            }
            table = entry & ADDRESS;
            level -= 1;
        }
    }

    /// The bits of an 8-byte entry that must be 0.
    fn reserved(&self, entry: u64, level: u32, leaf: bool) -> u64 {
        let mut mask = ADDRESS & !((1 << self.physical_bits) - 1);
        if self.registers.efer & EFER_NXE == 0 {
            mask |= NO_EXECUTE;
        }
        if self.mode == Mode::Pae {
            // Long mode leaves bits 52 to 62 to software; PAE reserves them.
            mask |= 0x7ff0_0000_0000_0000;
        }
        let large = entry & LARGE != 0;
        if leaf && level > 1 {
            // Address bits below the page size, but for the PAT bit 12.
            mask |= ((1 << (12 + 9 * (level - 1))) - 1) & !0x1fff;
        }
        let no_gigabytes = level == 3 && self.gigabyte_pages == GigabytePages::Absent;
        if large && (level > 3 || no_gigabytes) {
            mask |= LARGE;
        }
        mask
    }

    /// Two levels of 4-byte entries.
    fn walk_legacy<M: GuestMemory>(
        &self,
        memory: &mut M,
        linear: u64,
        access: Access,
    ) -> Result<GuestPage, WalkError<M::Error>> {
        let slot = (self.registers.cr3 & 0xffff_f000) | (linear >> 22) << 2;
        let directory = read_u32(memory, slot)?;
        if directory & PRESENT == 0 {
            return Err(self.fault(access, 0));
        }
        let rights = Rights::ALL.and(directory);
        if directory & LARGE != 0 && self.registers.cr4 & CR4_PSE != 0 {
            // PSE-36: bits 13 to 20 are address bits 32 to 39, as far as the machine has them.
            let high_bits = self.physical_bits.clamp(32, 40) - 32;
            let reserved = 0x003f_e000 & !(((1 << high_bits) - 1) << 13);
            if directory & reserved != 0 {
                return Err(self.fault(access, CODE_PRESENT | CODE_RESERVED));
            }
            self.check(rights, access)?;
            let base = (directory & 0xffc0_0000) | ((directory >> 13) & 0xff) << 32;
            return Ok(page(base, 22, linear));
        }
        let slot = (directory & 0xffff_f000) | ((linear >> 12) & 0x3ff) << 2;
        let entry = read_u32(memory, slot)?;
        if entry & PRESENT == 0 {
            return Err(self.fault(access, 0));
        }
        self.check(rights.and(entry), access)?;
        Ok(page(entry & 0xffff_f000, 12, linear))
    }

    /// Whether the rights admit the access (SDM 3A 4.6.1).
    fn check<E>(&self, rights: Rights, access: Access) -> Result<(), WalkError<E>> {
        let smap = self.registers.cr4 & CR4_SMAP != 0;
        let smep = self.registers.cr4 & CR4_SMEP != 0;
        let write_protect = self.registers.cr0 & CR0_WP != 0;
        let owner = match (access.privilege, access.kind) {
            (Privilege::User, _) => rights.user,
            (_, AccessKind::Fetch) => !(rights.user && smep),
            (Privilege::Supervisor, _) => !(rights.user && smap),
            (Privilege::SupervisorWithAc, _) => true,
        };
        let kind = match access.kind {
            AccessKind::Read => true,
            AccessKind::Write => {
                rights.writable || (access.privilege != Privilege::User && !write_protect)
            }
            AccessKind::Fetch => !rights.no_execute,
        };
        if owner && kind {
            Ok(())
        } else {
            Err(self.fault(access, CODE_PRESENT))
        }
    }

    /// The fault with the bits of the cause, and those that describe the access.
    fn fault<E>(&self, access: Access, cause: u32) -> WalkError<E> {
        let mut code = cause;
        if access.privilege == Privilege::User {
            code |= CODE_USER;
        }
        let eight_byte_entries = matches!(self.mode, Mode::Pae | Mode::Long { .. });
        let no_execute = eight_byte_entries && self.registers.efer & EFER_NXE != 0;
        match access.kind {
            AccessKind::Read => {}
            AccessKind::Write => code |= CODE_WRITE,
            // Fetches are told apart only where something can forbid them.
            AccessKind::Fetch if no_execute || self.registers.cr4 & CR4_SMEP != 0 => {
                code |= CODE_FETCH;
            }
            AccessKind::Fetch => {}
        }
        WalkError::PageFault { code }
    }
}

/// The end of a walk at a page of `1 << shift` bytes at `base`.
fn page(base: u64, shift: u32, linear: u64) -> GuestPage {
    let size = 1_u64 << shift;
    let offset = linear & (size - 1);
    GuestPage {
        gpa: Gpa::new((base & !(size - 1)) | offset),
        remaining: size - offset,
    }
}

fn read_u64<M: GuestMemory>(memory: &mut M, at: u64) -> Result<u64, WalkError<M::Error>> {
    memory.read_u64(Gpa::new(at)).map_err(WalkError::Memory)
}

fn read_u32<M: GuestMemory>(memory: &mut M, at: u64) -> Result<u64, WalkError<M::Error>> {
    let value = memory.read_u32(Gpa::new(at)).map_err(WalkError::Memory)?;
    Ok(u64::from(value))
}
