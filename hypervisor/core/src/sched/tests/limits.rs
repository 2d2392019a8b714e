//! Limits hold in every span of time, and are reached.

use super::*;
use simulation::{Guest, MILLISECOND, run_together};

/// The most that the guest ran beyond `percent` in any span.
fn excess(guest: &Guest, percent: u64) -> u64 {
    // The worst span begins with a stay and ends with one: the highest rise of what it ran less what it may.
    let (mut worst, mut lowest, mut ran) = (0, i128::MAX, 0i128);
    for &(from, to) in &guest.stays {
        let allowed = |at: u64| i128::from(at) * i128::from(percent) / 100;
        lowest = lowest.min(ran - allowed(from));
        ran += i128::from(to - from);
        worst = worst.max(ran - allowed(to) - lowest);
    }
    worst as u64
}

#[test]
fn the_measure_of_excess_counts_any_span() {
    let mut cpu = spinners(&[0, 0]);
    cpu.run_until(2 * SECOND);
    assert_eq!(excess(cpu.guest(0), 50), SLICE.0 / 2);
    assert!(excess(cpu.guest(0), 40) > SECOND / 20);
}

#[test]
fn a_limit_holds_on_an_idle_cpu_within_a_slice() {
    for percent in [1, 3, 10, 50, 90, 100] {
        let mut cpu = Cpu::new();
        cpu.add(system(1, 0, 0, percent), Behaviour::Spins);
        let ran = cpu.measure(4 * SECOND);
        let ideal = SECOND / 25 * u64::from(percent);
        assert!(ran[0].abs_diff(ideal) <= SLICE.0, "{percent} %: {ran:?}");
        let excess = excess(cpu.guest(0), percent.into());
        assert!(excess <= SLICE.0, "{percent} %: {excess}");
        assert!(cpu.guest(0).longest_wait <= 20 * SLICE.0, "{percent} %");
    }
}

#[test]
fn a_limit_below_the_share_is_reached_among_spinners() {
    let mut cpu = spinners(&[100, 100]);
    cpu.add(system(1, 300, 0, 30), Behaviour::Spins);
    let ran = cpu.measure(4 * SECOND);
    assert!(ran[2].abs_diff(SECOND * 12 / 10) <= SECOND / 50, "{ran:?}");
    assert!(excess(cpu.guest(2), 30) <= SLICE.0);
    assert!(
        ran[0].abs_diff(ran[1]) <= SLICE.0,
        "the others share the rest: {ran:?}"
    );
}

#[test]
fn a_limit_above_the_share_changes_nothing() {
    let mut cpu = spinners(&[100, 100, 100]);
    cpu.add(system(1, 100, 0, 80), Behaviour::Spins);
    for ran in cpu.measure(SECOND) {
        assert!(
            ran.abs_diff(SECOND / 4) <= SECOND / 400 + SLICE.0 / 2,
            "{ran}"
        );
    }
}

#[test]
fn a_guest_that_sleeps_much_does_not_pay_for_what_it_did_not_use() {
    let mut cpu = Cpu::new();
    let behaviour = Behaviour::Bursts {
        run: MILLISECOND / 10,
        sleep: MILLISECOND,
    };
    cpu.add(system(1, 0, 0, 20), behaviour);
    cpu.run_until(3 * SECOND);
    // A burst in 1.1 ms.
    let ran = cpu.guest(0).ran;
    assert!(ran.abs_diff(2 * SECOND / 11) <= MILLISECOND, "{ran}");
    assert_eq!(cpu.guest(0).latency, 0);
}

#[test]
fn a_limit_counts_for_all_cpus_of_a_system() {
    let limited = system(4, 0, 0, 150);
    let mut cpus: Vec<_> = (0..4).map(|_| Cpu::new()).collect();
    for cpu in &mut cpus {
        cpu.add(limited.clone(), Behaviour::Spins);
    }
    run_together(&mut cpus, 3 * SECOND);
    let ran: Vec<_> = cpus.iter().map(|cpu| cpu.guest(0).ran).collect();
    let total: u64 = ran.iter().sum();
    assert!(total.abs_diff(3 * SECOND) <= SLICE.0, "{total}");
    for ran in ran {
        assert!(
            ran.abs_diff(SECOND * 3 / 4) <= SLICE.0,
            "all CPUs get the same: {ran}"
        );
    }
}

#[test]
fn one_busy_vcpu_may_use_the_whole_limit_of_its_system() {
    let limited = system(4, 0, 0, 80);
    let mut cpus: Vec<_> = (0..4).map(|_| Cpu::new()).collect();
    cpus[0].add(limited.clone(), Behaviour::Spins);
    for cpu in &mut cpus[1..] {
        let behaviour = Behaviour::Bursts {
            run: MILLISECOND / 100,
            sleep: 10 * MILLISECOND,
        };
        cpu.add(limited.clone(), behaviour);
    }
    run_together(&mut cpus, 3 * SECOND);
    let ran = cpus[0].guest(0).ran;
    assert!(share(ran, 2 * SECOND) > 7500, "{ran}");
}

#[test]
fn a_limit_comes_and_goes_while_the_guest_runs() {
    let subject = system(1, 0, 0, 0);
    let mut cpu = Cpu::new();
    cpu.add(subject.clone(), Behaviour::Spins);
    let mut measure = |limit| {
        subject.set(Entitlement::new(0, 0, limit, 1).unwrap());
        cpu.measure(SECOND)[0]
    };
    assert_eq!(measure(0), SECOND);
    assert!(measure(25).abs_diff(SECOND / 4) <= SLICE.0);
    assert!(measure(50).abs_diff(SECOND / 2) <= 2 * SLICE.0);
    assert_eq!(
        measure(0),
        SECOND,
        "nobody waits for the end of a limit that is gone"
    );
}
