//! Several vCPUs: start by INIT and start-up IPIs, every way to address an IPI, NMIs, restart of a vCPU, waking each other.
#![no_std]
#![allow(
    clippy::indexing_slicing,
    reason = "a guest that fails its own bounds reports that it failed"
)]
#![no_main]

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use micro_guests::abi::start::StartInfo;
use micro_guests::trap::{self, Frame, Hooked};
use micro_guests::{apic, check, cpu, guest, number, smp, wait};

guest!(main);

const TSC_AUX: u32 = 0xc000_0103;
/// Plain IPIs that are counted for each vCPU.
const CALL: u8 = 0x60;
/// An IPI that the boot vCPU answers.
const PONG: u8 = 0x61;
/// An IPI that the others answer with [`PONG`].
const PING: u8 = 0x62;
/// Milliseconds that are certainly enough.
const LONG: u32 = 5000;

static CALLS: [AtomicU32; smp::MAX] = [const { AtomicU32::new(0) }; smp::MAX];
static NMIS: [AtomicU32; smp::MAX] = [const { AtomicU32::new(0) }; smp::MAX];
static STARTS: [AtomicU32; smp::MAX] = [const { AtomicU32::new(0) }; smp::MAX];
static WRONG_AUX: AtomicU32 = AtomicU32::new(0);
static PONGS: AtomicU32 = AtomicU32::new(0);
/// The boot vCPU's TSC before its last ping; nobody may be behind it.
static SENT: AtomicU64 = AtomicU64::new(0);
static BEHIND: AtomicU64 = AtomicU64::new(0);

fn main(info: &'static StartInfo) {
    let vcpus = info.vcpus as usize;
    trap::install();
    apic::enable();
    check!(apic::id() == 0, "the boot vCPU has APIC id {}", apic::id());
    check!(
        cpu::rdmsr(apic::BASE) & 1 << 8 != 0,
        "the boot vCPU has no BSP flag"
    );
    trap::hook(CALL, |_| {
        CALLS[me()].fetch_add(1, SeqCst);
        Hooked::End
    });
    trap::hook(2, |_| {
        NMIS[me()].fetch_add(1, SeqCst);
        Hooked::Handled
    });
    trap::hook(PONG, |_| {
        PONGS.fetch_add(1, SeqCst);
        Hooked::End
    });
    trap::hook(PING, ping);
    smp::prepare(other);
    for (id, starts) in STARTS.iter().enumerate().take(vcpus).skip(1) {
        smp::start(id as u32);
        wait::until("the start of a vCPU", LONG, || starts.load(SeqCst) == 1);
    }
    shorthands(vcpus);
    destinations(vcpus);
    ping_pong(vcpus, number(info, "rounds").unwrap_or(50));
    nmis(vcpus);
    restart(vcpus);
    check!(
        WRONG_AUX.load(SeqCst) == 0,
        "TSC_AUX was another vCPU's {} times",
        WRONG_AUX.load(SeqCst)
    );
    check!(
        BEHIND.load(SeqCst) == 0,
        "a TSC was {} ticks behind",
        BEHIND.load(SeqCst)
    );
}

fn me() -> usize {
    apic::id() as usize & (smp::MAX - 1)
}

/// The others' main function: sleeps, and handles interrupts.
fn other(id: u32) -> ! {
    cpu::wrmsr(TSC_AUX, 100 + u64::from(id));
    STARTS[me()].fetch_add(1, SeqCst);
    loop {
        cpu::sti_hlt();
    }
}

fn ping(_: &mut Frame) -> Hooked {
    let aux: u32;
    // SAFETY: changes nothing.
    unsafe { core::arch::asm!("rdtscp", out("eax") _, out("edx") _, out("ecx") aux) };
    if aux as usize != 100 + me() {
        WRONG_AUX.fetch_add(1, SeqCst);
    }
    let (now, sent) = (cpu::rdtsc(), SENT.load(SeqCst));
    if now < sent {
        BEHIND.fetch_max(sent - now, SeqCst);
    }
    apic::command(0, 0x4000 | u32::from(PONG));
    Hooked::End
}

/// Waits until each vCPU has got as many calls as `expected` says, and sees that no more come.
fn expect_calls(what: &str, vcpus: usize, expected: impl Fn(usize) -> u32) {
    wait::until(what, LONG, || {
        (0..vcpus).all(|id| CALLS[id].load(SeqCst) >= expected(id))
    });
    wait::nap(3);
    for (id, calls) in CALLS.iter().enumerate().take(vcpus) {
        let got = calls.swap(0, SeqCst);
        check!(
            got == expected(id),
            "{what}: vCPU {id} got {got} calls, not {}",
            expected(id)
        );
    }
}

fn shorthands(vcpus: usize) {
    apic::command(0, 0xc_4000 | u32::from(CALL));
    expect_calls("all but self", vcpus, |id| u32::from(id != 0));
    apic::command(0, 0x8_4000 | u32::from(CALL));
    expect_calls("all with self", vcpus, |_| 1);
    apic::command(0, 0x4_4000 | u32::from(CALL));
    expect_calls("self", vcpus, |id| u32::from(id == 0));
    apic::command(u32::MAX, 0x4000 | u32::from(CALL));
    expect_calls("broadcast", vcpus, |_| 1);
}

fn destinations(vcpus: usize) {
    for target in 0..vcpus {
        apic::command(target as u32, 0x4000 | u32::from(CALL));
        expect_calls("one by its id", vcpus, |id| u32::from(id == target));
    }
    // Logical: the cluster in the upper half, a bit for each in the lower.
    for mask in 1..1u32 << vcpus.min(3) {
        apic::command(mask, 0x4800 | u32::from(CALL));
        expect_calls("a logical set", vcpus, |id| mask >> id & 1);
    }
    // Nobody.
    apic::command(200, 0x4000 | u32::from(CALL));
    apic::command(0x1_0001, 0x4800 | u32::from(CALL));
    expect_calls("nobody", vcpus, |_| 0);
    // The lowest priority: exactly one.
    for _ in 0..5 {
        apic::command((1 << vcpus) - 1, 0x4900 | u32::from(CALL));
        let sum = || CALLS.iter().map(|calls| calls.load(SeqCst)).sum::<u32>();
        wait::until("lowest priority", LONG, || sum() >= 1);
        wait::nap(3);
        check!(
            sum() == 1,
            "{} got an interrupt for the lowest priority",
            sum()
        );
        CALLS.iter().for_each(|calls| calls.store(0, SeqCst));
    }
}

fn ping_pong(vcpus: usize, rounds: u64) {
    for _ in 0..rounds {
        for id in 1..vcpus {
            PONGS.store(0, SeqCst);
            SENT.store(cpu::rdtsc(), SeqCst);
            apic::command(id as u32, 0x4000 | u32::from(PING));
            wait::until("a pong", LONG, || PONGS.load(SeqCst) == 1);
        }
    }
}

fn nmis(vcpus: usize) {
    apic::command(0, 0xc_4400);
    wait::until("the NMIs", LONG, || {
        (1..vcpus).all(|id| NMIS[id].load(SeqCst) == 1)
    });
    check!(NMIS[0].load(SeqCst) == 0, "the sender got an NMI");
}

/// INIT puts a vCPU back: interrupts do nothing until a start-up IPI comes.
fn restart(vcpus: usize) {
    let last = vcpus - 1;
    if last == 0 {
        return;
    }
    apic::command(last as u32, 0xc500);
    wait::nap(5);
    apic::command(last as u32, 0x4000 | u32::from(CALL));
    apic::command(last as u32, 0x4400);
    wait::nap(5);
    check!(
        CALLS[last].load(SeqCst) == 0,
        "a vCPU after INIT took an interrupt"
    );
    smp::prepare(other);
    smp::start_on(last as u32, last as u32 - 1);
    wait::until("the second start", LONG, || STARTS[last].load(SeqCst) == 2);
    // The second start-up IPI of the sequence does nothing to a running vCPU.
    wait::nap(3);
    check!(
        STARTS[last].load(SeqCst) == 2,
        "it started {} times",
        STARTS[last].load(SeqCst)
    );
    apic::command(last as u32, 0x4000 | u32::from(CALL));
    expect_calls("a vCPU that was started again", vcpus, |id| {
        u32::from(id == last)
    });
}
