//! Commands to a unit (48882, 2.4).

use bulkhead_core::addr::Hpa;
use bulkhead_core::id::Bdf;

use super::DomainId;

const OPCODE_SHIFT: u32 = 60;
const DOMAIN_SHIFT: u32 = 32;
/// With both bits and this address: every page, and the tables above.
const ALL_PAGES: u64 = 0x7fff_ffff_ffff_f000 | 1 << 1 | 1 << 0;

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command {
    /// When all commands before are done, store `value` at `at`.
    Complete { at: Hpa, value: u64 },
    /// Forget the device table entry.
    InvalidateDevice(Bdf),
    /// Forget all translations of a domain.
    InvalidateDomain(DomainId),
    /// Forget the interrupts of a device.
    InvalidateInterrupts(Bdf),
    /// Forget everything.
    InvalidateAll,
}

impl Command {
    /// The command's two quadwords.
    pub(super) const fn encode(self) -> [u64; 2] {
        match self {
            Command::Complete { at, value } => [1 << OPCODE_SHIFT | at.as_u64() | 1, value],
            Command::InvalidateDevice(device) => [2 << OPCODE_SHIFT | device.0 as u64, 0],
            Command::InvalidateDomain(domain) => [
                3 << OPCODE_SHIFT | (domain.get() as u64) << DOMAIN_SHIFT,
                ALL_PAGES,
            ],
            Command::InvalidateInterrupts(device) => [5 << OPCODE_SHIFT | device.0 as u64, 0],
            Command::InvalidateAll => [8 << OPCODE_SHIFT, 0],
        }
    }
}
