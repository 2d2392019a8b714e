//! All 256 vectors: counts them, lets a guest hook them, and turns faults of a probed instruction into a value.
//!
//! [`crate::attempt!`] runs instructions that may fault and tells the vector. An exception that nobody expects fails the test with
//! its registers. Interrupts (from 32 on) are counted in [`crate::idt::COUNTS`] and ended at the local APIC.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

use crate::{apic, fail, idt};

/// What the stubs push, lowest address first.
#[repr(C)]
#[derive(Debug)]
pub struct Frame {
    /// R15, R14 to R8, RDI, RSI, RBP, RBX, RDX, RCX, RAX.
    pub registers: [u64; 15],
    /// The vector.
    pub vector: u64,
    /// The error code, 0 for vectors without one.
    pub error: u64,
    /// Where the vCPU was.
    pub rip: u64,
    /// Its code segment.
    pub cs: u64,
    /// Its flags.
    pub rflags: u64,
    /// Its stack.
    pub rsp: u64,
    /// Its stack segment.
    pub ss: u64,
}

impl Frame {
    /// Index of RAX in the registers.
    pub const RAX: usize = 14;
    /// Index of RCX.
    pub const RCX: usize = 13;
    /// Index of RDX.
    pub const RDX: usize = 12;
}

/// Where [`crate::attempt!`] goes on after a fault; 0: no fault is expected.
pub static RESUME: AtomicU64 = AtomicU64::new(0);
/// The vector that the last [`crate::attempt!`] met; all ones: none.
pub static CAUGHT: AtomicU64 = AtomicU64::new(u64::MAX);
/// The error code with it.
pub static ERROR: AtomicU64 = AtomicU64::new(0);
/// RIP of the last fault or trap that was caught.
pub static AT: AtomicU64 = AtomicU64::new(0);
static HOOKS: [AtomicUsize; 256] = [const { AtomicUsize::new(0) }; 256];
/// APIC id of the vCPU that took each vector last.
pub static TAKEN_BY: [AtomicU32; 256] = [const { AtomicU32::new(u32::MAX) }; 256];

/// What a hook decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hooked {
    /// The interrupted code goes on as the frame says.
    Handled,
    /// Interrupts are to be ended; for exceptions as [`Hooked::Handled`].
    End,
}

global_asm!(
    ".balign 16",
    "trap_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    // 8, 10 to 14, 17, 21, 29 and 30 bring an error code.
    ".if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)",
    ".else",
    "push 0",
    ".endif",
    ".byte 0x68",
    ".long vector",
    "jmp trap_entry",
    ".set vector, vector + 1",
    ".endr",
    "trap_entry:",
    "push rax",
    "push rcx",
    "push rdx",
    "push rbx",
    "push rbp",
    "push rsi",
    "push rdi",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "cld",
    "mov rdi, rsp",
    "mov rbp, rsp",
    "and rsp, -16",
    "call {enter}",
    "mov rsp, rbp",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rdi",
    "pop rsi",
    "pop rbp",
    "pop rbx",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "add rsp, 16",
    "iretq",
    enter = sym enter,
);

unsafe extern "C" {
    static trap_stubs: [[u8; 16]; 256];
}

/// Points all vectors here and loads the table. Further vCPUs only need [`idt::load`].
pub fn install() {
    for vector in 0..=255u8 {
        // SAFETY: only the address is taken.
        let stub = unsafe { &raw const trap_stubs[usize::from(vector)] };
        idt::set(vector, stub as u64);
    }
    idt::load();
}

/// Calls `hook` for a vector.
pub fn hook(vector: u8, hook: fn(&mut Frame) -> Hooked) {
    HOOKS[usize::from(vector)].store(hook as usize, SeqCst);
}

/// How often a vector came.
pub fn count(vector: u8) -> u64 {
    idt::COUNTS[usize::from(vector)].load(SeqCst)
}

extern "C" fn enter(frame: &mut Frame) {
    let vector = frame.vector as usize & 0xff;
    idt::COUNTS[vector].fetch_add(1, SeqCst);
    let hook = HOOKS[vector].load(SeqCst);
    if hook != 0 {
        // SAFETY: `hook` stored a function of this type.
        let hook = unsafe { core::mem::transmute::<usize, fn(&mut Frame) -> Hooked>(hook) };
        if hook(frame) == Hooked::End && vector >= 32 {
            apic::end_of_interrupt();
        }
        return;
    }
    if vector >= 32 {
        TAKEN_BY[vector].store(apic::id(), SeqCst);
        apic::end_of_interrupt();
        return;
    }
    let resume = RESUME.swap(0, SeqCst);
    if resume == 0 || vector == 2 {
        unexpected(frame);
    }
    AT.store(frame.rip, SeqCst);
    ERROR.store(frame.error, SeqCst);
    CAUGHT.store(frame.vector, SeqCst);
    // Single-stepping ends with the attempt.
    frame.rflags &= !(1 << 8);
    frame.rip = resume;
}

fn unexpected(frame: &Frame) -> ! {
    let cr2: u64;
    // SAFETY: changes nothing.
    unsafe { core::arch::asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack)) };
    fail(format_args!(
        "unexpected exception {} error {:#x} at {:#x} cr2 {cr2:#x} rsp {:#x}",
        frame.vector, frame.error, frame.rip, frame.rsp
    ))
}

/// The vector that the last attempt met.
pub fn caught() -> Option<u8> {
    u8::try_from(CAUGHT.load(SeqCst)).ok()
}

/// Runs assembly that may fault: `attempt!(["rdmsr"], in("ecx") 5, out("eax") _, out("edx") _)` gives `Some(vector)` where it
/// did. A fault leaves outputs as they were before. Needs [`trap::install`](crate::trap::install).
#[macro_export]
macro_rules! attempt {
    ([$($code:expr),+ $(,)?] $(, $($operands:tt)*)?) => {{
        // SAFETY: a micro-guest may do anything to itself.
        #[allow(clippy::macro_metavars_in_unsafe, reason = "the operands are the caller's, as in asm!")]
        unsafe {
            core::arch::asm!(
                "lea {resume_at}, [rip + 77f]",
                "mov qword ptr [rip + {resume}], {resume_at}",
                "mov qword ptr [rip + {caught}], -1",
                $($code,)+
                "77:",
                "mov qword ptr [rip + {resume}], 0",
                resume = sym $crate::trap::RESUME,
                caught = sym $crate::trap::CAUGHT,
                resume_at = out(reg) _,
                $($($operands)*)?
            );
        }
        $crate::trap::caught()
    }};
}

/// RDMSR, or the vector of its fault.
pub fn rdmsr(msr: u32) -> Result<u64, u8> {
    let (mut low, mut high) = (0u32, 0u32);
    let fault = attempt!(["rdmsr"], in("ecx") msr, inout("eax") low, inout("edx") high);
    match fault {
        Some(vector) => Err(vector),
        None => Ok(u64::from(high) << 32 | u64::from(low)),
    }
}

/// WRMSR, or the vector of its fault.
pub fn wrmsr(msr: u32, value: u64) -> Result<(), u8> {
    let fault =
        attempt!(["wrmsr"], in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32);
    fault.map_or(Ok(()), Err)
}
