//! Descriptor tables, exceptions and interrupts.
//!
//! An interrupt only sets its vector's bit in a table and ends itself at the APIC; the main loop turns bits into
//! signals ([`take`]). An exception is a bug and ends the partition, with the registers on the debug port.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::ptr::addr_of;
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::registers::control::Cr2;
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

use crate::apic;

const EXCEPTIONS: u64 = 32;
const DOUBLE_FAULT: usize = 8;
const PAGE_FAULT: usize = 14;
/// The stack switch for faults that a full stack causes.
const FAULT_STACK: usize = 0;
const FAULT_STACK_BYTES: usize = 16 * 1024;

// Each stub is 16 bytes, so that the table below needs no list of names. Vectors 8, 10 to 14, 17, 21, 29 and 30 push
// an error code themselves (APM 2 8.2).
global_asm!(
    ".section .text",
    ".balign 16",
    "interrupt_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    ".if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)",
    "push 0",
    ".endif",
    "push vector",
    "jmp interrupt_common",
    ".set vector, vector + 1",
    ".endr",
    "interrupt_common:",
    "push rax", "push rcx", "push rdx", "push rbx", "push rbp", "push rsi", "push rdi",
    "push r8", "push r9", "push r10", "push r11", "push r12", "push r13", "push r14", "push r15",
    "cld",
    "mov rdi, rsp",
    "call {handle}",
    "pop r15", "pop r14", "pop r13", "pop r12", "pop r11", "pop r10", "pop r9", "pop r8",
    "pop rdi", "pop rsi", "pop rbp", "pop rbx", "pop rdx", "pop rcx", "pop rax",
    "add rsp, 16",
    "iretq",
    handle = sym handle,
);

unsafe extern "C" {
    static interrupt_stubs: u8;
}

/// What the stub and the CPU have pushed.
#[repr(C)]
struct Frame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rcx: u64,
    rax: u64,
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

static PENDING: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

extern "C" fn handle(frame: &Frame) {
    let vector = frame.vector & 0xff;
    if vector < EXCEPTIONS {
        exception(frame);
    }
    if let Some(word) = PENDING.get((vector / 64) as usize) {
        word.fetch_or(1 << (vector % 64), Ordering::Relaxed);
    }
    if vector != u64::from(apic::SPURIOUS) {
        apic::end_of_interrupt();
    }
}

#[expect(
    clippy::panic,
    reason = "an exception in the partition is a bug and ends it"
)]
fn exception(frame: &Frame) -> ! {
    panic!(
        "exception {} with error {:#x} at {:#x}, address {:#x}\n\
         rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}\n\
         rsi {:016x} rdi {:016x} rbp {:016x} rsp {:016x}\n\
         r8  {:016x} r9  {:016x} r10 {:016x} r11 {:016x}\n\
         r12 {:016x} r13 {:016x} r14 {:016x} r15 {:016x}\n\
         cs {:x} ss {:x} rflags {:x}, image at {:#x}",
        frame.vector,
        frame.error,
        frame.rip,
        Cr2::read_raw(),
        frame.rax,
        frame.rbx,
        frame.rcx,
        frame.rdx,
        frame.rsi,
        frame.rdi,
        frame.rbp,
        frame.rsp,
        frame.r8,
        frame.r9,
        frame.r10,
        frame.r11,
        frame.r12,
        frame.r13,
        frame.r14,
        frame.r15,
        frame.cs,
        frame.ss,
        frame.rflags,
        crate::entry::ImageBounds::get().start,
    );
}

/// The bits of all vectors that came in since the last call, word n holding vectors 64n to 64n + 63.
pub fn take() -> [u64; 4] {
    [0, 1, 2, 3].map(|index: usize| {
        let word = PENDING.get(index);
        word.map_or(0, |word| word.swap(0, Ordering::Relaxed))
    })
}

/// Whether an interrupt came in that was not taken.
pub fn is_pending() -> bool {
    PENDING.iter().any(|word| word.load(Ordering::Relaxed) != 0)
}

/// A gate of the interrupt descriptor table (APM 2 4.8.4).
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    const EMPTY: Gate = Gate { low: 0, high: 0 };

    /// An interrupt gate at CPL 0; `stack` is the number in the TSS plus one, 0 to stay on the stack.
    fn new(handler: u64, selector: u16, stack: u64) -> Self {
        Gate {
            low: handler & 0xffff
                | u64::from(selector) << 16
                | stack << 32
                | 0x8e << 40
                | (handler >> 16 & 0xffff) << 48,
            high: handler >> 32,
        }
    }
}

struct Tables {
    gdt: GlobalDescriptorTable,
    tss: TaskStateSegment,
    idt: [Gate; 256],
    fault_stack: [u8; FAULT_STACK_BYTES],
}

struct TablesCell(UnsafeCell<Tables>);

// SAFETY: written by `init` before interrupts are on, and read by the CPU alone afterwards.
unsafe impl Sync for TablesCell {}

static TABLES: TablesCell = TablesCell(UnsafeCell::new(Tables {
    gdt: GlobalDescriptorTable::new(),
    tss: TaskStateSegment::new(),
    idt: [Gate::EMPTY; 256],
    fault_stack: [0; FAULT_STACK_BYTES],
}));

/// Loads the partition's own descriptor tables. Interrupts stay off.
///
/// # Safety
/// Called once, with interrupts off.
pub unsafe fn init() {
    // SAFETY: the only reference to the tables; the caller calls once.
    let tables: &'static mut Tables = unsafe { &mut *TABLES.0.get() };
    let top = VirtAddr::from_ptr(&tables.fault_stack) + FAULT_STACK_BYTES as u64;
    tables.tss.interrupt_stack_table[FAULT_STACK] = top.align_down(16u64);
    let code = tables.gdt.append(Descriptor::kernel_code_segment());
    let data = tables.gdt.append(Descriptor::kernel_data_segment());
    let task = tables.gdt.append(Descriptor::tss_segment(&tables.tss));
    tables.gdt.load();
    // SAFETY: the selectors are those of the table just loaded, with the same meaning as before.
    unsafe {
        CS::set_reg(code);
        SS::set_reg(data);
        DS::set_reg(data);
        ES::set_reg(data);
        load_tss(task);
    }
    let stubs = addr_of!(interrupt_stubs) as u64;
    for (vector, gate) in tables.idt.iter_mut().enumerate() {
        let stack = match vector {
            DOUBLE_FAULT | PAGE_FAULT => FAULT_STACK as u64 + 1,
            _ => 0,
        };
        *gate = Gate::new(stubs + vector as u64 * 16, code.0, stack);
    }
    let pointer = DescriptorTablePointer {
        limit: (size_of_val(&tables.idt) - 1) as u16,
        base: VirtAddr::from_ptr(&tables.idt),
    };
    // SAFETY: the table is static and every gate leads to a stub.
    unsafe { lidt(&pointer) };
}

/// Halts until an interrupt comes, unless one came in already: between the check and HLT none can, since STI takes
/// effect after the next instruction only. `prepare` runs with interrupts off, and tells whether to halt at all.
pub fn halt_unless_pending(prepare: impl FnOnce() -> Wish) {
    x86_64::instructions::interrupts::disable();
    if !is_pending() && prepare() == Wish::Halt {
        // SAFETY: the handlers for all vectors are set up; HLT ends with the next interrupt.
        unsafe { asm!("sti", "hlt", options(nomem, nostack)) };
    } else {
        x86_64::instructions::interrupts::enable();
    }
}

/// Whether to halt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing to do until an interrupt.
    Halt,
    /// There is something to do.
    GoOn,
}
