//! Interrupts of one vCPU: task priority by CR8 and by the APIC, nesting, NMI, HLT; with `mode=xapic` by registers in memory.
#![no_std]
#![no_main]

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use micro_guests::abi::start::StartInfo;
use micro_guests::trap::{self, Frame, Hooked};
use micro_guests::{apic, check, cpu, guest};

guest!(main);

const TPR: u32 = 0x08;
const PPR: u32 = 0x0a;
const ISR: u32 = 0x10;
const IRR: u32 = 0x20;

/// The vectors as they came, a byte each, the first highest.
static ORDER: AtomicU64 = AtomicU64::new(0);

fn main(info: &'static StartInfo) {
    trap::install();
    apic::enable_as_told(info);
    for vector in [0x40, 0x41, 0x51, 0x61] {
        trap::hook(vector, |frame: &mut Frame| {
            note(frame);
            Hooked::End
        });
    }
    masking();
    lowering();
    order();
    nesting();
    nmi();
    nmi_in_nmi();
    halted();
}

fn note(frame: &Frame) {
    ORDER.store(ORDER.load(SeqCst) << 8 | frame.vector, SeqCst);
}

fn set_cr8(priority: u64) {
    // SAFETY: the guest's own choice.
    unsafe { asm!("mov cr8, {}", in(reg) priority, options(nostack)) };
}

fn cr8() -> u64 {
    let priority;
    // SAFETY: changes nothing.
    unsafe { asm!("mov {}, cr8", out(reg) priority, options(nomem, nostack)) };
    priority
}

/// Lets pending interrupts come.
fn breathe() {
    // SAFETY: the IDT is loaded.
    unsafe { asm!("sti", "nop", "nop", "cli", options(nostack)) };
}

fn masking() {
    set_cr8(5);
    check!(
        apic::read(TPR) == 0x50,
        "the APIC's task priority is {:#x}, CR8 is 5",
        apic::read(TPR)
    );
    check!(
        apic::read(PPR) == 0x50,
        "the processor priority is {:#x}",
        apic::read(PPR)
    );
    apic::write(TPR, 0x67);
    check!(cr8() == 6, "CR8 is {} with task priority 0x67", cr8());
    check!(
        apic::read(TPR) == 0x67,
        "the task priority is {:#x}",
        apic::read(TPR)
    );
    set_cr8(4);
    check!(
        apic::read(TPR) == 0x40,
        "MOV to CR8 leaves {:#x}",
        apic::read(TPR)
    );
    apic::send_to_self(0x40);
    apic::send_to_self(0x41);
    breathe();
    check!(
        trap::count(0x40) == 0 && trap::count(0x41) == 0,
        "class 4 came at priority 4"
    );
    check!(
        apic::vector_bit(IRR, 0x41),
        "a held-back vector is not in the IRR"
    );
    apic::send_to_self(0x51);
    breathe();
    check!(trap::count(0x51) == 1, "class 5 did not come at priority 4");
    check!(trap::count(0x41) == 0, "class 4 came with it");
}

/// Lowering the priority lets what waits come at once, by CR8 and by the register.
fn lowering() {
    cpu::sti();
    set_cr8(3);
    let came = trap::count(0x40) + trap::count(0x41);
    check!(came == 2, "{came} of 2 came when CR8 fell");
    cpu::cli();
    set_cr8(15);
    apic::send_to_self(0x61);
    cpu::sti();
    for priority in (6..15).rev() {
        set_cr8(priority);
    }
    check!(trap::count(0x61) == 0, "class 6 came at priority 6");
    apic::write(TPR, 0x5f);
    check!(
        trap::count(0x61) == 1,
        "class 6 did not come when the task priority fell"
    );
    cpu::cli();
    set_cr8(0);
    // Many times, so that no state is left behind.
    for round in 0..200u64 {
        set_cr8(4);
        apic::send_to_self(0x41);
        cpu::sti();
        let before = trap::count(0x41);
        set_cr8(round % 4);
        check!(
            trap::count(0x41) == before + 1,
            "round {round}: it did not come when CR8 fell to {}",
            round % 4
        );
        cpu::cli();
        set_cr8(0);
    }
}

/// The highest first.
fn order() {
    ORDER.store(0, SeqCst);
    for vector in [0x41, 0x61, 0x40, 0x51] {
        apic::send_to_self(vector);
    }
    // A second request of one that waits is the same one.
    apic::send_to_self(0x51);
    cpu::sti();
    while trap::count(0x40) < 2 {
        core::hint::spin_loop();
    }
    cpu::cli();
    check!(
        ORDER.load(SeqCst) == 0x6151_4140,
        "they came as {:#x}",
        ORDER.load(SeqCst)
    );
}

/// A handler is interrupted by higher classes only.
fn nesting() {
    ORDER.store(0, SeqCst);
    trap::hook(0x50, |frame: &mut Frame| {
        note(frame);
        check!(apic::vector_bit(ISR, 0x50), "the vector is not in service");
        check!(
            apic::read(PPR) == 0x50,
            "the processor priority is {:#x} in a handler of class 5",
            apic::read(PPR)
        );
        apic::send_to_self(0x51);
        apic::send_to_self(0x41);
        apic::send_to_self(0x61);
        breathe();
        check!(
            ORDER.load(SeqCst) == 0x5061,
            "{:#x} came inside of a handler of class 5",
            ORDER.load(SeqCst)
        );
        Hooked::End
    });
    apic::send_to_self(0x50);
    breathe();
    breathe();
    breathe();
    check!(
        ORDER.load(SeqCst) == 0x5061_5141,
        "they came as {:#x}",
        ORDER.load(SeqCst)
    );
    check!(!apic::vector_bit(ISR, 0x50), "a vector is still in service");
}

/// An NMI comes with interrupts off and whatever the priority.
fn nmi() {
    trap::hook(2, |_: &mut Frame| Hooked::Handled);
    set_cr8(15);
    let me = apic::id();
    for round in 1..=3 {
        apic::command(me, 0x4400);
        for _ in 0..1000 {
            if trap::count(2) == round {
                break;
            }
            core::hint::spin_loop();
        }
        check!(trap::count(2) == round, "NMI {round} did not come");
    }
    set_cr8(0);
}

/// How deep NMI handlers are nested, and how deep they ever were.
static DEPTH: AtomicU64 = AtomicU64::new(0);
static DEEPEST: AtomicU64 = AtomicU64::new(0);

/// A second NMI waits until the handler of the first has returned.
fn nmi_in_nmi() {
    let before = trap::count(2);
    trap::hook(2, |_: &mut Frame| {
        let depth = DEPTH.fetch_add(1, SeqCst) + 1;
        if DEEPEST.fetch_max(depth, SeqCst) == 0 {
            apic::command(apic::id(), 0x4400);
            // Each is an occasion for the hypervisor.
            for leaf in 0..100 {
                let _ = cpu::cpuid(leaf, 0);
            }
        }
        DEPTH.fetch_sub(1, SeqCst);
        Hooked::Handled
    });
    cpu::sti();
    apic::command(apic::id(), 0x4400);
    for _ in 0..1000 {
        if trap::count(2) == before + 2 {
            break;
        }
        let _ = cpu::cpuid(0, 0);
    }
    cpu::cli();
    check!(
        trap::count(2) == before + 2,
        "{} NMIs came instead of two",
        trap::count(2) - before
    );
    check!(DEEPEST.load(SeqCst) == 1, "one came in the other's handler");
}

/// HLT ends with what is deliverable, pending before or coming later.
fn halted() {
    let before = trap::count(0x41);
    apic::send_to_self(0x41);
    cpu::sti_hlt();
    check!(
        trap::count(0x41) == before + 1,
        "HLT with an interrupt pending"
    );
    cpu::cli();
    apic::write(0x32, 0x41);
    apic::write(0x38, 300_000);
    cpu::sti_hlt();
    check!(trap::count(0x41) == before + 2, "the timer did not end HLT");
    cpu::cli();
    // What CR8 holds back does not wake; the timer of class 6 does.
    set_cr8(4);
    apic::send_to_self(0x41);
    let high = trap::count(0x61);
    apic::write(0x32, 0x61);
    apic::write(0x38, 300_000);
    cpu::sti_hlt();
    check!(
        trap::count(0x61) == high + 1 && trap::count(0x41) == before + 2,
        "HLT ended by the wrong one"
    );
    set_cr8(0);
    check!(
        trap::count(0x41) == before + 3,
        "what was held back is lost"
    );
    cpu::cli();
}
