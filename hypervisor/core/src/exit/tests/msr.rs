//! RDMSR and WRMSR.

use crate::fakes::Bench;
use crate::fault::Exception;
use crate::local_apic::ApicMode;
use crate::vcpu::Watch;

/// Whether the write was refused with #GP, RIP staying.
fn refused(bench: &mut Bench, msr: u32, value: u64) -> bool {
    let rip = bench.vcpu.hw.rip;
    bench.vcpu.hw.delivered.clear();
    let _ = bench.wrmsr(msr, value);
    let refused = bench.vcpu.hw.exception() == Some(Exception::GP0);
    assert_eq!(bench.vcpu.hw.rip == rip, refused, "{msr:#x} {value:#x}");
    refused
}

#[test]
fn unknown_msrs_fault_and_leave_rip() {
    let mut bench = Bench::guest();
    for msr in [0x9999, 0x4000_0000, 0xc000_0aaa, 0x840, 0x8ff] {
        assert!(refused(&mut bench, msr, 0), "{msr:#x}");
        let rip = bench.vcpu.hw.rip;
        bench.rdmsr(msr);
        assert_eq!(bench.vcpu.hw.rip, rip);
    }
}

#[test]
fn the_upper_halves_of_the_registers_do_not_count() {
    let mut bench = Bench::guest();
    bench.vcpu.hw.kept.insert(0x277, 0);
    let registers = [
        (crate::vcpu::Gpr::Rcx, 0xffff_ffff_0000_0277),
        (crate::vcpu::Gpr::Rax, 0xffff_ffff_0007_0406),
        (crate::vcpu::Gpr::Rdx, 0xffff_ffff_0007_0406),
    ];
    let _ = bench.exit(&registers, crate::vcpu::Exit::MsrWrite);
    assert_eq!(bench.vcpu.hw.kept[&0x277], 0x0007_0406_0007_0406);
    assert_eq!(bench.rdmsr(0x277), 0x0007_0406_0007_0406);
    assert!(
        refused(&mut bench, 0x277, 2),
        "a memory type that is reserved"
    );
    assert!(refused(&mut bench, 0xc000_0082, 1 << 60), "not canonical");
    assert!(
        refused(&mut bench, 0xc000_0082, 0),
        "this backend keeps none"
    );
}

#[test]
fn the_tsc_is_the_hosts_plus_an_offset() {
    let mut bench = Bench::guest();
    let now = bench.host.clock.get();
    assert_eq!(bench.rdmsr(0x10), now);
    let _ = bench.wrmsr(0x10, 5);
    assert_eq!(bench.vcpu.hw.tsc.offset, 5_u64.wrapping_sub(now));
    bench.host.advance(100);
    assert_eq!(bench.rdmsr(0x10), 105);
    let _ = bench.wrmsr(0x10, u64::MAX);
    bench.host.advance(3);
    assert_eq!(bench.rdmsr(0x10), 2, "modulo 2^64");
}

#[test]
fn efer_is_checked_and_takes_a_new_tag() {
    let mut bench = Bench::guest();
    let before = bench.cpu.refreshes.len();
    assert!(!refused(&mut bench, 0xc000_0080, 0xd01));
    assert_eq!(bench.vcpu.hw.system.efer, 0xd01);
    assert_eq!(bench.cpu.refreshes.len(), before + 1);
    assert_eq!(bench.rdmsr(0xc000_0080), 0xd01);
    assert!(refused(&mut bench, 0xc000_0080, 0xc01), "LME while paging");
    assert!(refused(&mut bench, 0xc000_0080, 0x1d01), "SVME");
}

#[test]
fn the_apics_mode_is_switched_by_its_base() {
    let mut bench = Bench::guest();
    assert_eq!(bench.rdmsr(0x1b), 0xfee0_0900);
    assert!(refused(&mut bench, 0x80f, 0x1ff), "still in xAPIC mode");
    assert!(!refused(&mut bench, 0x1b, 0xfee0_0d00));
    assert_eq!(bench.vcpu.apic.mode(), ApicMode::X2Apic);
    assert_eq!(bench.vcpu.shared.identity(), bench.vcpu.apic.identity());
    assert_eq!(bench.rdmsr(0x802), 0);
    assert!(refused(&mut bench, 0x1b, 0xfee0_0900), "not back");
    assert!(!refused(&mut bench, 0x1b, 0xfee0_0100));
    assert_eq!(bench.vcpu.shared.identity(), None);
}

#[test]
fn a_cr8_that_the_guest_wrote_itself_survives_writes_of_other_apic_registers() {
    let mut bench = Bench::guest();
    bench.enable_x2apic();
    bench.vcpu.hw.cr8 = 9;
    let _ = bench.wrmsr(0x83e, 0xb);
    assert_eq!(bench.vcpu.hw.cr8, 9);
    assert_eq!(bench.rdmsr(0x808), 0x90);
    let _ = bench.wrmsr(0x808, 0x34);
    assert_eq!(bench.vcpu.hw.cr8, 3);
    assert_eq!(bench.rdmsr(0x808), 0x34);
    bench.vcpu.hw.cr8 = 5;
    assert_eq!(bench.rdmsr(0x808), 0x50);
}

#[test]
fn an_armed_timer_arms_the_host_and_a_masked_one_does_not() {
    let mut bench = Bench::guest();
    bench.enable_x2apic();
    let _ = bench.wrmsr(0x83e, 0xb);
    bench.host.asked.clear();
    let _ = bench.wrmsr(0x832, 0x1_0040);
    let _ = bench.wrmsr(0x838, 500);
    assert!(
        bench
            .host
            .asked
            .iter()
            .all(|at| *at == crate::time::Instant::NEVER)
    );
    let _ = bench.wrmsr(0x832, 0x40);
    let deadline = bench.host.asked.last().unwrap().0;
    assert!((1500..1505).contains(&deadline), "{deadline}");
    // The deadline of a masked timer passes in silence, as on hardware.
    let _ = bench.wrmsr(0x832, 0x1_0040);
    bench.host.advance(1000);
    let _ = bench.wrmsr(0x832, 0x40);
    assert!(bench.vcpu.hw.interrupts().is_empty());
    assert_eq!(bench.vcpu.hw.window, Watch::Off);
}

#[test]
fn eoi_and_self_ipi_check_their_values() {
    let mut bench = Bench::guest();
    bench.enable_x2apic();
    assert!(refused(&mut bench, 0x80b, 1));
    assert!(refused(&mut bench, 0x83f, 0x100));
    assert!(
        !refused(&mut bench, 0x83f, 5),
        "an illegal vector is an APIC error"
    );
    assert!(!refused(&mut bench, 0x80b, 0));
}
