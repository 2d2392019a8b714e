//! Reservations are met whatever the others want, and leave something for them.

use super::super::placement::{self, Load, RESERVABLE};
use super::*;
use crate::id::CpuId;

#[test]
fn a_reservation_is_met_under_overload() {
    let mut cpu = spinners(&[10_000; 31]);
    let reserved = cpu.add(system(1, 1, 50, 0), Behaviour::Spins);
    let ran = cpu.measure(SECOND);
    assert!(ran[reserved] + SLICE.0 >= SECOND / 2, "{ran:?}");
    assert!(ran[reserved] <= SECOND / 2 + 2 * SLICE.0, "{ran:?}");
    for other in &ran[..31] {
        assert!(
            other.abs_diff(SECOND / 62) <= SLICE.0,
            "the others share the rest: {ran:?}"
        );
    }
}

#[test]
fn a_reservation_is_met_in_every_tenth_of_a_second() {
    let mut cpu = spinners(&[10_000; 3]);
    let reserved = cpu.add(system(1, 1, 30, 0), Behaviour::Spins);
    for _ in 0..20 {
        let ran = cpu.measure(SECOND / 10);
        assert!(ran[reserved] + SLICE.0 >= SECOND * 3 / 100, "{ran:?}");
    }
}

#[test]
fn full_reservations_are_met_and_starve_nobody() {
    let mut cpu = spinners(&[100; 16]);
    for _ in 0..3 {
        cpu.add(system(1, 1, 30, 0), Behaviour::Spins);
    }
    let ran = cpu.measure(2 * SECOND);
    for reserved in &ran[16..] {
        assert!(reserved + SLICE.0 >= SECOND * 6 / 10, "{ran:?}");
    }
    for other in &ran[..16] {
        assert!(*other > SECOND / 200, "{ran:?}");
    }
}

#[test]
fn a_reservation_below_the_share_changes_nothing() {
    let mut cpu = spinners(&[100, 100, 100]);
    cpu.add(system(1, 100, 10, 0), Behaviour::Spins);
    for ran in cpu.measure(SECOND) {
        assert!(
            ran.abs_diff(SECOND / 4) <= SECOND / 400 + SLICE.0 / 2,
            "{ran}"
        );
    }
}

#[test]
fn what_a_guest_had_while_it_was_alone_is_not_held_against_its_reservation() {
    let mut cpu = Cpu::new();
    cpu.add(system(1, 1, 40, 0), Behaviour::Spins);
    cpu.run_until(10 * SECOND);
    cpu.add(system(1, 10_000, 0, 0), Behaviour::Spins);
    let ran = cpu.measure(SECOND);
    assert!(ran[0] + 2 * SLICE.0 >= SECOND * 4 / 10, "{ran:?}");
}

#[test]
fn after_an_overload_a_reserved_guest_is_soon_treated_like_the_others() {
    let mut cpu = spinners(&[10_000; 8]);
    let reserved = cpu.add(system(1, 10_000, 50, 0), Behaviour::Spins);
    cpu.run_until(10 * SECOND);
    for index in 1..8 {
        cpu.scheduler.dismiss(super::super::Slot(index));
        cpu.guests[index] = None;
    }
    let ran = cpu.measure(2 * SECOND);
    assert_eq!(ran.len(), 2);
    assert!(ran[reserved - 7] + 50 * SLICE.0 >= SECOND, "{ran:?}");
}

#[test]
fn a_reservation_may_be_given_to_a_guest_that_runs() {
    let subject = system(1, 1, 0, 0);
    let mut cpu = spinners(&[10_000; 3]);
    let index = cpu.add(subject.clone(), Behaviour::Spins);
    let before = cpu.measure(SECOND);
    assert!(before[index] < SECOND / 100, "{before:?}");
    subject.set(Entitlement::new(1, 60, 0, 1).unwrap());
    let after = cpu.measure(SECOND);
    assert!(after[index] + SLICE.0 >= SECOND * 6 / 10, "{after:?}");
}

#[test]
fn cpus_take_no_more_reservations_than_they_can_keep() {
    let promise = |percent| Load::of_vcpu(Entitlement::new(0, percent, 0, 1).unwrap(), 1);
    let mut loads = [Load::default(); 2];
    let mut place = |percent| {
        let cpus = (0..2).map(|cpu| (CpuId(cpu as u16), loads[cpu]));
        let (cpu, load) = placement::choose(cpus, promise(percent))?;
        loads[usize::from(cpu.0)] = load;
        Some(cpu.0)
    };
    assert_eq!(place(60), Some(0));
    assert_eq!(place(60), Some(1));
    assert_eq!(place(60), None);
    assert_eq!(place(30), Some(0));
    assert_eq!(place(1), Some(1));
    assert_eq!(place(0), Some(1), "of two alike the one that promised less");
    assert_eq!(loads.map(|load| load.reserved), [RESERVABLE, 61_000]);
    let gone = loads[0].without(promise(60));
    assert_eq!(gone.reserved, 30_000);
}

#[test]
fn vcpus_go_where_the_least_weight_is() {
    let loads = [300, 100, 200].map(|weight| Load {
        weight,
        reserved: 0,
    });
    let cpus = (0u16..).map(CpuId).zip(loads);
    let more = Load {
        weight: 50,
        reserved: 0,
    };
    let (cpu, load) = placement::choose(cpus, more).unwrap();
    assert_eq!((cpu, load.weight), (CpuId(1), 150));
}
