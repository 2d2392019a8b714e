//! Several vCPUs on one CPU.

use super::*;

fn two() -> (World, Cpu) {
    let mut world = World::new(1);
    let guests = [world.guest(&[0]), world.guest(&[0])];
    let mut cpu = Cpu::new(&world, 0);
    for guest in &guests {
        start(&world, guest, &mut cpu);
    }
    cpu.pass();
    // Every look at the clock costs a tenth of a slice.
    cpu.host.tick.set(SLICE.0 / 10);
    (world, cpu)
}

#[test]
fn two_spinners_share_the_cpu_by_slices() {
    let (_, mut cpu) = two();
    for _ in 0..200 {
        // Whoever runs exits now and then, and after a while the timer ends its slice.
        cpu.pass();
        cpu.timer();
    }
    let ran = [cpu.hw(0).entries, cpu.hw(1).entries];
    assert!(ran[0].abs_diff(ran[1]) <= 20, "{ran:?}");
    assert!(ran[0] >= 80, "{ran:?}");
}

#[test]
fn the_extended_state_moves_with_the_vcpu() {
    let (_, mut cpu) = two();
    for _ in 0..50 {
        cpu.pass();
    }
    // The fake checks that the state of one vCPU only is in the CPU at a time.
    let roots: Vec<_> = cpu
        .run_loop
        .cpu
        .activations
        .iter()
        .map(|(root, _)| *root)
        .collect();
    assert!(roots.len() > 4);
    for slot in [0, 1] {
        assert!(roots.contains(&cpu.record(slot).partition.root));
    }
}

#[test]
fn a_lone_vcpu_is_not_interrupted_by_slices() {
    let (_, _, mut cpu) = single();
    cpu.host.asked.clear();
    cpu.pass();
    assert!(
        cpu.host
            .asked
            .iter()
            .all(|at| *at == crate::time::Instant::NEVER)
    );
}

#[test]
fn time_on_the_cpu_is_counted() {
    let (_, partition, mut cpu) = single();
    cpu.host.tick.set(10);
    for _ in 0..5 {
        cpu.pass();
    }
    let (exits, ticks) = partition.usage();
    assert_eq!(exits, 6);
    assert!(ticks >= 50, "{ticks}");
}
