//! Registers that a CPU switches only between vCPUs: two of these guests on one CPU, each with its own `seed=`, must not see
//! the other's.
#![no_std]
#![no_main]

use core::arch::asm;

use micro_guests::abi::start::StartInfo;
use micro_guests::{check, cpu, guest, number, result, trap};

guest!(main);

/// SYSENTER, SYSCALL and KERNEL_GS_BASE registers, and TSC_AUX.
const MSRS: [u32; 6] = [
    0x175,
    0x176,
    0xc000_0082,
    0xc000_0083,
    0xc000_0102,
    0xc000_0103,
];

fn main(info: &'static StartInfo) {
    trap::install();
    let seed = number(info, "seed").unwrap_or(1);
    let xsave = cpu::cpuid(1, 0)[2] & 1 << 26 != 0;
    // SAFETY: SSE state on; the program itself uses none.
    unsafe {
        asm!("mov rax, cr0", "and rax, -13", "or rax, 2", "mov cr0, rax",
             "mov rax, cr4", "or rax, 0x600", "mov cr4, rax", out("rax") _);
        if xsave {
            asm!("mov rax, cr4", "bts rax, 18", "mov cr4, rax", out("rax") _);
        }
    }
    // Another XCR0 for each.
    let xcr0 = if seed.is_multiple_of(2) { 1u32 } else { 3 };
    if xsave {
        // SAFETY: OSXSAVE is on, and the value legal.
        unsafe { asm!("xsetbv", in("ecx") 0, in("eax") xcr0, in("edx") 0) };
    }
    let start = cpu::rdtsc();
    let mut rounds = 0u64;
    while cpu::rdtsc() - start < info.tsc_hz / 4 || rounds < 3 {
        rounds += 1;
        round(seed << 32 | rounds, xsave, xcr0, info.tsc_hz / 100);
    }
    result("rounds", rounds);
}

/// Sets all, lets more than a time slice pass, looks.
fn round(value: u64, xsave: bool, xcr0: u32, ticks: u64) {
    for (msr, index) in MSRS.iter().zip(0u64..) {
        cpu::wrmsr(*msr, (value + index) & 0xffff_ffff);
    }
    let (low, high, x87, dr0, dr3, cr2): (u64, u64, u64, u64, u64, u64);
    let control: u32 = 0x1f80 | if value >> 32 & 1 == 0 { 0x8000 } else { 0 };
    let mut memory = [0u64; 2];
    let mut status = [control, 0];
    // SAFETY: registers that the program does not use otherwise.
    unsafe {
        asm!(
            "movq xmm0, {value}", "movq xmm15, {other}", "ldmxcsr [{status}]",
            "fninit", "mov [{memory}], {value}", "fild qword ptr [{memory}]",
            "mov dr0, {value}", "mov dr3, {other}", "mov cr2, {value}",
            value = in(reg) value, other = in(reg) !value >> 8, memory = in(reg) &raw mut memory,
            status = in(reg) &raw mut status,
        );
    }
    let start = cpu::rdtsc();
    while cpu::rdtsc() - start < ticks {
        core::hint::spin_loop();
    }
    // SAFETY: as above.
    unsafe {
        asm!(
            "movq {low}, xmm0", "movq {high}, xmm15", "stmxcsr [{status} + 4]",
            "fistp qword ptr [{memory}]", "mov {dr0}, dr0", "mov {dr3}, dr3", "mov {cr2}, cr2",
            low = out(reg) low, high = out(reg) high, dr0 = out(reg) dr0, dr3 = out(reg) dr3, cr2 = out(reg) cr2,
            memory = in(reg) &raw mut memory, status = in(reg) &raw mut status,
        );
        x87 = (&raw const memory).cast::<u64>().read_volatile();
        let [_, mxcsr] = (&raw const status).read_volatile();
        check!(mxcsr == control, "MXCSR is {mxcsr:#x}, was {control:#x}");
    }
    check!(
        low == value && high == !value >> 8,
        "XMM0 is {low:#x}, XMM15 {high:#x}, for {value:#x}"
    );
    check!(x87 == value, "ST0 is {x87:#x}, was {value:#x}");
    check!(
        dr0 == value && dr3 == !value >> 8,
        "DR0 is {dr0:#x}, DR3 {dr3:#x}, for {value:#x}"
    );
    check!(cr2 == value, "CR2 is {cr2:#x}, was {value:#x}");
    for (msr, index) in MSRS.iter().zip(0u64..) {
        let got = cpu::rdmsr(*msr);
        check!(
            got == (value + index) & 0xffff_ffff,
            "MSR {msr:#x} is {got:#x}, for {value:#x}"
        );
    }
    if xsave {
        let got: u32;
        // SAFETY: OSXSAVE is on.
        unsafe { asm!("xgetbv", in("ecx") 0, out("eax") got, out("edx") _) };
        check!(got == xcr0, "XCR0 is {got:#x}, was {xcr0:#x}");
    }
}
