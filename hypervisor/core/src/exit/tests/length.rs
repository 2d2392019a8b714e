//! CPUs that do not tell the lengths of instructions: they are fetched through the guest's page tables.

use crate::exit::Leave;
use crate::fakes::{Bench, Lengths};
use crate::fault::StopCause;
use crate::vcpu::{Exit, Gpr};

/// The page tables' frames.
const LEVEL_4: u64 = 0x20_0000;
const LEVEL_1: u64 = 0x20_3000;
/// Where the code is, in linear and in physical memory.
const CODE: u64 = 0x7000_0000_1000;
const FIRST: u64 = 0x30_0000;
const SECOND: u64 = 0x31_0000;

/// Two pages of code behind page tables of the guest's own.
fn paged() -> Bench {
    let mut bench = Bench::guest();
    bench.vcpu.hw.lengths = Lengths::Unknown;
    let slot = |shift: u32| (CODE >> shift & 511) * 8;
    for (at, entry) in [
        (LEVEL_4 + slot(39), LEVEL_4 + 0x1000),
        (LEVEL_4 + 0x1000 + slot(30), LEVEL_4 + 0x2000),
        (LEVEL_4 + 0x2000 + slot(21), LEVEL_1),
        (LEVEL_1 + slot(12), FIRST),
        (LEVEL_1 + slot(12) + 8, SECOND),
    ] {
        bench.poke(at, &(entry | 3).to_le_bytes());
    }
    bench.vcpu.hw.system.cr3 = LEVEL_4;
    bench
}

/// Puts `code` so that its first byte is at `offset` of the first page, and RIP there.
fn place(bench: &mut Bench, offset: u64, code: &[u8]) {
    for (index, byte) in (offset..).zip(code) {
        let at = if index < 0x1000 {
            FIRST + index
        } else {
            SECOND + index - 0x1000
        };
        bench.poke(at, &[*byte]);
    }
    bench.vcpu.hw.rip = CODE + offset;
}

#[test]
fn the_length_is_decoded_with_prefixes_and_remembered() {
    let mut bench = paged();
    place(&mut bench, 0x10, &[0x66, 0xf2, 0x48, 0x0f, 0xa2]);
    let _ = bench.exit(&[(Gpr::Rax, 0)], Exit::Cpuid);
    assert_eq!(bench.vcpu.hw.rip, CODE + 0x15);
    assert_eq!(bench.vcpu.hw.learned[&(CODE + 0x10)], 5);
}

#[test]
fn every_kind_of_instruction_is_measured() {
    for (code, exit) in [
        (&[0xf4][..], Exit::Halt),
        (&[0x0f, 0x30], Exit::MsrWrite),
        (&[0x0f, 0x32], Exit::MsrRead),
        (&[0x0f, 0x08], Exit::CacheFlush),
        (&[0x0f, 0x09], Exit::CacheFlush),
        (&[0x0f, 0x01, 0xd9], Exit::Hypercall),
        (&[0x0f, 0x01, 0xc1], Exit::Hypercall),
        (&[0x0f, 0x01, 0xd1], Exit::XSetBv),
    ] {
        let mut bench = paged();
        place(&mut bench, 0, code);
        let registers = [(Gpr::Rcx, 0x10), (Gpr::Rax, 1), (Gpr::Rdx, 0)];
        if exit == Exit::XSetBv {
            let _ = bench.exit(&[(Gpr::Rcx, 0), (Gpr::Rax, 1), (Gpr::Rdx, 0)], exit);
        } else {
            let _ = bench.exit(&registers, exit);
        }
        assert_eq!(bench.vcpu.hw.rip, CODE + code.len() as u64, "{exit:?}");
    }
}

#[test]
fn an_instruction_across_two_pages_is_fetched_from_both() {
    let mut bench = paged();
    place(&mut bench, 0xfff, &[0x0f, 0xa2]);
    let _ = bench.exit(&[], Exit::Cpuid);
    assert_eq!(bench.vcpu.hw.rip, CODE + 0x1001);
}

#[test]
fn code_at_the_end_of_the_last_mapped_page_is_decoded_as_far_as_it_is_there() {
    let mut bench = paged();
    place(&mut bench, 0xffe, &[0x0f, 0xa2]);
    bench.poke(LEVEL_1 + (CODE >> 12 & 511) * 8 + 8, &[0; 8]);
    let _ = bench.exit(&[], Exit::Cpuid);
    assert_eq!(bench.vcpu.hw.rip, CODE + 0x1000);
}

#[test]
fn code_that_is_not_mapped_any_more_is_run_again_by_the_guest() {
    let mut bench = paged();
    place(&mut bench, 0, &[0x0f, 0xa2]);
    bench.poke(LEVEL_4 + (CODE >> 39) * 8, &[0; 8]);
    bench.vcpu.hw.set(Gpr::Rbx, 0x1234);
    assert_eq!(bench.exit(&[], Exit::Cpuid), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.rip, CODE, "it will fault by itself");
    assert_eq!(bench.vcpu.hw.get(Gpr::Rbx), 0x1234, "without effect");
}

#[test]
fn code_that_another_vcpu_has_rewritten_is_run_again() {
    let mut bench = paged();
    place(&mut bench, 0, &[0xf4]);
    assert_eq!(bench.exit(&[], Exit::Cpuid), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.rip, CODE);
}

#[test]
fn code_where_no_memory_is_stops_the_partition() {
    let mut bench = paged();
    bench.poke(
        LEVEL_1 + (CODE >> 12 & 511) * 8,
        &0x5000_0003_u64.to_le_bytes(),
    );
    bench.vcpu.hw.rip = CODE;
    assert_eq!(bench.exit(&[], Exit::Cpuid), Leave::Stopped);
    let record = bench.partition.crash_record();
    assert_eq!(record.cause, StopCause::BadGuestMemory as u32);
    assert_eq!(record.gpa, 0x5000_0000);
}

#[test]
fn page_tables_where_no_memory_is_stop_the_partition() {
    let mut bench = paged();
    bench.vcpu.hw.system.cr3 = 0x7000_0000;
    bench.vcpu.hw.rip = CODE;
    assert_eq!(bench.exit(&[], Exit::Halt), Leave::Stopped);
    let record = bench.partition.crash_record();
    assert_eq!(record.gpa, 0x7000_0000 + (CODE >> 39) * 8);
}

#[test]
fn code_that_is_no_such_instruction_stops_the_partition() {
    let mut bench = paged();
    place(&mut bench, 0, &[0x0f, 0x0b]);
    assert_eq!(bench.exit(&[], Exit::Cpuid), Leave::Stopped);
    let record = bench.partition.crash_record();
    assert_eq!(record.cause, StopCause::CannotEmulate as u32);
    assert_eq!(record.code[..2], [0x0f, 0x0b]);
}
