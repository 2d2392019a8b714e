//! Measures the round trips of single exits.
#![no_std]
#![no_main]

use micro_guests::abi::hypercall::Number;
use micro_guests::abi::start::StartInfo;
use micro_guests::measure::cost;
use micro_guests::{apic, cpu, guest, hypercall, result};

guest!(main);

/// APIC_BASE: an MSR that is always intercepted and has no effect when it is written with its own value.
fn main(_: &StartInfo) {
    apic::enable();
    result("cpuid", cost(|| {
        cpu::cpuid(0x8000_0000, 0);
    }));
    result("hypercall", cost(|| {
        hypercall::call(Number::Null, [0; 4]);
    }));
    result("rdmsr", cost(|| {
        cpu::rdmsr(apic::TPR);
    }));
    let base = cpu::rdmsr(apic::BASE);
    result("wrmsr", cost(|| cpu::wrmsr(apic::BASE, base)));
    result("out", cost(|| cpu::out8(0x80, 0)));
    result("in", cost(|| {
        cpu::in8(0x21);
    }));
    result("x2apic_eoi", cost(|| cpu::wrmsr(apic::EOI, 0)));
    result("x2apic_timer", cost(|| cpu::wrmsr(apic::TIMER_INITIAL, 1_000_000_000)));
}
