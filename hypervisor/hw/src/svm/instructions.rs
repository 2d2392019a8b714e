//! The SVM instructions and the few others that the backend needs, each behind a small door.

use core::arch::asm;

use super::vmcb::Vmcb;

/// The guest's general-purpose registers except RAX and RSP, which the VMCB holds.
#[derive(Default)]
#[repr(C)]
pub struct Registers {
    /// RCX.
    pub rcx: u64,
    /// RDX.
    pub rdx: u64,
    /// RBX.
    pub rbx: u64,
    /// RBP.
    pub rbp: u64,
    /// RSI.
    pub rsi: u64,
    /// RDI.
    pub rdi: u64,
    /// R8 to R15.
    pub r: [u64; 8],
}

/// Runs the guest until it exits, with its registers moved straight between the CPU and `registers`.
///
/// After the exit, registers that the code after it could use for a load before it writes them are cleared: what a guest
/// left there must not steer speculation in the host.
///
/// # Safety
/// `vmcb` is the physical address of a VMCB whose tables confine the guest to its own memory, SVM is on, GIF is 0 and
/// the guest's VMLOAD state is loaded.
#[inline(always)]
pub unsafe fn world_switch(registers: &mut Registers, vmcb: u64) {
    // SAFETY: the caller vouches for the VMCB; VMRUN restores RSP and RAX, and every other register that the guest
    // had is saved and declared as clobbered here (RBX and RBP by the pushes).
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "push rdi",
            "mov rcx, [rdi]",
            "mov rdx, [rdi + 8]",
            "mov rbx, [rdi + 16]",
            "mov rbp, [rdi + 24]",
            "mov rsi, [rdi + 32]",
            "mov r8, [rdi + 48]",
            "mov r9, [rdi + 56]",
            "mov r10, [rdi + 64]",
            "mov r11, [rdi + 72]",
            "mov r12, [rdi + 80]",
            "mov r13, [rdi + 88]",
            "mov r14, [rdi + 96]",
            "mov r15, [rdi + 104]",
            "mov rdi, [rdi + 40]",
            "vmrun rax",
            "push rdi",
            "mov rdi, [rsp + 8]",
            "mov [rdi], rcx",
            "mov [rdi + 8], rdx",
            "mov [rdi + 16], rbx",
            "mov [rdi + 24], rbp",
            "mov [rdi + 32], rsi",
            "mov [rdi + 48], r8",
            "mov [rdi + 56], r9",
            "mov [rdi + 64], r10",
            "mov [rdi + 72], r11",
            "mov [rdi + 80], r12",
            "mov [rdi + 88], r13",
            "mov [rdi + 96], r14",
            "mov [rdi + 104], r15",
            "pop rcx",
            "mov [rdi + 40], rcx",
            "pop rcx",
            "xor ecx, ecx",
            "xor edx, edx",
            "xor esi, esi",
            "xor r8d, r8d",
            "xor r9d, r9d",
            "xor r10d, r10d",
            "xor r11d, r11d",
            "xor r12d, r12d",
            "xor r13d, r13d",
            "xor r14d, r14d",
            "xor r15d, r15d",
            "pop rbp",
            "pop rbx",
            inout("rdi") registers => _,
            inout("rax") vmcb => _,
            out("rcx") _, out("rdx") _, out("rsi") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
}

/// Loads FS, GS, TR, LDTR and the SYSCALL and SYSENTER registers from the VMCB at this physical address.
///
/// # Safety
/// The VMCB holds values that are right for what runs next.
#[inline]
pub unsafe fn vmload(vmcb: u64) {
    // SAFETY: passed on to the caller.
    unsafe { asm!("vmload rax", in("rax") vmcb, options(nostack, preserves_flags)) };
}

/// Stores what [`vmload`] loads.
///
/// # Safety
/// `vmcb` is the physical address of a VMCB that nobody else uses now.
#[inline]
pub unsafe fn vmsave(vmcb: u64) {
    // SAFETY: passed on to the caller.
    unsafe { asm!("vmsave rax", in("rax") vmcb, options(nostack, preserves_flags)) };
}

/// Holds back all interrupts, NMI included.
///
/// # Safety
/// SVM is on; the caller opens them again soon.
#[inline]
pub unsafe fn clgi() {
    // SAFETY: passed on to the caller.
    unsafe { asm!("clgi", options(nostack, preserves_flags)) };
}

/// Lets interrupts come.
///
/// # Safety
/// SVM is on, and the host's own segment bases are loaded, which interrupt handlers use.
#[inline]
pub unsafe fn stgi() {
    // SAFETY: passed on to the caller. The NOP gives a pending interrupt an instruction boundary of its own.
    unsafe { asm!("stgi", "nop", options(nostack)) };
}

/// Reads an MSR.
///
/// # Safety
/// The MSR exists.
#[inline]
pub unsafe fn rdmsr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high,
             options(nostack, nomem, preserves_flags));
    }
    (high as u64) << 32 | low as u64
}

/// Writes an MSR.
///
/// # Safety
/// The MSR takes the value, and what it changes keeps the host's own assumptions.
#[inline]
pub unsafe fn wrmsr(msr: u32, value: u64) {
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32,
             options(nostack, preserves_flags));
    }
}

/// The physical address of a VMCB's first byte, as VMRUN takes it.
pub fn physical(vmcb: &Vmcb) -> u64 {
    super::pages::physical_of(vmcb).as_u64()
}
