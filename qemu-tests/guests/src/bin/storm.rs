//! Interrupts without end, by `way=`, for a while: nobody else may notice.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use micro_guests::abi::start::StartInfo;
use micro_guests::trap::{self, Hooked};
use micro_guests::{apic, check, cpu, fail, guest, option, result, smp, wait};

guest!(main);

const VECTOR: u8 = 0x70;

/// The neighbour has come up.
static UP: AtomicBool = AtomicBool::new(false);
/// TSC at which handlers stop asking for more.
static END: AtomicU64 = AtomicU64::new(0);

fn main(info: &'static StartInfo) {
    trap::install();
    apic::enable();
    let start = cpu::rdtsc();
    let duration = info.tsc_hz / 3;
    let on = || cpu::rdtsc() - start < duration;
    match option(info, "way").unwrap_or("") {
        "self" => {
            // Each handler asks for the next.
            END.store(start + duration, SeqCst);
            trap::hook(VECTOR, |_| {
                if cpu::rdtsc() < END.load(SeqCst) {
                    apic::send_to_self(VECTOR);
                }
                Hooked::End
            });
            cpu::sti();
            apic::send_to_self(VECTOR);
            while on() {
                core::hint::spin_loop();
            }
        }
        "timer" => {
            cpu::wrmsr(apic::LVT_TIMER, 1 << 17 | u64::from(VECTOR));
            cpu::wrmsr(apic::TIMER_INITIAL, 1);
            cpu::sti();
            while on() {
                core::hint::spin_loop();
            }
            cpu::wrmsr(apic::TIMER_INITIAL, 0);
        }
        "late-deadlines" => {
            cpu::wrmsr(apic::LVT_TIMER, 2 << 17 | u64::from(VECTOR));
            cpu::sti();
            while on() {
                cpu::wrmsr(0x6e0, 1);
            }
        }
        "neighbour" => {
            start_neighbour();
            while on() {
                for vector in 0x40..=0xff {
                    apic::command(1, 0x4000 | vector);
                }
            }
        }
        "nmi" => {
            trap::hook(2, |_| Hooked::Handled);
            start_neighbour();
            while on() {
                apic::command(1, 0x4400);
                apic::command(0, 0x4400);
            }
        }
        "init" => {
            smp::prepare(neighbour);
            while on() {
                smp::start_on(1, 0);
            }
            // At rest in the end.
            apic::command(1, 0xc500);
        }
        other => fail(format_args!("unknown way {other:?}")),
    }
    cpu::cli();
    let came: u64 = (0..=255).map(trap::count).sum();
    check!(
        came >= 10 || option(info, "way") == Some("init"),
        "only {came} came"
    );
    result("came", came);
}

fn start_neighbour() {
    smp::prepare(neighbour);
    smp::start(1);
    // An NMI before it has its IDT would end the guest.
    wait::until("the neighbour's start", 5000, || UP.load(SeqCst));
}

fn neighbour(_: u32) -> ! {
    UP.store(true, SeqCst);
    loop {
        cpu::sti_hlt();
    }
}
