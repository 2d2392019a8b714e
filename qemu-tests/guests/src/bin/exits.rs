//! Measures the round trips of the exits that the hypervisor handles alone, in TSC ticks: instructions under the deterministic clock.
#![no_std]
#![no_main]

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use micro_guests::abi::hypercall::Number;
use micro_guests::abi::start::StartInfo;
use micro_guests::measure::cost;
use micro_guests::{apic, check, cpu, guest, hypercall, idt, result};

guest!(main);

/// The vector that `idt::tick` counts.
const TICK: u64 = 0x40;
/// The vector of [`quick`].
const QUICK: u64 = 0x41;
/// The vector of [`measured`].
const MEASURED: u64 = 0x42;
/// TSC_DEADLINE.
const TSC_DEADLINE: u32 = 0x6e0;
/// Mode bits of the timer's vector table entry: TSC deadline.
const DEADLINE_MODE: u64 = 2 << 17;

fn main(_: &StartInfo) {
    apic::enable();
    result(
        "cpuid",
        cost(|| {
            cpu::cpuid(0x8000_0000, 0);
        }),
    );
    result(
        "hypercall",
        cost(|| {
            hypercall::call(Number::Null, [0; 4]);
        }),
    );
    result(
        "rdmsr",
        cost(|| {
            cpu::rdmsr(apic::BASE);
        }),
    );
    // An MSR that is always intercepted, with its own value.
    let base = cpu::rdmsr(apic::BASE);
    result("wrmsr", cost(|| cpu::wrmsr(apic::BASE, base)));
    result("out", cost(|| cpu::out8(0x80, 0)));
    result(
        "in",
        cost(|| {
            cpu::in8(0x21);
        }),
    );
    // COM1's transmitter and its status: what a byte on the console costs.
    result("uart_out", cost(|| cpu::out8(0x3f8, b'.')));
    result(
        "uart_status",
        cost(|| {
            cpu::in8(0x3fd);
        }),
    );
    result(
        "x2apic_timer",
        cost(|| cpu::wrmsr(apic::TIMER_INITIAL, 1_000_000_000)),
    );
    cpu::wrmsr(apic::TIMER_INITIAL, 0);
    result("x2apic_tpr", cost(|| cpu::wrmsr(apic::TPR, 0)));
    idt::set(TICK as u8, idt::tick as *const () as u64);
    idt::set(QUICK as u8, quick as *const () as u64);
    idt::set(MEASURED as u8, measured as *const () as u64);
    idt::load();
    cpu::sti();
    let self_ipi = cost(self_ipi);
    result("self_ipi", self_ipi);
    result("x2apic_eoi", eoi());
    result("hlt_timer", hlt_timer());
}

/// Sends the interrupt and comes back from its handler, which ends it.
#[inline(always)]
fn self_ipi() {
    // SAFETY: the handler changes RAX, RCX and RDX only.
    unsafe {
        asm!("wrmsr", inout("ecx") apic::SELF_IPI => _, inout("eax") QUICK as u32 => _, inout("edx") 0 => _);
    }
}

/// An end of interrupt with a vector in service: the measured span lies in the handler.
fn eoi() -> u64 {
    const ROUNDS: u64 = 20;
    let mut sum = 0;
    for round in 0..=ROUNDS {
        cpu::wrmsr(apic::SELF_IPI, MEASURED);
        // The first round fills the hypervisor's caches.
        if round > 0 {
            sum += EOI_SPAN.load(Relaxed);
        }
    }
    // The second RDTSC and its moves count in the span, as they do in an empty one.
    let start = cpu::rdtsc();
    let empty = cpu::rdtsc() - start;
    sum / ROUNDS - empty
}

/// Ends its interrupt and nothing else.
#[unsafe(naked)]
extern "C" fn quick() {
    naked_asm!(
        "mov ecx, 0x80b",
        "xor eax, eax",
        "xor edx, edx",
        "wrmsr",
        "iretq"
    )
}

/// Ticks that the last end of interrupt in [`measured`] took.
static EOI_SPAN: AtomicU64 = AtomicU64::new(0);

/// Measures its own end of interrupt.
#[unsafe(naked)]
extern "C" fn measured() {
    naked_asm!(
        "push rax", "push rcx", "push rdx", "push rsi",
        "rdtsc",
        "mov esi, eax",
        "mov ecx, 0x80b",
        "xor eax, eax",
        "xor edx, edx",
        "wrmsr",
        "rdtsc",
        "sub eax, esi",
        "mov dword ptr [rip + {span}], eax",
        "pop rsi", "pop rdx", "pop rcx", "pop rax",
        "iretq",
        span = sym EOI_SPAN,
    )
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
        check!(
            idt::ticks() == before + 1,
            "HLT ended without the timer's interrupt"
        );
        let handled = idt::LAST.load(Relaxed);
        check!(
            handled >= due,
            "the timer fired {} ticks early",
            due - handled
        );
        sum += handled - due;
    }
    sum / ROUNDS
}
