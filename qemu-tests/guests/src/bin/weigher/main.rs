//! A management partition that makes three guests which only count, all on its own physical CPU, and weighs what they get: by their
//! weights, then with a reservation, then with a limit, changed while they run.
#![no_std]
#![allow(
    clippy::indexing_slicing,
    reason = "a guest that fails its own bounds reports that it failed"
)]
#![no_main]

mod counting;
mod growing;
mod moving;

use counting::{Made, control, info_of, make};
use micro_guests::abi::hypercall::{Number, PartitionAction, Status};
use micro_guests::abi::start::StartInfo;
use micro_guests::{apic, check, cpu, fail, guest, hypercall, option, result, trap, wait};

guest!(main);

const GUESTS: usize = 3;
/// How long each weighing takes, in ticks of the TSC: some tenths of a second.
const LONG: u64 = 400_000_000;
/// How much a share may be off, as a part of itself.
const PART: u64 = 33;

/// Counts and times.
#[derive(Clone, Copy)]
struct Sample {
    counts: [u64; GUESTS],
    ticks: [u64; GUESTS],
    /// In nanoseconds.
    stolen: [u64; GUESTS],
    now: u64,
}

fn main(info: &'static StartInfo) {
    trap::install();
    apic::enable();
    match option(info, "way").unwrap_or("shares") {
        "shares" => shared(info),
        "moves" => moving::moves(),
        "grows" => growing::grows(),
        other => fail(format_args!("unknown way {other:?}")),
    }
}

fn shared(info: &StartInfo) {
    let guests = [100, 200, 400].map(|weight| make(weight, 1));
    for guest in guests {
        control(guest, PartitionAction::Start);
    }
    by_weight(guests);
    by_reservation(guests);
    limited(guests, info.tsc_hz);
    refusals(guests);
    end(&guests);
}

/// Stops them; the machine ends with its management partition only where no guest is active any more.
fn end(guests: &[Made]) {
    for guest in guests {
        control(*guest, PartitionAction::Stop);
    }
    wait::until("the end of the guests", 1000, || {
        guests.iter().all(|guest| info_of(*guest).settled == 1)
    });
}

/// One to two to four.
fn by_weight(guests: [Made; GUESTS]) {
    let gained = weigh(guests);
    let counts: u64 = gained.counts.iter().sum();
    for (index, weight) in [1, 2, 4].into_iter().enumerate() {
        near(
            "by weight",
            gained.counts[index] * 1000 / counts,
            weight * 1000 / 7,
        );
        let time = gained.ticks[index] * 1000 / gained.ticks.iter().sum::<u64>();
        near("time by weight", time, weight * 1000 / 7);
    }
    result("light_permille", gained.counts[0] * 1000 / counts);
    result("heavy_permille", gained.counts[2] * 1000 / counts);
}

/// The one without weight gets what it was promised; the others share the rest.
fn by_reservation(guests: [Made; GUESTS]) {
    shares(guests[0], [1, 40, 0]);
    shares(guests[1], [10_000, 0, 0]);
    shares(guests[2], [10_000, 0, 0]);
    let gained = weigh(guests);
    let counts: u64 = gained.counts.iter().sum();
    near("by reservation", gained.counts[0] * 1000 / counts, 400);
    near(
        "beside a reservation",
        gained.counts[1] * 1000 / counts,
        300,
    );
    near(
        "beside a reservation",
        gained.counts[2] * 1000 / counts,
        300,
    );
    result("reserved_permille", gained.counts[0] * 1000 / counts);
}

/// The one that wants all gets half, with others and without.
fn limited(guests: [Made; GUESTS], tsc_hz: u64) {
    shares(guests[0], [10_000, 0, 50]);
    shares(guests[1], [100, 0, 0]);
    shares(guests[2], [100, 0, 0]);
    let gained = weigh(guests);
    let counts: u64 = gained.counts.iter().sum();
    near("by limit", gained.counts[0] * 1000 / counts, 500);
    near("time by limit", gained.ticks[0] * 1000 / gained.now, 500);
    control(guests[1], PartitionAction::Pause);
    control(guests[2], PartitionAction::Pause);
    let gained = weigh(guests);
    check!(
        gained.counts[1] == 0 && gained.counts[2] == 0,
        "guests that are paused count"
    );
    near("by limit alone", gained.ticks[0] * 1000 / gained.now, 500);
    result("limited_permille", gained.ticks[0] * 1000 / gained.now);
    // The other half was stolen from it, as it reads itself.
    let stolen = gained.stolen[0] * (tsc_hz / 1_000_000) / 1000;
    near("stolen", stolen * 1000 / gained.now, 500);
    result("stolen_permille", stolen * 1000 / gained.now);
}

/// What cannot be promised is refused, and changes nothing.
fn refusals(guests: [Made; GUESTS]) {
    shares(guests[0], [300, 60, 70]);
    for (guest, numbers, status) in [
        (guests[1], [0, 60, 0], Status::NoResource),
        (guests[0], [10_001, 0, 0], Status::BadArgument),
        (guests[0], [0, 91, 0], Status::BadArgument),
        (guests[0], [0, 50, 40], Status::BadArgument),
        (guests[0], [1 << 40, 0, 0], Status::BadArgument),
    ] {
        let (answer, _) = change(guest, numbers);
        check!(
            answer == status as u64,
            "{numbers:?} gave status {answer}, not {status:?}"
        );
    }
    let info = info_of(guests[0]);
    let known = (info.weight, info.reservation_percent, info.limit_percent);
    check!(known == (300, 60, 70), "the numbers are {known:?}");
}

/// Fails where a share is further away than it may be.
fn near(what: &str, permille: u64, ideal: u64) {
    check!(
        permille.abs_diff(ideal) * PART <= ideal,
        "{what}: {permille} of 1000, not {ideal}"
    );
}

/// What each gains in the time of a weighing; the manager sleeps meanwhile.
fn weigh(guests: [Made; GUESTS]) -> Sample {
    wait::nap(50);
    let before = sample(guests);
    while cpu::rdtsc() - before.now < LONG {
        wait::nap(50);
    }
    let after = sample(guests);
    Sample {
        counts: [0, 1, 2].map(|index| after.counts[index] - before.counts[index]),
        ticks: [0, 1, 2].map(|index| after.ticks[index] - before.ticks[index]),
        stolen: [0, 1, 2].map(|index| after.stolen[index] - before.stolen[index]),
        now: after.now - before.now,
    }
}

fn sample(guests: [Made; GUESTS]) -> Sample {
    Sample {
        now: cpu::rdtsc(),
        counts: guests.map(Made::count),
        ticks: guests.map(|guest| info_of(guest).run_ticks),
        stolen: guests.map(Made::stolen),
    }
}

fn change(guest: Made, [weight, reservation, limit]: [u64; 3]) -> (u64, u64) {
    hypercall::call(
        Number::PartitionShares,
        [guest.id, weight, reservation, limit],
    )
}

fn shares(guest: Made, numbers: [u64; 3]) {
    let (status, _) = change(guest, numbers);
    check!(status == 0, "{numbers:?} was refused with status {status}");
}
