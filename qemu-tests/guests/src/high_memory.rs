//! Memory above the first 512 GiB, where the windows onto other partitions lie and the start page tables do not reach.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);

/// One is enough: all windows lie in the same 512 GiB.
static TABLE: Table = Table([const { AtomicU64::new(0) }; 512]);

/// Maps the 512 GiB around an address one to one, where the start page tables do not.
pub fn reach(at: u64) {
    let number = (at >> 39) as usize;
    if number == 0 {
        return;
    }
    for (gigabyte, entry) in (0u64..).zip(&TABLE.0) {
        // Writable, accessed, dirty, large.
        entry.store(at >> 39 << 39 | gigabyte << 30 | 0xe3, SeqCst);
    }
    // SAFETY: the tables are the guest's own and mapped one to one; what was mapped stays so.
    unsafe {
        let level4: u64;
        asm!("mov {}, cr3", out(reg) level4);
        (level4 as *mut u64)
            .add(number)
            .write_volatile(core::ptr::from_ref(&TABLE).addr() as u64 | 0x23);
        asm!("mov cr3, {}", in(reg) level4);
    }
}
