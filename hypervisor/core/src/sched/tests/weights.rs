//! Shares follow weights.

use super::super::placement::{self, Load};
use super::super::{DEFAULT_WEIGHT, Entitlement, Slot};
use super::*;
use crate::id::CpuId;
use crate::time::Instant;

#[test]
fn two_alike_take_turns_of_a_slice() {
    let mut cpu = spinners(&[0, 0]);
    cpu.run_until(SECOND + 10 * SLICE.0);
    for index in [0, 1] {
        let stays = &cpu.guest(index).stays;
        assert_eq!(stays.len(), 5);
        assert!(
            stays.iter().all(|(from, to)| to - from == SLICE.0),
            "{stays:?}"
        );
    }
}

#[test]
fn one_alone_runs_on_and_on() {
    let mut cpu = spinners(&[0]);
    let turn = cpu.scheduler.pick(Instant(cpu.now));
    assert!(turn.is_none(), "it has not woken up yet");
    cpu.run_until(SECOND + 1);
    let turn = cpu.scheduler.pick(Instant(cpu.now)).unwrap();
    assert_eq!((turn.slot, turn.length), (Slot(0), None));
}

#[test]
fn weights_of_one_two_and_four_give_such_shares() {
    let mut cpu = spinners(&[100, 200, 400]);
    let ran = cpu.measure(SECOND);
    for (ran, weight) in ran.iter().zip([1, 2, 4]) {
        let ideal = SECOND * weight / 7;
        assert!(ran.abs_diff(ideal) * 100 <= ideal, "{ran} for {ideal}");
    }
}

#[test]
fn a_systems_weight_is_divided_among_its_vcpus() {
    let mut cpu = Cpu::new();
    let wide = system(4, 400, 0, 0);
    for _ in 0..4 {
        cpu.add(wide.clone(), Behaviour::Spins);
    }
    cpu.add(system(1, 400, 0, 0), Behaviour::Spins);
    let ran = cpu.measure(SECOND);
    assert!(ran[4].abs_diff(SECOND / 2) < SECOND / 200, "{ran:?}");
    assert!(
        ran[..4]
            .iter()
            .all(|ran| ran.abs_diff(SECOND / 8) < SECOND / 800),
        "{ran:?}"
    );
}

#[test]
fn a_weight_that_was_not_said_is_the_same_for_each_vcpu() {
    for vcpus in [1, 3, 64] {
        assert_eq!(
            Entitlement::default().weight_of_vcpu(vcpus),
            u64::from(DEFAULT_WEIGHT) << 16
        );
    }
}

/// 64 CPUs with the vCPUs of these systems, placed as the machine does it; which CPU and slot each system has.
fn machine(systems: &[Arc<System>]) -> (Vec<Cpu>, Vec<Vec<(usize, usize)>>) {
    let mut cpus: Vec<_> = (0..64).map(|_| Cpu::new()).collect();
    let mut loads = [Load::default(); 64];
    let mut places = Vec::new();
    for system in systems {
        let more = Load::of_vcpu(system.entitlement(), system.vcpus());
        let mut mine = Vec::new();
        for _ in 0..system.vcpus() {
            let candidates = (0..64).map(|cpu| (CpuId(cpu as u16), loads[cpu]));
            let (cpu, load) = placement::choose(candidates, more).unwrap();
            let cpu = usize::from(cpu.0);
            loads[cpu] = load;
            mine.push((cpu, cpus[cpu].add(system.clone(), Behaviour::Spins)));
        }
        places.push(mine);
    }
    (cpus, places)
}

#[test]
fn two_hundred_and_fifty_six_alike_on_sixty_four_cpus_get_a_quarter_each() {
    let systems: Vec<_> = (0..64).map(|_| system(4, 0, 0, 0)).collect();
    let (mut cpus, _) = machine(&systems);
    for cpu in &mut cpus {
        let ran = cpu.measure(SECOND);
        assert_eq!(ran.len(), 4);
        for ran in ran {
            assert!(ran.abs_diff(SECOND / 4) * 100 <= SECOND / 4, "{ran}");
        }
    }
}

#[test]
fn systems_of_all_weights_on_sixty_four_cpus_get_what_their_weights_say() {
    // The heavy ones fill CPUs of their own; the light ones share the others as their weights say.
    let mut random = random::Random(11);
    for _ in 0..4 {
        let systems: Vec<_> = (0..64)
            .map(|_| system(4, random.between(1, 10_000) as u32, 0, 0))
            .collect();
        let (mut cpus, places) = machine(&systems);
        for (number, cpu) in cpus.iter_mut().enumerate() {
            let weights: Vec<_> = (0..cpu.guests.len())
                .map(|slot| {
                    let owner = places
                        .iter()
                        .position(|mine| mine.contains(&(number, slot)));
                    u64::from(systems[owner.unwrap()].entitlement().weight())
                })
                .collect();
            let total: u64 = weights.iter().sum();
            for (ran, weight) in cpu.measure(SECOND).iter().zip(weights) {
                let ideal = SECOND * weight / total;
                assert!(ran.abs_diff(ideal) <= SECOND / 100, "{ran} for {ideal}");
                if ideal > SECOND / 16 {
                    assert!(ran.abs_diff(ideal) * 100 <= ideal, "{ran} for {ideal}");
                }
            }
        }
    }
}

#[test]
fn sixty_four_on_one_cpu_share_it() {
    let mut cpu = spinners(&[0; 64]);
    for ran in cpu.measure(SECOND) {
        assert!(ran.abs_diff(SECOND / 64) <= SLICE.0 / 4, "{ran}");
    }
}

#[test]
fn the_lightest_runs_as_often_as_its_weight_says() {
    // 101 times the lightest turn, at each of which everybody had its part.
    let mut cpu = spinners(&[1, 100]);
    let ran = cpu.measure(4 * SECOND);
    assert!(ran[0].abs_diff(4 * SECOND / 101) <= SLICE.0 / 4, "{ran:?}");
    let wait = cpu.guest(0).longest_wait;
    assert!(wait <= SLICE.0 / 8 * 101 + SLICE.0, "{wait}");
}

#[test]
fn a_new_weight_holds_from_the_next_turn_on() {
    let (first, second) = (system(1, 100, 0, 0), system(1, 100, 0, 0));
    let mut cpu = Cpu::new();
    cpu.add(first, Behaviour::Spins);
    cpu.add(second.clone(), Behaviour::Spins);
    let before = cpu.measure(SECOND);
    assert!(before[0].abs_diff(before[1]) <= SLICE.0);
    second.set(Entitlement::new(300, 0, 0, 1).unwrap());
    let after = cpu.measure(SECOND);
    assert!(
        after[1].abs_diff(SECOND * 3 / 4) <= SECOND / 100,
        "{after:?}"
    );
}

#[test]
fn who_comes_to_a_cpu_that_was_busy_for_long_gets_its_share_and_no_more() {
    let mut cpu = spinners(&[100]);
    cpu.run_until(100 * SECOND);
    cpu.add(system(1, 100, 0, 0), Behaviour::Spins);
    let ran = cpu.measure(SECOND);
    assert!(ran[0].abs_diff(ran[1]) <= 2 * SLICE.0, "{ran:?}");
}

#[test]
fn numbers_that_mean_nothing_are_refused() {
    assert!(Entitlement::new(10_000, 0, 6400, 64).is_ok());
    assert!(Entitlement::new(10_001, 0, 0, 1).is_err());
    assert!(Entitlement::new(0, 0, 6401, 1).is_err());
    assert!(Entitlement::new(0, 90, 0, 1).is_ok());
    assert!(Entitlement::new(0, 91, 0, 1).is_err());
    assert!(Entitlement::new(0, 180, 180, 2).is_ok());
    assert!(Entitlement::new(0, 50, 49, 1).is_err());
    assert!(Entitlement::new(u32::MAX, u32::MAX, u32::MAX, u32::MAX).is_err());
}
