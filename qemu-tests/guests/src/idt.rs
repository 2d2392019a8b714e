//! Interrupt handling: an IDT whose entries call Rust functions.

use core::arch::{asm, naked_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How often each vector came.
pub static COUNTS: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];

/// TSC when the last counted interrupt's handler began.
pub static LAST: AtomicU64 = AtomicU64::new(0);

#[repr(C, align(16))]
struct Table(UnsafeCell<[[u64; 2]; 256]>);

// SAFETY: written before interrupts are on, by the only vCPU that runs then.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([[0; 2]; 256]));

/// Sets the handler of a vector: the address of code that ends with IRET.
pub fn set(vector: u8, handler: u64) {
    let low = handler & 0xffff | 0x8 << 16 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48;
    // SAFETY: see `Table`.
    unsafe { (*TABLE.0.get())[usize::from(vector)] = [low, handler >> 32] };
}

/// The same on an interrupt stack of the task segment (0: none).
pub fn set_with_stack(vector: u8, handler: u64, stack: u8) {
    set(vector, handler);
    // SAFETY: see `Table`.
    unsafe { (*TABLE.0.get())[usize::from(vector)][0] |= u64::from(stack & 7) << 32 };
}

/// Loads the table.
pub fn load() {
    #[repr(C, packed)]
    struct Pointer(u16, u64);
    let pointer = Pointer(4095, TABLE.0.get() as u64);
    // SAFETY: the table is static.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack)) };
}

/// A handler that notes the time in [`LAST`], counts vector 0x40 and sends an EOI by x2APIC.
#[unsafe(naked)]
pub extern "C" fn tick() {
    naked_asm!(
        "push rax",
        "push rdx",
        "push rcx",
        "rdtsc",
        "mov dword ptr [rip + {last}], eax",
        "mov dword ptr [rip + {last} + 4], edx",
        "lock inc qword ptr [rip + {counts} + 0x40 * 8]",
        "mov ecx, 0x80b",
        "xor eax, eax",
        "xor edx, edx",
        "wrmsr",
        "pop rcx",
        "pop rdx",
        "pop rax",
        "iretq",
        last = sym LAST,
        counts = sym COUNTS,
    )
}

/// How often vector 0x40 came by [`tick`].
pub fn ticks() -> u64 {
    COUNTS[0x40].load(Relaxed)
}
