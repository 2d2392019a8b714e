//! The paravirtual clock: it agrees with the ACPI timer and the real-time clock, its record follows the guest's TSC, and stolen time is
//! counted where the CPU is shared (`shared=1`).
#![no_std]
#![no_main]

use micro_guests::abi::start::StartInfo;
use micro_guests::{check, cpu, guest, number, result, trap};

guest!(main);

const WALL_CLOCK: u32 = 0x4b56_4d00;
const SYSTEM_TIME: u32 = 0x4b56_4d01;
const STEAL_TIME: u32 = 0x4b56_4d03;
/// The ACPI timer's port and rate.
const PM_TIMER: u16 = 0x608;
const PM_RATE: u64 = 3_579_545;

#[repr(C, align(64))]
struct Record([u64; 8]);

static mut TIME: Record = Record([0; 8]);
static mut WALL: Record = Record([0; 8]);
static mut STOLEN: Record = Record([0; 8]);

fn word(record: *const Record, index: usize) -> u64 {
    // SAFETY: one of the records, which the hypervisor writes.
    unsafe { record.cast::<u64>().add(index).read_volatile() }
}

fn main(info: &'static StartInfo) {
    trap::install();
    find();
    let at = |record: *const Record| record.addr() as u64;
    cpu::wrmsr(SYSTEM_TIME, at(&raw const TIME) | 1);
    cpu::wrmsr(STEAL_TIME, at(&raw const STOLEN) | 1);
    cpu::wrmsr(WALL_CLOCK, at(&raw const WALL));
    check!(
        cpu::rdmsr(SYSTEM_TIME) == at(&raw const TIME) | 1,
        "the record is not where it was put"
    );
    rate();
    let before = now();
    cpu::wrmsr(0x10, 0x1234_5678_9abc);
    let step = now() - before;
    check!(
        step < 1_000_000,
        "setting the TSC moved the clock by {step} ns"
    );
    wall_clock(info);
    if number(info, "shared").is_some() {
        stolen();
    }
    check!(
        trap::wrmsr(STEAL_TIME, 2) == Err(13),
        "reserved bits of the stolen time are taken"
    );
    check!(
        trap::wrmsr(0x4b56_4d02, 1) == Err(13),
        "a feature that is not shown has an MSR"
    );
}

/// The interface is found where guests look for it, behind the hypervisor's own.
fn find() {
    let [last, ebx, ecx, edx] = cpu::cpuid(0x4000_0100, 0);
    let name = [*b"KVMK", *b"VMKV", *b"M\0\0\0"].map(u32::from_le_bytes);
    check!([ebx, ecx, edx] == name, "the interface has another name");
    check!(last == 0x4000_0101, "its last leaf is {last:#x}");
    let [features, ..] = cpu::cpuid(last, 0);
    check!(
        features & 0x0100_0028 == 0x0100_0028,
        "its features are {features:#x}"
    );
    let [_, own, ..] = cpu::cpuid(0x4000_0000, 0);
    check!(own == u32::from_le_bytes(*b"Bulk"), "the hypervisor hides");
}

/// Nanoseconds, as Linux computes them.
fn now() -> u64 {
    loop {
        let version = word(&raw const TIME, 0) as u32;
        let (then, time, scale) = (
            word(&raw const TIME, 1),
            word(&raw const TIME, 2),
            word(&raw const TIME, 3),
        );
        check!(scale >> 40 & 1 == 1, "the clock is not stable");
        let passed = cpu::rdtsc().wrapping_sub(then);
        let shift = (scale >> 32) as i8;
        let passed = if shift < 0 {
            passed >> -shift
        } else {
            passed << shift
        };
        let factor = u128::from(scale as u32);
        let nanoseconds = ((u128::from(passed) * factor) >> 32) as u64;
        if version & 1 == 0 && version == word(&raw const TIME, 0) as u32 {
            return time + nanoseconds;
        }
    }
}

/// A tenth of a second is one for the ACPI timer as well.
fn rate() {
    let (start, count) = (now(), cpu::in32(PM_TIMER));
    while now() - start < 100_000_000 {
        core::hint::spin_loop();
    }
    let passed = now() - start;
    let counted = u64::from(cpu::in32(PM_TIMER).wrapping_sub(count)) * 1_000_000_000 / PM_RATE;
    result("clock_ns", passed);
    result("acpi_timer_ns", counted);
    // A vCPU can lose its CPU between the two readings.
    check!(
        counted.abs_diff(passed) < 20_000_000,
        "{passed} ns are {counted} ns of the ACPI timer"
    );
}

/// The wall clock and the system time make the start page's time.
fn wall_clock(info: &StartInfo) {
    let seconds = word(&raw const WALL, 0) >> 32;
    let shown = seconds + now() / 1_000_000_000;
    check!(
        seconds >= info.boot_time && seconds - info.boot_time < 120,
        "the wall clock began at {seconds}, the machine at {}",
        info.boot_time
    );
    result("unix_time", shown);
}

/// Runs until time was stolen; the two halves of the time are about alike.
fn stolen() {
    let (start, before) = (now(), word(&raw const STOLEN, 0));
    while now() - start < 200_000_000 {
        core::hint::spin_loop();
    }
    let (passed, lost) = (now() - start, word(&raw const STOLEN, 0) - before);
    check!(word(&raw const STOLEN, 1) & 1 == 0, "an update goes on");
    result("stolen_percent", lost * 100 / passed);
    check!(
        (20..=80).contains(&(lost * 100 / passed)),
        "{lost} of {passed} ns were stolen"
    );
}
