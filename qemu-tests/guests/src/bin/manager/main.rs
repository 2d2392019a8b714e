//! A management partition that makes guests at run time, out of code that it writes through their windows.
//!
//! `way=lives` makes, starts, pauses, resumes, resets, stops and destroys them `rounds=` times and compares what the machine has
//! left; `way=many` has `count=` of them at once; `way=isolation` looks for what former owners left in memory, and for memory of
//! others; `way=windows` touches the window of a guest that it has destroyed, which must end it; `way=orphans` dies and finds its
//! guest again; `way=transfer` saves a guest and lets it go on elsewhere;
//! `way=rates` lets one go on whose state says that its TSC ran at another rate, or finds it refused without `scaled=1`;
//! `way=forged` does the same `rounds=` times with states that were changed on the way.
#![no_std]
#![allow(
    clippy::indexing_slicing,
    reason = "a guest that fails its own bounds reports that it failed"
)]
#![no_main]

mod made;
mod transfer;
mod worker;

use core::arch::asm;

use made::{
    ADDRESS, COUNTER, END, EVENTS, LOOK, MARK, MIB, MOST, Made, Mode, ORDERS, READ, RECORD, RESET,
    SECRET, SPIN, STOP_SPINNING, control, create, done, info_of, left, settle, wait_settled,
};
use micro_guests::abi::host::{PartitionOrigin, PartitionState};
use micro_guests::abi::hypercall::{Number, PartitionAction, Status};
use micro_guests::abi::io::{DIRECTION_READ, Space};
use micro_guests::abi::start::StartInfo;
use micro_guests::high_memory::reach;
use micro_guests::{apic, check, fail, guest, hypercall, idt, number, option, result, trap};

guest!(main);

fn main(info: &'static StartInfo) {
    trap::install();
    apic::enable();
    idt::set(0x40, idt::tick as *const () as u64);
    idt::load();
    done(
        "the event page",
        Number::EventPage,
        [EVENTS.address(), 0x40, 0, 0],
    );
    match option(info, "way").unwrap_or("") {
        "lives" => lives(number(info, "rounds").unwrap_or(1)),
        "many" => many(number(info, "count").unwrap_or(1) as usize),
        "isolation" => isolation(),
        "windows" => windows(info),
        "orphans" => orphans(info),
        "transfer" => transfer::transfer(info),
        "rates" => transfer::rates(number(info, "scaled") == Some(1)),
        "forged" => transfer::forged(number(info, "rounds").unwrap_or(1), info),
        other => fail(format_args!("unknown way {other:?}")),
    }
}

/// Whole lives, one after the other.
fn lives(rounds: u64) {
    let before = left();
    for round in 0..rounds {
        life(round);
        let after = left();
        check!(
            after == before,
            "round {round}: {after:x?} are left of {before:x?}"
        );
    }
    result("lives", rounds);
}

fn life(round: u64) {
    let mode = if round.is_multiple_of(2) {
        Mode::Long
    } else {
        Mode::Protected
    };
    let megabytes = if round.is_multiple_of(10) { 16 } else { 2 };
    let guest = create(megabytes, 1 + (round % 3) as u32, 0);
    let (status, _) = hypercall::call(
        Number::PartitionControl,
        [guest.id, PartitionAction::Start as u64, 0, 0],
    );
    check!(
        status == Status::BadState as u64,
        "a start without boot state gave {status}"
    );
    guest.load(mode);
    control(guest, PartitionAction::Start);
    guest.order(LOOK);
    let found = guest.finding();
    check!(found == 0, "round {round}: the guest found {found:#x}");
    guest.order(SPIN);
    guest.counts();
    control(guest, PartitionAction::Pause);
    settle(guest, PartitionState::Paused);
    let count = guest.get(COUNTER);
    for _ in 0..1000 {
        core::hint::spin_loop();
    }
    check!(guest.get(COUNTER) == count, "it runs while it is paused");
    control(guest, PartitionAction::Resume);
    guest.counts();
    guest.put(STOP_SPINNING, 1);
    guest.order(RESET);
    settle(guest, PartitionState::Reset);
    control(guest, PartitionAction::Start);
    guest.order(LOOK);
    let found = guest.finding();
    check!(
        found == SECRET,
        "round {round}: memory was {found:#x} after a reset"
    );
    if round.is_multiple_of(5) {
        guest.put(STOP_SPINNING, 0);
        guest.order(SPIN);
        guest.counts();
        let (status, _) = hypercall::call(Number::PartitionDestroy, [guest.id, 0, 0, 0]);
        check!(
            status == Status::BadState as u64,
            "the removal of a running guest gave {status}"
        );
        control(guest, PartitionAction::Stop);
    } else {
        guest.order(END);
    }
    settle(guest, PartitionState::Stopped);
    guest.destroy();
}

/// Guests at the same time, each answering.
fn many(count: usize) {
    check!(count <= MOST, "more than {MOST}");
    let before = left();
    let mut guests = [Made {
        id: 0,
        base: 0,
        page: 0,
    }; MOST];
    let guests = &mut guests[..count];
    for (page, guest) in guests.iter_mut().enumerate() {
        *guest = create(16, 1, page);
        guest.load(Mode::Long);
        control(*guest, PartitionAction::Start);
    }
    let cost = ((before[2] - left()[2]) / count as u64) >> 10;
    for _ in 0..3 {
        for guest in &*guests {
            guest.order(LOOK);
            let found = guest.finding();
            check!(found == 0 || found == SECRET, "{found:#x}");
        }
    }
    for guest in &*guests {
        guest.order(END);
    }
    for guest in &*guests {
        settle(*guest, PartitionState::Stopped);
        guest.destroy();
    }
    let after = left();
    check!(after == before, "{after:x?} are left of {before:x?}");
    result("guests", count as u64);
    result("kib_of_hypervisor_per_guest", cost);
}

/// What one guest had in memory is not there for the next, and no guest reaches beyond its own.
fn isolation() {
    const SIZE: u64 = 16;
    let first = create(SIZE, 1, 0);
    for at in (0..SIZE * MIB).step_by(8) {
        first.put(at, SECRET);
    }
    let frames = left();
    first.destroy();
    let second = create(SIZE, 1, 0);
    check!(left() == frames, "it has not as much");
    for at in (0..SIZE * MIB).step_by(8) {
        let found = second.get(at);
        check!(found == 0, "{found:#x} of the former owner at {at:#x}");
    }
    // A third one beside it, whose memory must not change and cannot be read.
    let third = create(SIZE, 1, 1);
    for at in (0..SIZE * MIB).step_by(8) {
        third.put(at, SECRET);
    }
    second.load(Mode::Long);
    control(second, PartitionAction::Start);
    for address in [
        SIZE * MIB,
        SIZE * MIB + 0x1000,
        0x3fff_f000,
        0x8000_0000,
        0xbfff_fffc,
        0xd000_0000,
        0xe000_0000,
        0xfffc_0000,
    ] {
        second.request(Space::Port, DIRECTION_READ, ORDERS);
        second.put(ADDRESS, address);
        second.answer(READ);
        second.request(Space::Memory, DIRECTION_READ, address);
        second.answer(0x1234_5678);
        let found = second.finding();
        check!(found == 0x1234_5678, "{found:#x} is at {address:#x}");
    }
    second.order(END);
    settle(second, PartitionState::Stopped);
    for at in (0..SIZE * MIB).step_by(8) {
        check!(third.get(at) == SECRET, "another guest changed {at:#x}");
    }
    second.destroy();
    third.destroy();
}

/// The window of a guest that is gone leads nowhere, also where the CPU remembers it.
fn windows(info: &StartInfo) {
    if info.restarts > 0 {
        return;
    }
    let guest = create(2, 1, 0);
    guest.put(MARK, SECRET);
    check!(
        guest.get(MARK) == SECRET,
        "the window does not keep what is written"
    );
    guest.destroy();
    let found = guest.get(MARK);
    fail(format_args!(
        "{found:#x} is behind the window of a guest that is gone"
    ));
}

/// A guest outlives its manager, and the next one takes it over.
fn orphans(info: &StartInfo) {
    if info.restarts == 0 {
        let gone = create(2, 1, 0);
        let guest = create(2, 2, 1);
        guest.load(Mode::Long);
        control(guest, PartitionAction::Start);
        guest.order(SPIN);
        guest.counts();
        gone.destroy();
        let nothing = [0u64; 2];
        // SAFETY: the end of this start is wanted.
        unsafe { asm!("lidt [{}]", "ud2", in(reg) &raw const nothing) };
    }
    let count = done("PartitionCount", Number::PartitionCount, [0; 4]);
    check!(count == 3, "{count} ids are in use");
    let (status, _) = hypercall::call(Number::PartitionInfo, [1, RECORD.address(), 0, 0]);
    check!(
        status == Status::NotFound as u64,
        "partition 1 gave {status}"
    );
    let found = info_of(2);
    check!(
        found.origin == PartitionOrigin::Management as u32
            && found.cookie == [1; 16]
            && found.state == PartitionState::Running as u32,
        "partition 2 is another: {found:?}"
    );
    let base = done("a window", Number::MemoryWindow, [2, 0, 0, 0]);
    reach(base);
    let guest = Made {
        id: 2,
        base,
        page: 1,
    };
    guest.counts();
    control(guest, PartitionAction::Stop);
    wait_settled(guest);
    guest.destroy();
}
