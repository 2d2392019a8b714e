//! vCPUs that move from one physical CPU to another.

use super::*;
use crate::id::CpuId;

impl Rig {
    /// A guest of this request that runs.
    fn run_as(&mut self, request: &PartitionRequest) -> u64 {
        let id = self.create(request).unwrap();
        self.clear(id);
        self.write(long_mode().as_bytes());
        self.call(Number::BootState, [id, PAGE, 0, 0]).unwrap();
        self.control(id, PartitionAction::Start).unwrap();
        self.pass();
        id
    }

    fn affinity(&mut self, id: u64, vcpu: u64, set: u64) -> Result<u64, Status> {
        self.write([set, 0, 0, 0].as_bytes());
        self.call(Number::PartitionAffinity, [id, vcpu, PAGE, 0])
    }

    fn entries(&mut self, cpu: usize, id: u64) -> u64 {
        let slot = self.slot(cpu, id);
        self.cpus[cpu].hw(slot).entries
    }

    fn is_on(&self, cpu: usize, id: u64) -> bool {
        let mut residents = self.cpus[cpu].run_loop.residents.iter().flatten();
        residents.any(|resident| u64::from(resident.record.partition.id.0) == id)
    }
}

fn on(cpus: u64, vcpus: u32) -> PartitionRequest {
    let mut request = request(2 * MIB, vcpus);
    request.cpus[0] = cpus;
    request
}

#[test]
fn a_running_vcpu_moves_at_its_next_exit_and_goes_on() {
    let mut rig = Rig::new();
    let id = rig.run_as(&on(1, 1));
    let before = rig.entries(0, id);
    let ticks = rig.partition(id).usage().1;
    assert_eq!(rig.affinity(id, 0, 2), Ok(1));
    assert!(rig.is_on(0, id) || rig.cpus[0].host.take_kicks() == [CpuId(1)]);
    rig.pass();
    assert!(!rig.is_on(0, id));
    assert_eq!(rig.partition(id).vcpus[0].owner(), CpuId(1));
    assert!(rig.entries(1, id) > before);
    let after = rig.partition(id).usage().1;
    assert!(after > ticks, "{after} of {ticks}: its time was lost");
    assert_eq!(rig.info(id).unwrap().cpus, [2, 0, 0, 0]);
    // And back, by the call for all.
    assert_eq!(rig.affinity(id, u64::from(u32::MAX), 1), Ok(0));
    rig.pass();
    assert!(rig.is_on(0, id) && !rig.is_on(1, id));
}

#[test]
fn what_comes_for_a_vcpu_on_its_way_is_there_when_it_arrives() {
    let mut rig = Rig::new();
    let id = rig.run_as(&on(1, 1));
    let slot = rig.slot(0, id);
    rig.cpus[0]
        .hw(slot)
        .after(Scripted::enable_interrupts, Exit::Halt);
    rig.pass();
    assert_eq!(rig.cpus[0].readiness(slot), Readiness::Waiting);
    rig.affinity(id, 0, 2).unwrap();
    for _ in 0..10 {
        rig.cpus[0].pass();
    }
    assert!(!rig.is_on(0, id) && !rig.is_on(1, id), "on its way");
    let _ = rig.partition(id).vcpus[0].mailbox.post_nmi();
    rig.pass();
    let slot = rig.slot(1, id);
    assert_eq!(rig.cpus[1].record(slot).activity, Activity::Running);
}

#[test]
fn a_vcpu_that_is_called_elsewhere_on_its_way_goes_there() {
    let mut rig = Rig::new();
    let id = rig.run_as(&on(1, 1));
    rig.affinity(id, 0, 2).unwrap();
    for _ in 0..10 {
        rig.cpus[0].pass();
    }
    assert!(!rig.is_on(0, id) && !rig.is_on(1, id), "on its way");
    assert_eq!(rig.affinity(id, 0, 1), Ok(0));
    rig.pass();
    rig.pass();
    assert!(rig.is_on(0, id) && !rig.is_on(1, id));
}

#[test]
fn stopped_guests_and_those_that_never_ran_move_too() {
    let mut rig = Rig::new();
    let new = rig.create(&on(1, 1)).unwrap();
    rig.clear(new);
    rig.write(long_mode().as_bytes());
    rig.call(Number::BootState, [new, PAGE, 0, 0]).unwrap();
    let old = rig.run_as(&on(1, 1));
    rig.control(old, PartitionAction::Stop).unwrap();
    rig.pass();
    for id in [new, old] {
        assert_eq!(rig.affinity(id, 0, 2), Ok(1));
        rig.pass();
        rig.control(id, PartitionAction::Start).unwrap();
        rig.pass();
        rig.pass();
        assert!(rig.is_on(1, id), "partition {id}");
        assert!(rig.entries(1, id) > 0, "partition {id}");
    }
}

#[test]
fn a_guest_is_removed_while_it_moves() {
    let mut rig = Rig::new();
    let before = rig.ledger();
    let id = rig.run_as(&on(1, 1));
    rig.affinity(id, 0, 2).unwrap();
    rig.cpus[0].pass();
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    rig.destroy_soon(id);
    rig.pass();
    assert_eq!(rig.ledger(), before);
    // Its place is free: so much can be promised again.
    let mut whole = on(2, 1);
    whole.reservation_percent = 90;
    rig.create(&whole).unwrap();
}

#[test]
fn promises_go_with_the_vcpu_and_what_has_no_room_stays() {
    let mut rig = Rig::new();
    let with = |cpus, vcpus, reservation| {
        let mut request = on(cpus, vcpus);
        request.reservation_percent = reservation;
        request
    };
    let there = rig.create(&with(2, 1, 50)).unwrap();
    let wide = rig.create(&with(1, 2, 80)).unwrap();
    // Each of its two brings 40: one has room there, both have not.
    let all = u64::from(u32::MAX);
    assert_eq!(rig.affinity(wide, all, 2), Err(Status::NoResource));
    let homes = |rig: &Rig, id| {
        rig.partition(id)
            .vcpus
            .iter()
            .map(|v| v.home().0)
            .collect::<Vec<_>>()
    };
    assert_eq!(homes(&rig, wide), [0, 0]);
    assert_eq!(rig.create(&with(1, 1, 11)), Err(Status::NoResource));
    assert_eq!(rig.affinity(wide, 1, 2), Ok(1));
    assert_eq!(homes(&rig, wide), [0, 1]);
    rig.create(&with(1, 1, 50)).unwrap();
    assert_eq!(rig.create(&with(3, 1, 1)), Err(Status::NoResource));
    rig.destroy_soon(there);
    rig.create(&with(2, 1, 50)).unwrap();
}

#[test]
fn affinities_that_make_no_sense_are_refused() {
    let mut rig = Rig::new();
    let id = rig.create(&on(1, 1)).unwrap();
    for (subject, vcpu, set, status) in [
        (0, 0, 3, Status::BadArgument),
        (77, 0, 3, Status::NotFound),
        (id, 1, 3, Status::NotFound),
        (id, u64::MAX, 3, Status::NotFound),
        (id, 0, 4, Status::BadArgument),
    ] {
        let answer = rig.affinity(subject, vcpu, set);
        assert_eq!(answer, Err(status), "{subject} {vcpu} {set}");
    }
    assert_eq!(rig.affinity(id, 0, 0), Ok(0), "any CPU: it stays");
    assert_eq!(rig.affinity(id, 0, 3), Ok(0));
    let page = [id, 0, PAGE + 1, 0];
    assert_eq!(
        rig.call(Number::PartitionAffinity, page),
        Err(Status::BadAddress)
    );
}
