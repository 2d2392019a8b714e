//! Whoever wakes up and does little runs at once; whoever wakes up and does much does not get more for it.

use super::*;
use simulation::MILLISECOND;

const INTERACTIVE: Behaviour = Behaviour::Bursts {
    run: MILLISECOND / 5,
    sleep: 20 * MILLISECOND,
};

#[test]
fn an_interactive_guest_runs_at_once_among_spinners() {
    for count in [1, 7, 48] {
        let mut cpu = spinners(&vec![0; count]);
        let index = cpu.add(system(1, 0, 0, 0), INTERACTIVE);
        cpu.warm_up();
        cpu.run_until(3 * SECOND);
        let guest = cpu.guest(index);
        assert_eq!(guest.latency, 0, "with {count} spinners");
        assert!(guest.ran >= 2 * SECOND / 105, "{}", guest.ran);
    }
}

#[test]
fn interactive_guests_wait_only_for_each_other() {
    let mut cpu = spinners(&[0; 8]);
    let first = cpu.guests.len();
    for _ in 0..8 {
        cpu.add(system(1, 0, 0, 0), INTERACTIVE);
    }
    cpu.warm_up();
    cpu.run_until(3 * SECOND);
    for index in first..first + 8 {
        let latency = cpu.guest(index).latency;
        assert!(latency <= 8 * MILLISECOND / 5, "{latency}");
    }
}

#[test]
fn a_guest_that_wakes_up_to_work_long_keeps_others_waiting_an_eighth_of_a_slice() {
    let mut cpu = spinners(&[0; 4]);
    let worker = Behaviour::Bursts {
        run: 50 * MILLISECOND,
        sleep: 800 * MILLISECOND,
    };
    cpu.add(system(1, 0, 0, 0), worker);
    let index = cpu.add(system(1, 0, 0, 0), INTERACTIVE);
    cpu.warm_up();
    cpu.run_until(9 * SECOND);
    let latency = cpu.guest(index).latency;
    assert!(latency <= SLICE.0 / 8, "{latency}");
}

#[test]
fn a_guest_that_wakes_up_all_the_time_gets_no_more_than_its_share() {
    let mut cpu = spinners(&[0]);
    let behaviour = Behaviour::Bursts {
        run: 9 * MILLISECOND,
        sleep: MILLISECOND / 10,
    };
    cpu.add(system(1, 0, 0, 0), behaviour);
    let ran = cpu.measure(4 * SECOND);
    assert!(ran[0] + 2 * SLICE.0 >= 2 * SECOND, "{ran:?}");
}

#[test]
fn an_interrupted_turn_goes_on() {
    // The sleeper's timer interrupts the spinners all the time; they change places after a slice all the same.
    let mut cpu = spinners(&[0, 0]);
    let behaviour = Behaviour::Bursts {
        run: 1000,
        sleep: MILLISECOND / 10,
    };
    cpu.add(system(1, 0, 0, 0), behaviour);
    cpu.run_until(2 * SECOND);
    let ran = cpu.ran();
    assert!(ran[0].abs_diff(ran[1]) <= SLICE.0, "{ran:?}");
    let mut changes = 0;
    let mut stays: Vec<_> = [0, 1]
        .into_iter()
        .flat_map(|index| {
            cpu.guest(index)
                .stays
                .iter()
                .map(move |stay| (stay.0, index))
        })
        .collect();
    stays.sort_unstable();
    for pair in stays.windows(2) {
        changes += u64::from(pair[0].1 != pair[1].1);
    }
    assert!(
        (190..=310).contains(&changes),
        "{changes} changes in 200 slices"
    );
}

#[test]
fn a_reserved_guest_wakes_before_the_others() {
    let mut cpu = spinners(&[10_000; 4]);
    for _ in 0..4 {
        cpu.add(system(1, 10_000, 0, 0), INTERACTIVE);
    }
    let index = cpu.add(system(1, 1, 10, 0), INTERACTIVE);
    cpu.warm_up();
    cpu.run_until(3 * SECOND);
    assert_eq!(cpu.guest(index).latency, 0);
}
