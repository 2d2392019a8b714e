//! Physical I/O APICs (82093AA data sheet): masked for good, since assigned devices signal by MSI.

use bulkhead_core::addr::Hva;

use crate::mmio::Mmio;

const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;
/// Bytes of the register block that are used.
pub const BLOCK_BYTES: u64 = 0x20;

const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const MASKED: u32 = 1 << 16;

/// Masks all inputs of the I/O APIC whose registers are mapped at `base`; gives their number.
///
/// # Safety
/// The registers must be mapped there, uncached, and have no other user.
pub unsafe fn mask_all(base: Hva) -> u32 {
    // SAFETY: passed on from the caller.
    let mut registers = unsafe { Mmio::<u32>::new(base, BLOCK_BYTES as usize) };
    registers.write(SELECT, VERSION);
    let version = registers.read(WINDOW).unwrap_or(0);
    let inputs = (version >> 16 & 0xff) + 1;
    for input in 0..inputs {
        registers.write(SELECT, REDIRECTION + 2 * input);
        registers.write(WINDOW, MASKED);
    }
    inputs
}
