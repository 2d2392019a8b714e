//! Pokes at everything that answers without ending the guest, by `way=`: all ports, all MSRs, the instructions of hardware
//! virtualization, changes of control registers.
#![no_std]
#![no_main]

use core::arch::asm;

use micro_guests::abi::start::StartInfo;
use micro_guests::trap::{self, rdmsr, wrmsr};
use micro_guests::{apic, attempt, check, cpu, fail, guest, option, result};

guest!(main);

const UD: Option<u8> = Some(6);

fn main(info: &'static StartInfo) {
    trap::install();
    apic::enable();
    match option(info, "way").unwrap_or("") {
        "ports" => ports(),
        "msrs" => msrs(),
        "virtualization" => virtualization(),
        "flips" => flips(),
        other => fail(format_args!("unknown way {other:?}")),
    }
}

/// All ports, bytes; words and double words here and there. Those that print or restart are not written.
fn ports() {
    for port in 0..=u16::MAX {
        cpu::in8(port);
        if ![0xe9, 0xcf9, 0x64, 0x92].contains(&port) {
            cpu::out8(port, 0);
            cpu::out8(port, 0xff);
        }
        if port % 5 == 0 && !(0xe6..=0xe9).contains(&port) {
            cpu::in32(port);
            cpu::out32(port, 0x5555_5555);
        }
    }
}

/// MSRs in the ranges where there are any, with values that break things where they are taken over blindly.
fn msrs() {
    const APIC_BASE: u32 = 0x1b;
    const ICR: u32 = 0x830;
    let ranges = [
        0..0x1200,
        0x4000_0000..0x4000_0200,
        0xc000_0000..0xc000_0200,
        0xc001_0000..0xc001_1100,
    ];
    let (mut readable, mut writable) = (0, 0);
    for msr in ranges.into_iter().flatten() {
        let old = rdmsr(msr);
        readable += u64::from(old.is_ok());
        // An INIT to itself would end the test, as would an APIC that is off.
        if msr == ICR || msr == APIC_BASE {
            continue;
        }
        for value in [u64::MAX, 0x8000_0000_0000_0000, old.unwrap_or(0)] {
            writable += u64::from(wrmsr(msr, value).is_ok());
        }
    }
    check!(readable > 30, "only {readable} MSRs can be read");
    check!(
        rdmsr(0xc000_0080).unwrap_or(0) & 0x1500 == 0x500,
        "EFER is {:x?} now",
        rdmsr(0xc000_0080)
    );
    result("readable", readable);
    result("writable", writable);
}

/// A guest has no hardware virtualization, on either vendor's terms.
fn virtualization() {
    let page = 0x9_0000u64;
    for _ in 0..100 {
        let outcomes = [
            ("vmrun", attempt!(["vmrun rax"], in("rax") page)),
            ("vmload", attempt!(["vmload rax"], in("rax") page)),
            ("vmsave", attempt!(["vmsave rax"], in("rax") page)),
            ("stgi", attempt!(["stgi"])),
            ("clgi", attempt!(["clgi"])),
            ("skinit", attempt!([".byte 0x0f, 0x01, 0xde"], in("eax") 0)),
            (
                "invlpga",
                attempt!([".byte 0x0f, 0x01, 0xdf"], in("rax") 0, in("ecx") 1),
            ),
            (
                "monitor",
                attempt!(["monitor"], in("rax") page, in("ecx") 0, in("edx") 0),
            ),
            ("mwait", attempt!(["mwait"], in("eax") 0, in("ecx") 0)),
            ("rsm", attempt!(["rsm"])),
        ];
        for (name, outcome) in outcomes {
            check!(outcome == UD, "{name} gives {outcome:?}");
        }
    }
    // With wild operands as well.
    for address in [1u64, u64::MAX, 0x8000_0000_0000_0000, 0xfee0_0000, 1 << 46] {
        check!(
            attempt!(["vmrun rax"], in("rax") address).is_some(),
            "VMRUN of {address:#x}"
        );
        check!(
            attempt!(["vmload rax"], in("rax") address).is_some(),
            "VMLOAD of {address:#x}"
        );
        check!(
            attempt!(["vmsave rax"], in("rax") address).is_some(),
            "VMSAVE to {address:#x}"
        );
    }
}

/// Control registers and TLBs without rest.
fn flips() {
    for round in 0..3000u64 {
        // SAFETY: all values are legal, and are put back.
        unsafe {
            asm!(
                "mov rax, cr0", "xor rax, 0x10008", "mov cr0, rax", "xor rax, 0x10008", "mov cr0, rax",
                "mov rax, cr4", "xor rax, 0x80", "mov cr4, rax", "xor rax, 0x80", "mov cr4, rax",
                "mov rax, cr3", "mov cr3, rax",
                "invlpg [{at}]", "invlpg [{wild}]", "wbinvd", "invd",
                at = in(reg) round << 12, wild = in(reg) !0u64 << 47, out("rax") _,
            );
        }
        cpu::cpuid(0, 0);
    }
    // The same page behind two addresses, swapped again and again: no old translation may be used.
    let tables = 0x8_0000u64 as *mut u64;
    let (one, two) = (0xa_0000u64 as *mut u64, 0xa_1000u64 as *mut u64);
    // SAFETY: the memory is the guest's own and free; all of it stays mapped as before, but for the page at 512 GiB.
    unsafe {
        let cr3: u64;
        asm!("mov {}, cr3", out(reg) cr3);
        let level4 = cr3 as *mut u64;
        one.write(1);
        two.write(2);
        for (level, next) in [(0, 512), (512, 1024)] {
            tables.add(level).write(tables.add(next) as u64 | 0x23);
        }
        level4.add(1).write(tables as u64 | 0x23);
        let entry = tables.add(1024);
        for round in 0..5000u64 {
            let (page, expected) = if round % 2 == 0 { (one, 1) } else { (two, 2) };
            entry.write_volatile(page as u64 | 0x23);
            let at = 512u64 << 30;
            asm!("invlpg [{}]", in(reg) at);
            if round % 16 == 0 {
                cpu::cpuid(0, 0);
            }
            let got = (at as *const u64).read_volatile();
            check!(
                got == expected,
                "round {round}: {got} was read, not {expected}"
            );
        }
    }
}
