//! A guest whose second vCPU comes and goes while it runs.

use micro_guests::abi::hypercall::{Number, PartitionAction, Status};
use micro_guests::{check, hypercall, result, wait};

use crate::counting::{Made, RECORD, control, info_of, make_growing};

const ROUNDS: u64 = 10;

pub fn grows() {
    let guest = make_growing();
    control(guest, PartitionAction::Start);
    wait::until("the count", 10_000, || guest.count() > 0);
    stands_still(guest);
    for _ in 0..ROUNDS {
        vcpus(guest, 2);
        guest.start_second();
        let before = guest.second_count();
        wait::until("the second vCPU", 10_000, || guest.second_count() != before);
        vcpus(guest, 1);
        stands_still(guest);
    }
    result("rounds", ROUNDS);
    control(guest, PartitionAction::Pause);
    wait::until("the pause", 1000, || info_of(guest).settled == 1);
    vcpus(guest, 2);
    control(guest, PartitionAction::Resume);
    guest.start_second();
    let before = guest.second_count();
    wait::until("the second vCPU after a pause", 10_000, || {
        guest.second_count() != before
    });
    refused(guest);
    crate::end(&[guest]);
}

/// The second vCPU does not run, and cannot be started; the first one does not notice.
fn stands_still(guest: Made) {
    guest.start_second();
    wait::nap(50);
    let (first, second) = (guest.count(), guest.second_count());
    wait::nap(50);
    check!(guest.second_count() == second, "an absent vCPU runs");
    wait::until("the first vCPU", 10_000, || guest.count() > first);
}

fn ask(guest: u64, count: u64) -> u64 {
    RECORD.put(&[0u64; 4]);
    let page = RECORD.address();
    hypercall::call(Number::PartitionVcpus, [guest, count, page, 0]).0
}

fn vcpus(guest: Made, count: u32) {
    let status = ask(guest.id, count.into());
    check!(
        status == 0,
        "{count} vCPUs were refused with status {status}"
    );
    let info = info_of(guest);
    check!(
        (info.vcpus, info.present_vcpus) == (2, count),
        "{} of {} vCPUs are present, not {count}",
        info.present_vcpus,
        info.vcpus
    );
}

/// What makes no sense changes nothing.
fn refused(guest: Made) {
    for (id, count) in [(guest.id, 0), (guest.id, 3), (guest.id, u64::MAX), (0, 1)] {
        let status = ask(id, count);
        check!(
            status == Status::BadArgument as u64,
            "{count} vCPUs of partition {id} gave status {status}"
        );
    }
    check!(
        info_of(guest).present_vcpus == 2,
        "a refusal changed something"
    );
}
