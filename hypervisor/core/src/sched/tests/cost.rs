//! What a decision costs, in comparisons, and that it takes no memory.

use super::*;

#[test]
fn decisions_cost_the_logarithm_of_the_number_of_vcpus() {
    for bits in [2, 4, 6, 8, 10, 12] {
        let mut cpu = spinners(&vec![0; 1 << bits]);
        cpu.run_until(SECOND + SLICE.0);
        let before = (cpu.scheduler.comparisons(), cpu.decisions);
        cpu.run_until(3 * SECOND);
        let spent = cpu.scheduler.comparisons() - before.0;
        let decisions = cpu.decisions - before.1;
        // One taken out from the top, down all the way, and one inserted at the bottom.
        let most = decisions * (3 * bits + 2);
        assert!(spent <= most, "2^{bits}: {spent} for {decisions} decisions");
    }
}

#[test]
fn limits_and_reservations_do_not_change_that() {
    let mut cpu = Cpu::new();
    for index in 0..256 {
        let reservation = u32::from(index % 64 == 0) * 10;
        let limit = if index % 3 == 0 { 10 } else { 0 };
        cpu.add(system(1, 0, reservation, limit), Behaviour::Spins);
    }
    cpu.run_until(SECOND + SLICE.0);
    let before = (cpu.scheduler.comparisons(), cpu.decisions);
    cpu.run_until(2 * SECOND);
    let spent = cpu.scheduler.comparisons() - before.0;
    let decisions = cpu.decisions - before.1;
    assert!(spent <= decisions * 60, "{spent} for {decisions} decisions");
}

#[test]
fn one_alone_costs_no_comparison() {
    let mut cpu = Cpu::new();
    let behaviour = Behaviour::Bursts {
        run: 1000,
        sleep: 1000,
    };
    cpu.add(system(1, 0, 0, 0), behaviour);
    cpu.run_until(SECOND + SECOND / 10);
    assert_eq!(cpu.scheduler.comparisons(), 0);
}

#[test]
fn memory_is_taken_for_vcpus_that_come_and_never_for_turns() {
    let mut cpu = spinners(&[0; 300]);
    let memory = cpu.scheduler.memory();
    cpu.run_until(2 * SECOND);
    for index in 0..300 {
        cpu.replace(index, system(1, 0, 0, 50), Behaviour::Spins);
    }
    cpu.run_until(3 * SECOND);
    assert_eq!(cpu.scheduler.memory(), memory);
}
