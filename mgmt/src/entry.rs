//! The entry: relocates the image, takes its own stack, calls [`crate::start`]; and the image's section boundaries.
//!
//! Called by the hypervisor as `bulkhead_abi::start` describes: 64-bit mode, interrupts off, RDI = start-up page.

use core::arch::global_asm;
use core::ptr::addr_of;

// Every relocation of a static PIE is R_X86_64_RELATIVE (type 8): *(base + offset) = base + addend. Until that is
// done nothing may use relocated data, hence assembly; all addresses here are relative to RIP.
global_asm!(
    ".section .text.entry, \"ax\"",
    ".globl _start",
    "_start:",
    "cld",
    "lea rax, [rip + image_start]",
    "lea rsi, [rip + rela_start]",
    "lea rdx, [rip + rela_end]",
    "2:",
    "cmp rsi, rdx",
    "jae 4f",
    "cmp dword ptr [rsi + 8], 8",
    "jne 3f",
    "mov rcx, [rsi]",
    "mov r8, [rsi + 16]",
    "add r8, rax",
    "mov [rax + rcx], r8",
    "3:",
    "add rsi, 24",
    "jmp 2b",
    "4:",
    "lea rsp, [rip + stack_top]",
    "xor ebp, ebp",
    "call {start}",
    "ud2",
    start = sym crate::start,
);

unsafe extern "C" {
    static image_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static stack_guard: u8;
    static stack_bottom: u8;
    static image_end: u8;
}

/// Where the image's parts lie; all bounds are page-aligned but `end`.
pub struct ImageBounds {
    /// First byte, and of the code.
    pub start: u64,
    /// End of the code, start of constants.
    pub text_end: u64,
    /// End of constants, start of variables.
    pub rodata_end: u64,
    /// The page below the stack, not to be mapped.
    pub stack_guard: u64,
    /// The stack's lowest byte.
    pub stack_bottom: u64,
    /// One after the last byte.
    pub end: u64,
}

impl ImageBounds {
    /// The bounds of the running image.
    pub fn get() -> Self {
        ImageBounds {
            start: addr_of!(image_start) as u64,
            text_end: addr_of!(text_end) as u64,
            rodata_end: addr_of!(rodata_end) as u64,
            stack_guard: addr_of!(stack_guard) as u64,
            stack_bottom: addr_of!(stack_bottom) as u64,
            end: addr_of!(image_end) as u64,
        }
    }
}
