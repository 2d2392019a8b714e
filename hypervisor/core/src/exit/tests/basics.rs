//! The exits that need nothing but registers.

use crate::exit::Leave;
use crate::fakes::Bench;
use crate::fault::{Exception, StopCause};
use crate::vcpu::{Exit, Gpr};
use crate::vcpu_record::Activity;

#[test]
fn cpuid_answers_and_goes_on() {
    let mut bench = Bench::guest();
    let rip = bench.vcpu.hw.rip;
    bench.vcpu.hw.set(Gpr::Rdx, u64::MAX);
    let leave = bench.exit(&[(Gpr::Rax, 0x1_4000_0000)], Exit::Cpuid);
    assert_eq!(leave, Leave::Interrupted);
    let hw = &bench.vcpu.hw;
    assert_eq!(hw.get(Gpr::Rbx), u64::from(u32::from_le_bytes(*b"Bulk")));
    assert_eq!(hw.get(Gpr::Rdx) >> 32, 0);
    assert_eq!(hw.rip, rip + 2);
}

#[test]
fn cpuid_shows_the_state_of_the_vcpu_that_asks() {
    let mut bench = Bench::managed(&[0, 1]);
    bench.vcpu = bench.world.record(&bench.partition, 1);
    bench.cpu = crate::fakes::FakeCpu::default();
    crate::vcpu::Vcpu::activate(&mut bench.vcpu.hw, &mut bench.cpu, bench.partition.root, 1);
    bench.vcpu.shared.take();
    bench.vcpu.duty = crate::vcpu_record::Duty::On;
    bench.vcpu.activity = Activity::Running;
    bench.vcpu.hw.system.cr4 = 1 << 18;
    let _ = bench.exit(&[(Gpr::Rax, 1)], Exit::Cpuid);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rbx) >> 24, 1, "APIC id");
    assert_ne!(bench.vcpu.hw.get(Gpr::Rcx) & 1 << 27, 0, "OSXSAVE");
}

#[test]
fn instructions_that_a_guest_does_not_have_fault_and_are_not_skipped() {
    for (exit, expected) in [
        (Exit::Undefined, Exception::UD),
        (Exit::PerformanceCounter, Exception::GP0),
        (
            Exit::Exception(Exception {
                vector: 17,
                error_code: Some(0),
            }),
            Exception {
                vector: 17,
                error_code: Some(0),
            },
        ),
    ] {
        let mut bench = Bench::guest();
        let rip = bench.vcpu.hw.rip;
        assert_eq!(bench.exit(&[], exit), Leave::Interrupted);
        assert_eq!(bench.vcpu.hw.exception(), Some(expected));
        assert_eq!(bench.vcpu.hw.rip, rip);
        assert!(bench.vcpu.hw.completed.is_empty());
    }
}

#[test]
fn an_exception_that_cannot_be_combined_ends_the_partition() {
    let mut bench = Bench::guest();
    let double_fault = Exception {
        vector: 8,
        error_code: Some(0),
    };
    bench.vcpu.hw.after(
        move |hw| hw.queued = Some(crate::fakes::Queued::Exception(double_fault)),
        Exit::Undefined,
    );
    assert_eq!(bench.run(), Leave::Stopped);
    assert_eq!(
        bench.partition.crash_record().cause,
        StopCause::TripleFault as u32
    );
}

#[test]
fn every_fatal_exit_has_its_cause() {
    for (exit, cause) in [
        (Exit::TripleFault, StopCause::TripleFault),
        (Exit::InvalidState, StopCause::InvalidState),
        (Exit::MachineCheck, StopCause::MachineCheck),
        (Exit::Unknown, StopCause::UnknownExit),
    ] {
        let mut bench = Bench::guest();
        assert_eq!(bench.exit(&[], exit), Leave::Stopped);
        let record = bench.partition.crash_record();
        assert_eq!(record.cause, cause as u32);
        assert!(record.explanation.starts_with(b"as the script has it\0"));
    }
}

#[test]
fn cache_flushes_are_done_by_doing_nothing() {
    let mut bench = Bench::guest();
    let rip = bench.vcpu.hw.rip;
    let _ = bench.exit(&[], Exit::CacheFlush);
    assert_eq!(bench.vcpu.hw.rip, rip + 2);
}

#[test]
fn xsetbv_is_checked() {
    let mut bench = Bench::guest();
    let set = |bench: &mut Bench, index, value: u64| {
        let registers = [
            (Gpr::Rcx, index),
            (Gpr::Rax, value & 0xffff_ffff | 0xabcd << 32),
            (Gpr::Rdx, value >> 32),
        ];
        let before = bench.vcpu.hw.rip;
        let _ = bench.exit(&registers, Exit::XSetBv);
        bench.vcpu.hw.rip != before
    };
    assert!(set(&mut bench, 0, 7));
    assert_eq!(bench.vcpu.hw.xcr0, 7);
    for (index, value) in [(0, 6), (0, 5), (0, 0), (1, 1), (0, 1 << 63 | 1), (0, 0x1ff)] {
        assert!(!set(&mut bench, index, value), "{index} {value:#x}");
        assert_eq!(bench.vcpu.hw.exception(), Some(Exception::GP0));
        assert_eq!(bench.vcpu.hw.xcr0, 7);
    }
    bench.vcpu.hw.system.cpl = 3;
    assert!(!set(&mut bench, 0, 1));
}

#[test]
fn control_registers_are_written_after_their_checks() {
    let mut bench = Bench::guest();
    // MOV CR4, RAX behind a REX prefix that changes nothing.
    let mov_cr4_rax = [0x48, 0x0f, 0x22, 0xe0];
    bench.code(0x10_0000, &mov_cr4_rax);
    let _ = bench.exit(&[(Gpr::Rax, 0x6a0)], Exit::ControlWrite);
    assert_eq!(bench.vcpu.hw.system.cr4, 0x6a0);
    assert_eq!(bench.vcpu.hw.rip, 0x10_0004);
    assert!(!bench.cpu.refreshes.is_empty(), "the TLB tag was looked at");
    // Without PAE in long mode; reserved bits.
    for value in [0, 0x20 | 1 << 63, 0x20 | 1 << 13] {
        bench.code(0x10_0000, &mov_cr4_rax);
        let _ = bench.exit(&[(Gpr::Rax, value)], Exit::ControlWrite);
        assert_eq!(bench.vcpu.hw.system.cr4, 0x6a0);
        assert_eq!(bench.vcpu.hw.rip, 0x10_0000);
        assert_eq!(bench.vcpu.hw.exception(), Some(Exception::GP0));
    }
    let mov_cr8_r9 = [0x45, 0x0f, 0x22, 0xc1];
    bench.code(0x10_0000, &mov_cr8_r9);
    let _ = bench.exit(&[(Gpr::R9, 9)], Exit::ControlWrite);
    assert_eq!((bench.vcpu.hw.cr8, bench.vcpu.apic.cr8()), (9, 9));
    bench.code(0x10_0000, &mov_cr8_r9);
    let _ = bench.exit(&[(Gpr::R9, 16)], Exit::ControlWrite);
    assert_eq!(bench.vcpu.hw.cr8, 9);
    assert_eq!(bench.vcpu.hw.rip, 0x10_0000);
}

#[test]
fn a_control_write_that_is_none_stops_the_partition() {
    let mut bench = Bench::guest();
    bench.code(0x10_0000, &[0x90; 16]);
    assert_eq!(bench.exit(&[], Exit::ControlWrite), Leave::Stopped);
    assert_eq!(
        bench.partition.crash_record().cause,
        StopCause::CannotEmulate as u32
    );
}

#[test]
fn a_halt_sleeps_until_an_interrupt_can_be_taken() {
    let mut bench = Bench::guest();
    bench.enable_x2apic();
    assert_eq!(bench.exit(&[], Exit::Halt), Leave::Halted);
    assert_eq!(bench.vcpu.activity, Activity::Halted);
    let _ = bench
        .vcpu
        .shared
        .mailbox
        .post(crate::id::Vector(0x33), crate::local_apic::Trigger::Edge);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x33]);
}

#[test]
fn a_halt_with_an_interrupt_in_wait_does_not_sleep() {
    let mut bench = Bench::guest();
    bench.enable_x2apic();
    bench.vcpu.hw.disable_interrupts();
    let _ = bench.wrmsr(0x83f, 0x44);
    assert!(bench.vcpu.hw.interrupts().is_empty());
    // STI and HLT: the shadow of STI ends with HLT.
    bench.vcpu.hw.after(
        |hw| {
            hw.enable_interrupts();
            hw.window = crate::vcpu::Watch::Off;
            hw.shadow = true;
        },
        Exit::Halt,
    );
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x44]);
    assert_eq!(bench.vcpu.activity, Activity::Running);
}

#[test]
fn a_halt_with_interrupts_off_is_ended_by_nothing_but_an_nmi() {
    let mut bench = Bench::guest();
    bench.enable_x2apic();
    bench.vcpu.hw.disable_interrupts();
    assert_eq!(bench.exit(&[], Exit::Halt), Leave::Halted);
    let shared = bench.vcpu.shared.clone();
    let _ = shared
        .mailbox
        .post(crate::id::Vector(0x33), crate::local_apic::Trigger::Edge);
    assert_eq!(bench.run(), Leave::Halted);
    assert!(bench.vcpu.rests());
    let _ = shared.mailbox.post_nmi();
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.delivered, [crate::fakes::Queued::Nmi]);
}

#[test]
fn exits_are_counted_by_kind() {
    let mut bench = Bench::guest();
    let before = bench.vcpu.exits;
    bench.vcpu.hw.then(Exit::CacheFlush).then(Exit::CacheFlush);
    bench.run();
    assert_eq!(
        bench.vcpu.exits[Exit::CacheFlush.kind()],
        before[Exit::CacheFlush.kind()] + 2
    );
    assert_eq!(bench.vcpu.total_exits(), before.iter().sum::<u64>() + 3);
}
