//! Measures the round trips of the exits that the hypervisor handles alone, in TSC ticks: instructions under the deterministic clock.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::Relaxed;

use micro_guests::abi::hypercall::Number;
use micro_guests::abi::start::StartInfo;
use micro_guests::measure::cost;
use micro_guests::{apic, check, cpu, guest, hypercall, idt, result};

guest!(main);

/// The vector that `idt::tick` counts.
const TICK: u64 = 0x40;
/// TSC_DEADLINE.
const TSC_DEADLINE: u32 = 0x6e0;
/// Mode bits of the timer's vector table entry: TSC deadline.
const DEADLINE_MODE: u64 = 2 << 17;

fn main(_: &StartInfo) {
    apic::enable();
    result("cpuid", cost(|| {
        cpu::cpuid(0x8000_0000, 0);
    }));
    result("hypercall", cost(|| {
        hypercall::call(Number::Null, [0; 4]);
    }));
    result("rdmsr", cost(|| {
        cpu::rdmsr(apic::BASE);
    }));
    // An MSR that is always intercepted, with its own value.
    let base = cpu::rdmsr(apic::BASE);
    result("wrmsr", cost(|| cpu::wrmsr(apic::BASE, base)));
    result("out", cost(|| cpu::out8(0x80, 0)));
    result("in", cost(|| {
        cpu::in8(0x21);
    }));
    result("x2apic_timer", cost(|| cpu::wrmsr(apic::TIMER_INITIAL, 1_000_000_000)));
    cpu::wrmsr(apic::TIMER_INITIAL, 0);
    idt::set(TICK as u8, idt::tick as *const () as u64);
    idt::load();
    cpu::sti();
    result("x2apic_eoi", cost(|| cpu::wrmsr(apic::EOI, 0)));
    result("self_ipi", cost(self_ipi));
    result("hlt_timer", hlt_timer());
}

/// Sends the interrupt and comes back from its handler, with the end of interrupt.
fn self_ipi() {
    let before = idt::ticks();
    cpu::wrmsr(apic::SELF_IPI, TICK);
    check!(idt::ticks() == before + 1, "a self-IPI was not delivered at once");
}

/// From the moment the timer is due to the first instruction of the handler, out of HLT.
fn hlt_timer() -> u64 {
    const ROUNDS: u64 = 20;
    cpu::wrmsr(apic::LVT_TIMER, DEADLINE_MODE | TICK);
    let mut sum = 0;
    for _ in 0..ROUNDS {
        let before = idt::ticks();
        let due = cpu::rdtsc() + 200_000;
        cpu::cli();
        cpu::wrmsr(TSC_DEADLINE, due);
        cpu::sti_hlt();
        check!(idt::ticks() == before + 1, "HLT ended without the timer's interrupt");
        let handled = idt::LAST.load(Relaxed);
        check!(handled >= due, "the timer fired {} ticks early", due - handled);
        sum += handled - due;
    }
    sum / ROUNDS
}
