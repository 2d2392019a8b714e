//! The entry point: relocates the image, then calls the guest's main function.

use core::arch::global_asm;

global_asm!(
    ".globl _start",
    "_start:",
    "cld",
    "mov r12, rdi",
    "lea rdi, [rip + __ehdr_start]",
    "lea rsi, [rip + _DYNAMIC]",
    "call {relocate}",
    "mov rdi, r12",
    "xor ebp, ebp",
    "call guest_main",
    "ud2",
    relocate = sym relocate,
);

/// Dynamic section tags (System V ABI, table 5.10) and the only relocation of a static PIE.
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const R_X86_64_RELATIVE: u64 = 8;

/// Applies the relative relocations.
///
/// # Safety
/// `base` is where the image's address 0 lies, `dynamic` its dynamic section; called once, first of all.
unsafe extern "C" fn relocate(base: u64, dynamic: *const [u64; 2]) {
    let (mut table, mut bytes) = (0, 0);
    let mut entry = dynamic;
    loop {
        // SAFETY: the dynamic section ends with a null tag.
        let [tag, value] = unsafe { entry.read() };
        match tag {
            0 => break,
            DT_RELA => table = value,
            DT_RELASZ => bytes = value,
            _ => {}
        }
        // SAFETY: as above.
        entry = unsafe { entry.add(1) };
    }
    let mut relocation = (base + table) as *const [u64; 3];
    for _ in 0..bytes / 24 {
        // SAFETY: the linker wrote so many entries, each of an aligned word inside of the image.
        unsafe {
            let [offset, info, addend] = relocation.read();
            if info == R_X86_64_RELATIVE {
                ((base + offset) as *mut u64).write(base + addend);
            }
            relocation = relocation.add(1);
        }
    }
}
