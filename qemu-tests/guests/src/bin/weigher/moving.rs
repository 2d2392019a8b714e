//! A guest whose vCPU moves between two physical CPUs while it counts, and while it halts.

use micro_guests::abi::hypercall::{Number, PartitionAction, Status};
use micro_guests::{check, hypercall, result, wait};

use crate::counting::{Made, RECORD, control, info_of, make};

/// All vCPUs of a partition.
const ALL: u64 = 0xffff_ffff;
/// How often it moves each way.
const ROUNDS: u64 = 10;

pub fn moves() {
    let guest = make(100, 2);
    guest.tick();
    // It has never run.
    affinity(guest, 0, 1);
    control(guest, PartitionAction::Start);
    lives_on(guest, 1);
    for _ in 0..ROUNDS {
        there_and_back(guest);
    }
    result("moves", 2 * ROUNDS);
    guest.halt();
    for _ in 0..ROUNDS {
        there_and_back(guest);
    }
    let before = info_of(guest).run_ticks;
    control(guest, PartitionAction::Pause);
    wait::until("the pause", 1000, || info_of(guest).settled == 1);
    affinity(guest, 0, 2);
    wait::until("the move while it is paused", 1000, || is_on(guest, 2));
    control(guest, PartitionAction::Resume);
    lives_on(guest, 2);
    check!(
        info_of(guest).run_ticks >= before,
        "the time that it ran was forgotten"
    );
    refused(guest);
    crate::end(&[guest]);
}

fn there_and_back(guest: Made) {
    affinity(guest, 0, 2);
    lives_on(guest, 2);
    affinity(guest, ALL, 1);
    lives_on(guest, 1);
}

/// It is on this CPU soon, counts there, and its timer ticks.
fn lives_on(guest: Made, cpus: u64) {
    wait::until("the move", 1000, || is_on(guest, cpus));
    let (count, ticks) = (guest.count(), guest.ticks());
    wait::until("the count", 10_000, || guest.count() > count);
    wait::until("the tick", 10_000, || guest.ticks() > ticks + 1);
    check!(is_on(guest, cpus), "it did not stay");
}

fn is_on(guest: Made, cpus: u64) -> bool {
    info_of(guest).cpus == [cpus, 0, 0, 0]
}

fn ask(guest: u64, vcpu: u64, cpus: u64) -> (u64, u64) {
    RECORD.put(&[cpus, 0, 0, 0]);
    let page = RECORD.address();
    hypercall::call(Number::PartitionAffinity, [guest, vcpu, page, 0])
}

fn affinity(guest: Made, vcpu: u64, cpus: u64) {
    let answer = ask(guest.id, vcpu, cpus);
    let cpu = u64::from(cpus.trailing_zeros());
    check!(answer == (0, cpu), "a move gave {answer:?}");
}

/// What makes no sense changes nothing.
fn refused(guest: Made) {
    for (id, vcpu, cpus, status) in [
        (0, 0, 3, Status::BadArgument),
        (guest.id, 1, 3, Status::NotFound),
        (guest.id, 0, 1 << 40, Status::BadArgument),
    ] {
        let (answer, _) = ask(id, vcpu, cpus);
        check!(
            answer == status as u64,
            "{id} {vcpu} {cpus:#x} gave status {answer}, not {status:?}"
        );
    }
}
