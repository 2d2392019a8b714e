//! The interrupt descriptor table and the stubs behind it.
//!
//! Exceptions end in a crash record ([`crate::crash`]). Interrupt vectors (0x20 to 0xff) run a stub
//! of some ten instructions, because it lies on the wake-up path: it sets the vector's bit in the
//! per-CPU block, ends the interrupt in the local APIC, and returns. The stub finds the block from
//! the stack pointer and needs no GS, so it may interrupt code that runs with a guest's GS.
//! The NMI uses an interrupt stack, which the CPU finds through TR: code that runs with a guest's
//! TR keeps GIF clear.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;

use crate::apic::ApicMode;
use crate::crash::{self, Frame};
use crate::gdt::{self, TablePointer};
use crate::layout::{CPU_REGION_BYTES, LOCAL_APIC};
use crate::percpu::{NMIS_FROM_LAST, PENDING_FROM_LAST};

/// First vector of interrupts; below are the CPU's exceptions.
pub const FIRST_INTERRUPT: u8 = 0x20;
/// Vector of spurious interrupts: counts as none and is not ended in the APIC (SDM 3A 11.9).
pub const SPURIOUS: u8 = 0xff;

const VECTORS: usize = 256;
/// Distance between two stubs.
const EXCEPTION_STUB: usize = 16;
const INTERRUPT_STUB: usize = 32;

global_asm!(
    r#"
    .section .text.interrupts, "ax", @progbits
    .balign 32
    .set interrupt_vector, 0
exception_stubs:
    .rept 32
    .balign 16
    .if (interrupt_vector == 8) || (interrupt_vector >= 10 && interrupt_vector <= 14) || (interrupt_vector == 17) || (interrupt_vector == 21) || (interrupt_vector == 29) || (interrupt_vector == 30)
    .else
    pushq $0
    .endif
    pushq $interrupt_vector
    jmp exception_common
    .set interrupt_vector, interrupt_vector + 1
    .endr

exception_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbp
    andq $-16, %rsp
    call {exception}
    ud2

    # An NMI is either the order of a crashed CPU to stop, or is counted and left to the idle path.
nmi_stub:
    pushq %rax
    cmpl $0, {crashing}(%rip)
    jne 1f
    movq %rsp, %rax
    orq ${region_last}, %rax
    lock incl {nmis}(%rax)
    popq %rax
    iretq
1:  cli
    hlt
    jmp 1b

    .balign 32
    .set interrupt_vector, 32
xapic_stubs:
    .rept 224
    .balign 32
    pushq %rax
    movq %rsp, %rax
    orq ${region_last}, %rax
    lock btsq $(interrupt_vector & 63), ({pending} + (interrupt_vector >> 6) * 8)(%rax)
    jmp xapic_end
    .set interrupt_vector, interrupt_vector + 1
    .endr
xapic_end:
    xorl %eax, %eax
    movabsl %eax, {eoi}
    popq %rax
    iretq

    .balign 32
    .set interrupt_vector, 32
x2apic_stubs:
    .rept 224
    .balign 32
    pushq %rax
    movq %rsp, %rax
    orq ${region_last}, %rax
    lock btsq $(interrupt_vector & 63), ({pending} + (interrupt_vector >> 6) * 8)(%rax)
    jmp x2apic_end
    .set interrupt_vector, interrupt_vector + 1
    .endr
x2apic_end:
    pushq %rcx
    pushq %rdx
    movl $0x80b, %ecx
    xorl %eax, %eax
    xorl %edx, %edx
    wrmsr
    popq %rdx
    popq %rcx
    popq %rax
    iretq

spurious_stub:
    iretq
    .text
    "#,
    exception = sym exception,
    crashing = sym crash::CRASHING,
    nmis = const NMIS_FROM_LAST,
    pending = const PENDING_FROM_LAST,
    region_last = const CPU_REGION_BYTES - 1,
    eoi = const LOCAL_APIC + 0xb0,
    options(att_syntax)
);

unsafe extern "C" {
    static exception_stubs: [u8; 32 * EXCEPTION_STUB];
    static nmi_stub: u8;
    static xapic_stubs: [u8; 224 * INTERRUPT_STUB];
    static x2apic_stubs: [u8; 224 * INTERRUPT_STUB];
    static spurious_stub: u8;
}

extern "C" fn exception(frame: &Frame) -> ! {
    crash::exception(frame)
}

/// A 64-bit interrupt gate (APM 2 4.8.4).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    const EMPTY: Gate = Gate { low: 0, high: 0 };

    const fn new(handler: u64, stack: u8) -> Self {
        let low = handler & 0xffff
            | (gdt::CODE as u64) << 16
            | (stack as u64) << 32
            | 0x8e << 40
            | (handler >> 16 & 0xffff) << 48;
        Gate {
            low,
            high: handler >> 32,
        }
    }
}

#[repr(align(4096))]
struct Table(UnsafeCell<[Gate; VECTORS]>);

// SAFETY: written only by the boot CPU before the other CPUs start; the CPUs only read it.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([Gate::EMPTY; VECTORS]));

/// Which stacks the exceptions use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stacks {
    /// The one in use: before the task-state segment is loaded.
    Current,
    /// #DF, NMI and #MC have their own.
    Own,
}

/// Fills the table.
///
/// # Safety
/// Only on the boot CPU, before other CPUs load the table; with [`Stacks::Own`] the running CPU
/// must have its task-state segment.
pub unsafe fn fill(stacks: Stacks, mode: ApicMode) {
    let stub = |base: *const u8, index: usize, distance: usize| {
        base.addr() as u64 + (index * distance) as u64
    };
    let stack = |vector: usize| match (stacks, vector) {
        (Stacks::Current, _) => 0,
        (Stacks::Own, 2) => gdt::IST_NMI,
        (Stacks::Own, 8) => gdt::IST_DOUBLE_FAULT,
        (Stacks::Own, 18) => gdt::IST_MACHINE_CHECK,
        (Stacks::Own, _) => 0,
    };
    let exceptions = (&raw const exception_stubs).cast::<u8>();
    let interrupts = match mode {
        ApicMode::Xapic => (&raw const xapic_stubs).cast::<u8>(),
        ApicMode::X2apic => (&raw const x2apic_stubs).cast::<u8>(),
    };
    // SAFETY: the caller promised that no other CPU uses the table yet.
    let table = unsafe { &mut *TABLE.0.get() };
    for (vector, gate) in table.iter_mut().enumerate() {
        let handler = match vector {
            // Before the CPU has its region there is no block to count an NMI in.
            2 if stacks == Stacks::Own => stub(&raw const nmi_stub, 0, 0),
            0..32 => stub(exceptions, vector, EXCEPTION_STUB),
            255 => stub(&raw const spurious_stub, 0, 0),
            _ => stub(interrupts, vector - 32, INTERRUPT_STUB),
        };
        *gate = Gate::new(handler, stack(vector));
    }
}

/// Loads the table on the running CPU.
pub fn load() {
    let pointer = TablePointer {
        limit: (VECTORS * size_of::<Gate>() - 1) as u16,
        base: TABLE.0.get() as u64,
    };
    // SAFETY: the table is static, and each gate leads to a stub of this module or is empty, in
    // which case the CPU raises #DF and then stops.
    unsafe {
        asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_laid_out_as_the_manual_says() {
        let gate = Gate::new(0xffff_ffff_8020_1230, 2);
        assert_eq!(gate.low, 0x8020_8e02_0008_1230);
        assert_eq!(gate.high, 0xffff_ffff);
    }
}
