//! The SVM instructions and the few others that the backend needs, each behind a small door.

use core::arch::asm;

use super::length_cache::LengthCache;
use super::vmcb::Vmcb;
use crate::virtualization::pages::Zeroed;
use crate::virtualization::register_file::RegisterFile;

/// What an entry and its exit need, in one piece: from the physical address in RAX, which VMRUN keeps, the code after the exit
/// finds where the registers go without a register of the guest's.
#[repr(C, align(4096))]
pub struct EntryBlock {
    /// The VMCB, first.
    pub vmcb: Vmcb,
    /// The registers that the VMCB does not hold.
    pub registers: RegisterFile,
    /// Lengths of instructions that exited.
    pub lengths: LengthCache,
}

// SAFETY: all parts may be zero.
unsafe impl Zeroed for EntryBlock {}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(EntryBlock, vmcb) == 0);
    assert!(offset_of!(EntryBlock, registers) == 0x1000);
};

/// From physical addresses to those of the direct map, in memory for an addition without a register.
static TO_DIRECT_MAP: u64 = crate::layout::DIRECT_MAP;

/// Runs the guest until it exits, with its registers moved straight between the CPU and the block.
///
/// After the exit, registers that the code after it could use for a load before it writes them are cleared: what a guest
/// left there must not steer speculation in the host.
///
/// # Safety
/// `physical` is the physical address of `block`, which lies in the direct map; its VMCB's tables confine the guest to its own
/// memory, SVM is on, GIF is 0 and the guest's VMLOAD state is loaded.
#[inline(always)]
pub unsafe fn world_switch(block: &mut EntryBlock, physical: u64) {
    // SAFETY: the caller vouches for the VMCB; VMRUN restores RSP and RAX, and every other register that the guest
    // had is saved and declared as clobbered here (RBX and RBP by the pushes).
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "mov rcx, [rdi + 0x1000]",
            "mov rdx, [rdi + 0x1008]",
            "mov rbx, [rdi + 0x1010]",
            "mov rbp, [rdi + 0x1018]",
            "mov rsi, [rdi + 0x1020]",
            "mov r8, [rdi + 0x1030]",
            "mov r9, [rdi + 0x1038]",
            "mov r10, [rdi + 0x1040]",
            "mov r11, [rdi + 0x1048]",
            "mov r12, [rdi + 0x1050]",
            "mov r13, [rdi + 0x1058]",
            "mov r14, [rdi + 0x1060]",
            "mov r15, [rdi + 0x1068]",
            "mov rdi, [rdi + 0x1028]",
            "vmrun rax",
            "add rax, [rip + {to_direct_map}]",
            "mov [rax + 0x1000], rcx",
            "mov [rax + 0x1008], rdx",
            "mov [rax + 0x1010], rbx",
            "mov [rax + 0x1018], rbp",
            "mov [rax + 0x1020], rsi",
            "mov [rax + 0x1028], rdi",
            "mov [rax + 0x1030], r8",
            "mov [rax + 0x1038], r9",
            "mov [rax + 0x1040], r10",
            "mov [rax + 0x1048], r11",
            "mov [rax + 0x1050], r12",
            "mov [rax + 0x1058], r13",
            "mov [rax + 0x1060], r14",
            "mov [rax + 0x1068], r15",
            "xor ecx, ecx",
            "xor edx, edx",
            "xor esi, esi",
            "xor edi, edi",
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
            to_direct_map = sym TO_DIRECT_MAP,
            inout("rdi") block => _,
            inout("rax") physical => _,
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

/// Hands a machine check that a guest's exit told of to the host's own handler, which reports it and ends the machine.
///
/// # Safety
/// The host's segments, with the task-state segment of this CPU, are loaded.
pub unsafe fn raise_machine_check() {
    // SAFETY: the gate of vector 18 leads to the host's handler, on a stack of its own.
    unsafe { asm!("int 18") };
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
