//! Starting the other vCPUs by INIT and start-up IPIs.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

use crate::{apic, cpu, idt};

/// Where the real-mode code goes; below 1 MiB and above any image.
const TRAMPOLINE: u64 = 0x9_0000;
/// Bytes of stack for each vCPU.
const STACK: usize = 16 << 10;
/// Most vCPUs.
pub const MAX: usize = 8;

#[repr(C, align(16))]
struct Stacks(core::cell::UnsafeCell<[[u8; STACK]; MAX]>);

// SAFETY: each vCPU uses its own.
unsafe impl Sync for Stacks {}

static STACKS: Stacks = Stacks(core::cell::UnsafeCell::new([[0; STACK]; MAX]));
/// The next stack.
static NEXT: AtomicU32 = AtomicU32::new(0);
static MAIN: AtomicUsize = AtomicUsize::new(0);

// 16-bit code at CS:0, then 64-bit code where it was linked.
global_asm!(
    "smp_trampoline:",
    ".code16",
    "cli",
    "mov ax, cs",
    "mov ds, ax",
    // LGDT with a 32-bit base from the pointer at offset 0x80.
    ".byte 0x66, 0x0f, 0x01, 0x16, 0x80, 0x00",
    "mov eax, 0x20",
    "mov cr4, eax",
    "mov eax, dword ptr [0x90]",
    "mov cr3, eax",
    "mov ecx, 0xc0000080",
    "rdmsr",
    "or eax, 0x100",
    "wrmsr",
    "mov eax, 0x80000011",
    "mov cr0, eax",
    // Far jump by the 32-bit pointer at offset 0x98.
    ".byte 0x66, 0xff, 0x2e, 0x98, 0x00",
    "smp_trampoline_end:",
    ".code64",
    "smp_long:",
    "mov eax, 0x10",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "xor eax, eax",
    "mov fs, eax",
    "mov gs, eax",
    "mov eax, 1",
    "lock xadd dword ptr [rip + {next}], eax",
    "inc eax",
    "imul eax, eax, {stack}",
    "lea rsp, [rip + {stacks}]",
    "add rsp, rax",
    "xor ebp, ebp",
    "call {arrive}",
    "ud2",
    next = sym NEXT,
    stacks = sym STACKS,
    stack = const STACK,
    arrive = sym arrive,
);

unsafe extern "C" {
    static smp_trampoline: u8;
    static smp_trampoline_end: u8;
    static smp_long: u8;
}

extern "C" fn arrive() -> ! {
    idt::load();
    apic::enable();
    let main = MAIN.load(SeqCst);
    // SAFETY: `prepare` stored a function of this type.
    let main = unsafe { core::mem::transmute::<usize, fn(u32) -> !>(main) };
    main(apic::id())
}

/// Readies the trampoline; started vCPUs call `main` with their APIC id, with their x2APIC on and interrupts off.
pub fn prepare(main: fn(u32) -> !) {
    MAIN.store(main as usize, SeqCst);
    NEXT.store(0, SeqCst);
    // SAFETY: the linker placed the code; the guest's low memory is its own.
    unsafe {
        let from = &raw const smp_trampoline;
        let bytes = &raw const smp_trampoline_end as usize - from as usize;
        let to = TRAMPOLINE as *mut u8;
        to.copy_from_nonoverlapping(from, bytes);
        asm!("sgdt [{}]", in(reg) to.add(0x80), options(nostack));
        let cr3: u64;
        asm!("mov {}, cr3", out(reg) cr3, options(nomem, nostack));
        to.add(0x90).cast::<u32>().write(cr3 as u32);
        to.add(0x98).cast::<u32>().write(&raw const smp_long as u32);
        to.add(0x9c).cast::<u16>().write(8);
    }
}

/// The same on this stack (from 0 on; vCPUs take them in the order of their start).
pub fn start_on(apic_id: u32, stack: u32) {
    NEXT.store(stack, SeqCst);
    start(apic_id);
}

/// Sends INIT and two start-up IPIs to one vCPU.
pub fn start(apic_id: u32) {
    let to = u64::from(apic_id) << 32;
    cpu::wrmsr(apic::ICR, to | 0xc500);
    cpu::wrmsr(apic::ICR, to | 0x4600 | TRAMPOLINE >> 12);
    cpu::wrmsr(apic::ICR, to | 0x4600 | TRAMPOLINE >> 12);
}
