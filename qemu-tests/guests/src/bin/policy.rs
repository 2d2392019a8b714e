//! What CPUID tells, and what MSRs and control registers accept.
#![no_std]
#![no_main]

use micro_guests::abi::start::StartInfo;
use micro_guests::trap::{self, rdmsr, wrmsr};
use micro_guests::{attempt, check, cpu, guest};

guest!(main);

const UD: u8 = 6;
const GP: u8 = 13;
const EFER: u32 = 0xc000_0080;
const OSXSAVE: u64 = 1 << 18;

fn main(info: &'static StartInfo) {
    trap::install();
    cpuid(info);
    msrs();
    control_registers();
    xsetbv();
    time_stamp_counter();
}

fn cpuid(info: &StartInfo) {
    let [limit, ebx, ecx, edx] = cpu::cpuid(0x4000_0000, 0);
    check!(limit >= 0x4000_0001, "no hypervisor leaves: {limit:#x}");
    let word = |text: &[u8; 4]| u32::from_le_bytes(*text);
    check!(
        [ebx, ecx, edx] == [word(b"Bulk"), word(b"head"), word(b"HV\0\0")],
        "the signature is {ebx:#x} {ecx:#x} {edx:#x}"
    );
    let [_, ebx, ecx, _] = cpu::cpuid(1, 0);
    check!(ecx >> 31 == 1, "the hypervisor bit is not set");
    check!(ecx & 1 << 3 == 0, "MONITOR is shown");
    check!(ecx & 1 << 5 == 0, "VMX is shown");
    check!(ecx & 1 << 21 != 0, "x2APIC is not shown");
    check!(ebx >> 24 == 0, "the boot vCPU has APIC id {}", ebx >> 24);
    let count = ebx >> 16 & 0xff;
    check!(
        count >= info.vcpus && count < 2 * info.vcpus.max(1),
        "{count} logical CPUs for {} vCPUs",
        info.vcpus
    );
    check!(cpu::cpuid(0x8000_0001, 0)[2] & 1 << 2 == 0, "SVM is shown");
    let last = cpu::cpuid(0x8000_0000, 0)[0];
    if last >= 0x8000_000a {
        check!(
            cpu::cpuid(0x8000_000a, 0) == [0; 4],
            "SVM's features are shown"
        );
    }
    check!(
        cpu::cpuid(0x8000_0008, 0)[0] >> 8 & 0xff == 48,
        "linear addresses have another width"
    );
    osxsave();
}

/// CPUID's OSXSAVE is CR4's, at once.
fn osxsave() {
    if cpu::cpuid(1, 0)[2] & 1 << 26 == 0 {
        return;
    }
    let cr4 = read_cr4();
    for value in [cr4 | OSXSAVE, cr4 & !OSXSAVE, cr4 | OSXSAVE] {
        check!(write_cr4(value).is_none(), "CR4 = {value:#x} was refused");
        let shown = cpu::cpuid(1, 0)[2] & 1 << 27 != 0;
        check!(
            shown == (value & OSXSAVE != 0),
            "OSXSAVE does not follow CR4"
        );
    }
}

fn msrs() {
    for msr in [
        0x0000_2000,
        0x1234_5678,
        0x4000_0000,
        0xc000_1234,
        0xc001_2000,
        0xffff_ffff,
        0xc001_0117,
    ] {
        check!(
            rdmsr(msr) == Err(GP),
            "reading MSR {msr:#x} gives {:?}",
            rdmsr(msr)
        );
        check!(wrmsr(msr, 0) == Err(GP), "MSR {msr:#x} can be written");
    }
    let efer = rdmsr(EFER).unwrap_or(0);
    check!(efer & 1 << 12 == 0, "SVME is visible in EFER {efer:#x}");
    check!(efer & 0x500 == 0x500, "EFER is {efer:#x} in long mode");
    check!(wrmsr(EFER, efer | 1 << 12) == Err(GP), "SVME can be set");
    check!(
        wrmsr(EFER, efer & !(1 << 8)) == Err(GP),
        "LME can be cleared while paging"
    );
    check!(
        wrmsr(EFER, efer | 1 << 63) == Err(GP),
        "a reserved bit of EFER can be set"
    );
    check!(wrmsr(EFER, efer | 1) == Ok(()), "SCE cannot be set");
    check!(rdmsr(EFER) == Ok(efer | 1), "SCE does not stay");
    // PAT, with its check.
    let pat = rdmsr(0x277);
    check!(pat == Ok(0x0007_0406_0007_0406), "PAT is {pat:x?} at start");
    check!(
        wrmsr(0x277, 0x0007_0406_0007_0402) == Err(GP),
        "memory type 2 is accepted in PAT"
    );
    check!(
        wrmsr(0x277, 0x0007_0106_0007_0406) == Ok(()),
        "PAT cannot be written"
    );
    check!(
        rdmsr(0x277) == Ok(0x0007_0106_0007_0406),
        "PAT does not keep its value"
    );
    // MTRRs.
    let capabilities = rdmsr(0xfe).unwrap_or(0);
    check!(
        capabilities & 0xff != 0,
        "there are no variable MTRRs: {capabilities:#x}"
    );
    check!(
        wrmsr(0xfe, 0) == Err(GP),
        "the MTRR capabilities can be written"
    );
    check!(
        wrmsr(0x250, 0x0606_0606_0606_0606) == Ok(()),
        "a fixed MTRR cannot be written"
    );
    check!(
        rdmsr(0x250) == Ok(0x0606_0606_0606_0606),
        "a fixed MTRR does not keep its value"
    );
    check!(
        wrmsr(0x250, 0x0606_0606_0606_0602) == Err(GP),
        "memory type 2 is accepted in an MTRR"
    );
    // Segment bases and SYSCALL registers.
    for msr in [0xc000_0082, 0xc000_0083, 0xc000_0102, 0x175, 0x176] {
        check!(
            wrmsr(msr, 0x1234_5678) == Ok(()),
            "MSR {msr:#x} cannot be written"
        );
        check!(
            rdmsr(msr) == Ok(0x1234_5678),
            "MSR {msr:#x} does not keep its value"
        );
    }
    let vendor_amd = cpu::cpuid(0, 0)[2] == u32::from_le_bytes(*b"cAMD");
    if vendor_amd {
        // Operating systems program the performance counters without a check.
        for msr in (0xc001_0000..=0xc001_0007).chain(0xc001_0200..=0xc001_020b) {
            check!(
                wrmsr(msr, 0) == Ok(()),
                "the performance counter {msr:#x} raises #GP"
            );
            check!(
                rdmsr(msr) == Ok(0),
                "the performance counter {msr:#x} is {:x?}",
                rdmsr(msr)
            );
        }
    }
    check!(
        attempt!(["rdpmc"], in("ecx") 0, out("eax") _, out("edx") _) == Some(GP),
        "RDPMC is there"
    );
}

fn read_cr4() -> u64 {
    let value;
    // SAFETY: changes nothing.
    unsafe { core::arch::asm!("mov {}, cr4", out(reg) value, options(nomem, nostack)) };
    value
}

fn write_cr4(value: u64) -> Option<u8> {
    attempt!(["mov cr4, {value}"], value = in(reg) value)
}

fn write_cr0(value: u64) -> Option<u8> {
    attempt!(["mov cr0, {value}"], value = in(reg) value)
}

fn control_registers() {
    let cr4 = read_cr4();
    for bit in [12, 13, 14, 15, 19, 23, 24, 25, 32, 63] {
        check!(
            write_cr4(cr4 | 1 << bit) == Some(GP),
            "bit {bit} of CR4 can be set"
        );
        check!(read_cr4() == cr4, "CR4 has changed");
    }
    check!(
        write_cr4(cr4 & !(1 << 5)) == Some(GP),
        "PAE can be cleared in long mode"
    );
    check!(
        write_cr4(cr4 | 1 << 7).is_none() && read_cr4() == cr4 | 1 << 7,
        "PGE cannot be set"
    );
    // By another register, with REX.B.
    let other = attempt!(["mov r9, {value}", "mov cr4, r9"], value = in(reg) cr4, out("r9") _);
    check!(
        other.is_none() && read_cr4() == cr4,
        "CR4 cannot be written from R9"
    );
    let cr0: u64;
    // SAFETY: changes nothing.
    unsafe { core::arch::asm!("mov {}, cr0", out(reg) cr0, options(nomem, nostack)) };
    check!(write_cr0(cr0 ^ 1 << 16).is_none(), "WP cannot be changed");
    check!(write_cr0(cr0).is_none(), "CR0 cannot be written back");
}

fn xsetbv() {
    let write = |index: u32, value: u64| attempt!(["xsetbv"], in("ecx") index, in("eax") value as u32, in("edx") (value >> 32) as u32);
    if cpu::cpuid(1, 0)[2] & 1 << 26 == 0 {
        check!(write(0, 1) == Some(UD), "XSETBV without XSAVE");
        return;
    }
    let cr4 = read_cr4();
    check!(write_cr4(cr4 | OSXSAVE).is_none(), "OSXSAVE cannot be set");
    let [allowed, ..] = cpu::cpuid(0xd, 0);
    check!(write(0, 3).is_none(), "x87 and SSE state is refused");
    check!(
        write(0, u64::from(allowed)).is_none(),
        "what CPUID allows ({allowed:#x}) is refused"
    );
    check!(write(0, 2) == Some(GP), "XCR0 without x87");
    check!(write(0, 5) == Some(GP), "XCR0 with AVX and without SSE");
    check!(write(1, 1) == Some(GP), "XCR1 can be written");
    check!(
        write(0, 1 << 63 | 3) == Some(GP),
        "a reserved bit of XCR0 can be set"
    );
    let low: u32;
    // SAFETY: OSXSAVE is on.
    unsafe { core::arch::asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _) };
    check!(low == allowed, "XCR0 is {low:#x} after refused writes");
    check!(
        write_cr4(cr4 & !OSXSAVE).is_none(),
        "OSXSAVE cannot be cleared"
    );
    check!(write(0, 1) == Some(UD), "XSETBV without OSXSAVE");
}

fn time_stamp_counter() {
    check!(
        wrmsr(0x10, 0x5000_0000_0000) == Ok(()),
        "the TSC cannot be written"
    );
    let now = cpu::rdtsc();
    check!(
        now >> 40 == 0x50,
        "the TSC is {now:#x} after it was written"
    );
    let read = rdmsr(0x10).unwrap_or(0);
    check!(
        read >= now && read - now < 1 << 36,
        "RDMSR of the TSC gives {read:#x}"
    );
    check!(
        wrmsr(0xc000_0103, 0x1234) == Ok(()),
        "TSC_AUX cannot be written"
    );
    check!(
        wrmsr(0xc000_0103, 1 << 32) == Err(GP),
        "TSC_AUX takes more than 32 bits"
    );
    if cpu::cpuid(0x8000_0001, 0)[3] & 1 << 27 != 0 {
        let aux: u32;
        // SAFETY: changes nothing.
        unsafe { core::arch::asm!("rdtscp", out("eax") _, out("edx") _, out("ecx") aux) };
        check!(aux == 0x1234, "RDTSCP gives {aux:#x}");
    }
}
