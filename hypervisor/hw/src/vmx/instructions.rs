//! The VMX instructions and the world switch, each behind a small door.

use core::arch::{asm, naked_asm};

use crate::virtualization::pages::Zeroed;
use crate::virtualization::register_file::RegisterFile;

/// What an entry and its exit need, in one piece.
#[repr(C, align(64))]
pub struct EntryBlock {
    /// RAX.
    pub rax: u64,
    /// The others that the VMCS does not hold.
    pub registers: RegisterFile,
    /// What the VMCS has for the host's RSP; 0 where it has none.
    host_rsp: u64,
    /// Whether the next entry is a VMRESUME (1) or a VMLAUNCH (0).
    pub launched: u64,
}

// SAFETY: integers may be zero.
unsafe impl Zeroed for EntryBlock {}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(EntryBlock, rax) == 0 && offset_of!(EntryBlock, registers) == 8);
    assert!(offset_of!(EntryBlock, host_rsp) == 120 && offset_of!(EntryBlock, launched) == 128);
};

/// How an entry went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Entered {
    /// The guest ran, or its state was refused: the exit reason tells.
    #[default]
    Exited,
    /// The instruction failed; the field of its error number tells why.
    Failed,
    /// No VMCS is current.
    NoVmcs,
}

/// Runs the guest of the current VMCS until it exits.
///
/// # Safety
/// The VMCS confines the guest to its own memory and holds this CPU's host state; interrupts are held back.
#[inline(always)]
pub unsafe fn world_switch(block: &mut EntryBlock) -> Entered {
    // SAFETY: passed on to the caller.
    match unsafe { enter(block) } {
        0 => Entered::Exited,
        1 => Entered::NoVmcs,
        _ => Entered::Failed,
    }
}

/// Moves the guest's registers straight between the CPU and the block. 0 after an exit, 1 or 2 where the CPU refused the
/// instruction (CF or ZF). Where the guest exits to is told the VMCS only when the stack pointer differs from the last time.
///
/// After the exit all registers that hold the guest's values are cleared: what a guest left there must not steer speculation
/// in the host.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter(block: &mut EntryBlock) -> u64 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "cmp rsp, [rdi + 120]",
        "je 2f",
        "mov [rdi + 120], rsp",
        "mov eax, 0x6c14",
        "vmwrite rax, rsp",
        "lea rcx, [rip + 5f]",
        "mov eax, 0x6c16",
        "vmwrite rax, rcx",
        "2:",
        // The moves leave the flags alone.
        "cmp qword ptr [rdi + 128], 0",
        "mov rax, [rdi]",
        "mov rcx, [rdi + 8]",
        "mov rdx, [rdi + 16]",
        "mov rbx, [rdi + 24]",
        "mov rbp, [rdi + 32]",
        "mov rsi, [rdi + 40]",
        "mov r8, [rdi + 56]",
        "mov r9, [rdi + 64]",
        "mov r10, [rdi + 72]",
        "mov r11, [rdi + 80]",
        "mov r12, [rdi + 88]",
        "mov r13, [rdi + 96]",
        "mov r14, [rdi + 104]",
        "mov r15, [rdi + 112]",
        "mov rdi, [rdi + 48]",
        "je 3f",
        "vmresume",
        "jmp 4f",
        "3:",
        "vmlaunch",
        // Still here: refused.
        "4:",
        "mov eax, 1",
        "mov ecx, 2",
        "cmovz eax, ecx",
        "pop rdi",
        "jmp 6f",
        "5:",
        "push rdi",
        "mov rdi, [rsp + 8]",
        "mov [rdi], rax",
        "mov [rdi + 8], rcx",
        "mov [rdi + 16], rdx",
        "mov [rdi + 24], rbx",
        "mov [rdi + 32], rbp",
        "mov [rdi + 40], rsi",
        "pop qword ptr [rdi + 48]",
        "mov [rdi + 56], r8",
        "mov [rdi + 64], r9",
        "mov [rdi + 72], r10",
        "mov [rdi + 80], r11",
        "mov [rdi + 88], r12",
        "mov [rdi + 96], r13",
        "mov [rdi + 104], r14",
        "mov [rdi + 112], r15",
        "pop rdi",
        "xor eax, eax",
        "6:",
        "xor ecx, ecx",
        "xor edx, edx",
        "xor esi, esi",
        "xor edi, edi",
        "xor r8d, r8d",
        "xor r9d, r9d",
        "xor r10d, r10d",
        "xor r11d, r11d",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// Reads a field of the current VMCS; 0 where none is current.
#[inline(always)]
pub fn vmread(encoding: u32) -> u64 {
    let value: u64;
    // SAFETY: reading has no effect; the backend runs only on CPUs in VMX operation.
    unsafe {
        asm!("xor {value:e}, {value:e}", "vmread {value}, {encoding}", value = out(reg) value,
             encoding = in(reg) u64::from(encoding), options(nomem, nostack));
    }
    value
}

/// Writes a field of the current VMCS.
#[inline(always)]
pub fn vmwrite(encoding: u32, value: u64) {
    // SAFETY: no effect before the next entry, whose caller vouches for the whole VMCS.
    unsafe {
        asm!("vmwrite {encoding}, {value}", encoding = in(reg) u64::from(encoding),
             value = in(reg) value, options(nostack));
    }
}

/// Makes a VMCS the current one.
///
/// # Safety
/// The region is a VMCS of this CPU's revision that no other CPU has loaded, and stays where it is until [`vmclear`].
pub unsafe fn vmptrld(region: u64) {
    // SAFETY: passed on to the caller.
    unsafe { asm!("vmptrld [{}]", in(reg) &raw const region, options(nostack)) };
}

/// Writes back all that the CPU holds of a VMCS.
///
/// # Safety
/// The region is a VMCS of this CPU's revision.
pub unsafe fn vmclear(region: u64) {
    // SAFETY: passed on to the caller.
    unsafe { asm!("vmclear [{}]", in(reg) &raw const region, options(nostack)) };
}

/// Enters VMX operation; whether the CPU did.
///
/// # Safety
/// The region is this CPU's own for good, with its revision in the first word; the control registers are as required.
pub unsafe fn vmxon(region: u64) -> bool {
    let failed: u8;
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("vmxon [{}]", "setbe {}", in(reg) &raw const region, out(reg_byte) failed,
             options(nostack));
    }
    failed == 0
}

/// What INVEPT and INVVPID drop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// What belongs to one context.
    One,
    /// Everything of all contexts.
    All,
}

impl Extent {
    const fn number(self) -> u64 {
        match self {
            Self::One => 1,
            Self::All => 2,
        }
    }
}

/// Drops translations that came from nested tables.
pub fn invept(extent: Extent, pointer: u64) {
    let descriptor = [pointer, 0];
    // SAFETY: dropping cached translations never changes what memory holds.
    unsafe {
        asm!("invept {}, [{}]", in(reg) extent.number(), in(reg) &raw const descriptor,
             options(nostack));
    }
}

/// Drops translations with a tag.
pub fn invvpid(extent: Extent, tag: u64) {
    let descriptor = [tag, 0];
    // SAFETY: as above.
    unsafe {
        asm!("invvpid {}, [{}]", in(reg) extent.number(), in(reg) &raw const descriptor,
             options(nostack));
    }
}

/// Lets the host take the interrupts that wait.
///
/// # Safety
/// The IDT is loaded, and no lock is held that a stub takes.
pub unsafe fn take_interrupts() {
    // SAFETY: passed on to the caller. The NOP is where they come.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) };
}

/// Hands the NMI that an exit told of to the host's own handler; its IRET lets NMIs come again.
///
/// # Safety
/// The IDT and the task-state segment of this CPU are loaded.
pub unsafe fn raise_nmi() {
    // SAFETY: the gate of vector 2 leads to the host's handler, on a stack of its own.
    unsafe { asm!("int 2") };
}

/// Hands a machine check that an exit told of to the host's own handler, which reports it and ends the machine.
///
/// # Safety
/// As for [`raise_nmi`].
pub unsafe fn raise_machine_check() {
    // SAFETY: the gate of vector 18 leads to the host's handler, on a stack of its own.
    unsafe { asm!("int 18") };
}
