//! What partitions get of the physical CPUs.

use super::*;

/// A request for a guest of one vCPU on CPU 1.
fn on_the_second(weight: u32, reservation: u32, limit: u32) -> PartitionRequest {
    let mut request = request(2 * MIB, 1);
    request.cpus[0] = 2;
    request.weight = weight;
    request.reservation_percent = reservation;
    request.limit_percent = limit;
    request
}

impl Rig {
    fn shares(&mut self, id: u64, [weight, reservation, limit]: [u64; 3]) -> Result<u64, Status> {
        self.call(Number::PartitionShares, [id, weight, reservation, limit])
    }
}

#[test]
fn what_cannot_be_promised_is_refused_and_changes_nothing() {
    let mut rig = Rig::new();
    let first = rig.create(&on_the_second(0, 60, 0)).unwrap();
    let before = rig.ledger();
    let answer = rig.create(&on_the_second(0, 31, 0));
    assert_eq!(answer, Err(Status::NoResource));
    assert_eq!(rig.ledger(), before);
    let second = rig.create(&on_the_second(0, 30, 0)).unwrap();
    assert_eq!(rig.shares(second, [0, 31, 0]), Err(Status::NoResource));
    assert_eq!(rig.shares(first, [0, 61, 0]), Err(Status::NoResource));
    for numbers in [
        [10_001, 0, 0],
        [0, 91, 0],
        [0, 60, 50],
        [0, 0, 6401],
        [1 << 32, 0, 0],
    ] {
        let answer = rig.shares(first, numbers);
        assert_eq!(answer, Err(Status::BadArgument), "{numbers:?}");
    }
    let info = rig.info(first).unwrap();
    let known = (info.weight, info.reservation_percent, info.limit_percent);
    assert_eq!(known, (0, 60, 0));
    assert_eq!(rig.shares(77, [0, 0, 0]), Err(Status::NotFound));
    // What goes makes room.
    rig.destroy_soon(first);
    assert_eq!(rig.shares(second, [5, 90, 95]), Ok(0));
    let info = rig.info(second).unwrap();
    let known = (info.weight, info.reservation_percent, info.limit_percent);
    assert_eq!(known, (5, 90, 95));
}

#[test]
fn a_promise_for_many_vcpus_is_all_or_nothing() {
    let mut rig = Rig::new();
    let first = rig.create(&on_the_second(0, 50, 0)).unwrap();
    let mut filler = on_the_second(0, 0, 0);
    filler.cpus[0] = 1;
    rig.create(&filler).unwrap();
    let wide = rig.create(&request(2 * MIB, 2)).unwrap();
    // One vCPU is on each CPU: the first has room for its half, the second has not.
    assert_eq!(rig.shares(wide, [0, 100, 0]), Err(Status::NoResource));
    let third = rig.create(&on_the_second(0, 40, 0)).unwrap();
    assert_eq!(rig.shares(wide, [0, 2, 0]), Err(Status::NoResource));
    rig.destroy_soon(first);
    rig.destroy_soon(third);
    assert_eq!(rig.shares(wide, [0, 180, 0]), Ok(0));
}

#[test]
fn management_may_change_its_own_shares() {
    let mut rig = Rig::new();
    assert_eq!(rig.shares(0, [1000, 10, 0]), Ok(0));
    assert_eq!(rig.info(0).unwrap().weight, 1000);
}
