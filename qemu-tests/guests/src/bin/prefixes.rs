//! Intercepted instructions behind prefixes: the CPU of the test bed does not tell their lengths, and RIP must be right all the same.
#![no_std]
#![no_main]
#![allow(
    clippy::indexing_slicing,
    reason = "a guest that fails its own bounds reports that it failed"
)]

use core::arch::asm;

use micro_guests::abi::start::StartInfo;
use micro_guests::hypercall::is_intel;
use micro_guests::{apic, check, cpu, guest, trap};

guest!(main);

/// Where the instructions are written and run.
const CODE: *mut u8 = 0xa_0000 as *mut u8;
/// MOV R8D, 0x12345678 and RET behind the instruction; a wrong RIP misses or bends it.
const TAIL: [u8; 7] = [0x41, 0xb8, 0x78, 0x56, 0x34, 0x12, 0xc3];
const CPUIDS: [&[u8]; 7] = [
    &[0x0f, 0xa2],
    &[0x66, 0x0f, 0xa2],
    &[0x48, 0x0f, 0xa2],
    &[0xf3, 0x0f, 0xa2],
    &[0x2e, 0x66, 0x48, 0x0f, 0xa2],
    &[0x67, 0x0f, 0xa2],
    &[0x36, 0x3e, 0x66, 0x66, 0x66, 0xf2, 0x4f, 0x0f, 0xa2],
];

fn main(_: &StartInfo) {
    trap::install();
    apic::enable();
    let mut at = 0;
    // Each at its own address, then each over the other at one address under another CR3.
    for code in CPUIDS {
        check!(
            run(at, code, 0x4000_0000).0 & 0xffff_ff00 == 0x4000_0000,
            "{code:x?} gives another leaf"
        );
        at += 32;
    }
    let reads: [&[u8]; 3] = [&[0x0f, 0x32], &[0x48, 0x0f, 0x32], &[0x66, 0x0f, 0x32]];
    for code in reads {
        run(at, code, 0);
        at += 32;
    }
    let last = if is_intel() { 0xc1 } else { 0xd9 };
    let calls: [&[u8]; 2] = [&[0x0f, 0x01, last], &[0x48, 0x0f, 0x01, last]];
    for code in calls {
        check!(run(at, code, 0).0 == 0, "{code:x?} fails");
        at += 32;
    }
    let halts: [&[u8]; 3] = [&[0xfb, 0xf4], &[0xfb, 0x48, 0xf4], &[0xfb, 0x66, 0xf4]];
    for code in halts {
        apic::write(0x32, 0x50);
        apic::write(0x38, 100_000);
        run(at, code, 0);
        cpu::cli();
        at += 32;
    }
    // In one place: tables for each length, so that CR3 tells them apart.
    for (index, code) in CPUIDS.iter().cycle().take(21).enumerate() {
        let tables = (0xb_0000 + (index << 12)) as *mut u64;
        // SAFETY: free memory of the guest; the copy maps what the original does.
        unsafe {
            let cr3: u64;
            asm!("mov {}, cr3", out(reg) cr3);
            tables.copy_from(cr3 as *const u64, 512);
            asm!("mov cr3, {}", in(reg) tables);
        }
        run(at, code, 0x4000_0000);
    }
}

/// Runs the instruction with this EAX and ECX = APIC_BASE's number; gives RAX and R8.
fn run(at: usize, code: &[u8], eax: u64) -> (u64, u64) {
    let (rax, r8): (u64, u64);
    // SAFETY: the code is written first, and ends with RET.
    unsafe {
        let to = CODE.add(at);
        to.copy_from_nonoverlapping(code.as_ptr(), code.len());
        to.add(code.len())
            .copy_from_nonoverlapping(TAIL.as_ptr(), TAIL.len());
        asm!("push rbx", "call {to}", "pop rbx", to = in(reg) to, inout("rax") eax => rax,
             inout("rcx") 0x1bu64 => _, out("rdx") _, out("r8") r8);
    }
    check!(r8 == 0x1234_5678, "after {code:x?} R8 is {r8:#x}");
    (rax, r8)
}
