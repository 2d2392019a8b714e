//! What partitions get of the physical CPUs.

use super::*;
use crate::guest_tsc::GuestTsc;
use crate::id::CpuId;
use crate::paravirtual_clock::Place;

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
    /// A guest that runs and has this of CPU 1.
    fn run_with(&mut self, request: &PartitionRequest) -> u64 {
        let id = self.create(request).unwrap();
        self.clear(id);
        self.write(long_mode().as_bytes());
        self.call(Number::BootState, [id, PAGE, 0, 0]).unwrap();
        self.control(id, PartitionAction::Start).unwrap();
        self.pass();
        id
    }

    /// What guests ran, and the time that passed, while CPU 1 did its passes. A guest that is alone runs a third of it.
    fn measure<const N: usize>(&mut self, ids: [u64; N]) -> ([u64; N], u64) {
        let before = ids.map(|id| self.partition(id).usage().1);
        let cpu = &mut self.cpus[1];
        // The management partition's own vCPU there has nothing to do.
        if cpu.record(0).activity == Activity::Running {
            cpu.hw(0).after(Scripted::enable_interrupts, Exit::Halt);
            cpu.pass();
            cpu.pass();
        }
        cpu.host.tick.set(SLICE.0 / 50);
        let start = cpu.host.clock.get();
        for _ in 0..20_000 {
            let idles = cpu.host.idles;
            cpu.pass();
            if cpu.host.idles > idles {
                cpu.timer();
            }
        }
        cpu.host.tick.set(SLICE.0);
        let elapsed = cpu.host.clock.get() - start;
        let mut ran = before;
        for (ran, id) in ran.iter_mut().zip(ids) {
            *ran = self.partition(id).usage().1 - *ran;
        }
        (ran, elapsed)
    }

    fn shares(&mut self, id: u64, [weight, reservation, limit]: [u64; 3]) -> Result<u64, Status> {
        self.call(Number::PartitionShares, [id, weight, reservation, limit])
    }
}

#[test]
fn guests_run_by_the_weights_that_they_were_made_with_and_were_given_later() {
    let mut rig = Rig::new();
    let ids = [100, 300].map(|weight| rig.run_with(&on_the_second(weight, 0, 0)));
    let ([light, heavy], _) = rig.measure(ids);
    assert!(heavy.abs_diff(light * 3) * 50 < heavy, "{light} {heavy}");
    rig.shares(ids[0], [300, 0, 0]).unwrap();
    let ([one, other], _) = rig.measure(ids);
    assert!(one.abs_diff(other) * 50 < other, "{one} {other}");
}

#[test]
fn a_promise_is_kept_to_the_lightest() {
    let mut rig = Rig::new();
    let promised = rig.run_with(&on_the_second(1, 15, 0));
    let heavy = rig.run_with(&on_the_second(10_000, 0, 0));
    let ([promised, heavy], elapsed) = rig.measure([promised, heavy]);
    assert!(
        (140..=160).contains(&(promised * 1000 / elapsed)),
        "{promised} of {elapsed}"
    );
    assert!(heavy * 1000 / elapsed >= 80, "{heavy} of {elapsed}");
}

#[test]
fn a_limited_guest_leaves_its_cpu_idle_and_the_cpu_wakes_up_for_it() {
    let mut rig = Rig::new();
    let id = rig.run_with(&on_the_second(0, 0, 0));
    let alone = |(ran, elapsed): ([u64; 1], u64)| ran[0] * 1000 / elapsed;
    let unlimited = alone(rig.measure([id]));
    assert!((333..=334).contains(&unlimited), "{unlimited}");
    rig.cpus[0].host.take_kicks();
    rig.shares(id, [0, 0, 10]).unwrap();
    assert_eq!(
        rig.cpus[0].host.take_kicks(),
        [CpuId(1)],
        "it may have no other turn"
    );
    let limited = alone(rig.measure([id]));
    assert!((95..=101).contains(&limited), "{limited}");
    rig.shares(id, [0, 0, 0]).unwrap();
    assert!(alone(rig.measure([id])) >= 330);
}

#[test]
fn the_time_at_its_limit_is_stolen_from_a_guest() {
    let mut rig = Rig::new();
    let id = rig.run_with(&on_the_second(0, 0, 10));
    // Its record of stolen time is at 1 MiB.
    let slot = rig.slot(1, id);
    let partition = rig.partition(id);
    let Cpu { run_loop, host } = &mut rig.cpus[1];
    let record = &mut run_loop.residents[slot].as_mut().unwrap().record;
    let mut place = Place {
        base: partition.devices.lock().clock_base(),
        tsc: GuestTsc::HOST,
        memory: &partition.memory,
        host,
    };
    record
        .clock
        .write_msr(0x4b56_4d03, 0x10_0001, u32::MAX, &mut place)
        .unwrap();
    let start = rig.cpus[1].host.clock.get();
    let before = partition.usage().1;
    rig.measure([id]);
    let mut nanoseconds = [0; 8];
    let at = Gpa::new(0x10_0000);
    let host = &mut rig.cpus[1].host;
    partition.memory.read(host, at, &mut nanoseconds).unwrap();
    let elapsed = rig.cpus[1].host.clock.get() - start;
    let ran = partition.usage().1 - before;
    // The fake's clock counts nanoseconds.
    let stolen = u64::from_le_bytes(nanoseconds);
    assert!(stolen > elapsed / 3, "{stolen} of {elapsed}");
    assert!(
        stolen + ran <= elapsed + SLICE.0,
        "{stolen} and {ran} of {elapsed}"
    );
    assert!(
        stolen + ran > elapsed * 9 / 10,
        "{stolen} and {ran} of {elapsed}"
    );
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
