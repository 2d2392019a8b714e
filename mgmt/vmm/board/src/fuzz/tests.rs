use super::*;
use alloc::vec::Vec;

/// xorshift64*: the same programs every time.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    };
    core::iter::repeat_with(next).take(count).collect()
}

#[test]
fn the_board_keeps_its_promises_under_random_programs() {
    for seed in 0..3_000 {
        let start = [7, seed as u8];
        fuzz_board(&[&start[..], &bytes(seed, 400)].concat());
    }
}

#[test]
fn seeds_reach_running_queues() {
    for seed in seeds() {
        fuzz_board(&seed);
    }
    // The first one: console output arrives.
    let ram = FakeRam::new(RAM_BYTES);
    let parts = Parts {
        terminal: TerminalSize::default(),
        entropy: Box::new(|_| {}),
        processors: Processors {
            possible: 1,
            present: 1,
        },
    };
    let mut run = Run {
        ram: &ram,
        board: Board::new(&ram, parts).unwrap(),
        witness: Witness::default(),
        queues: [const { None }; QUEUES],
    };
    let seed = seeds().remove(0);
    let mut program = Program::new(&seed);
    while !program.is_done() {
        run.step(&mut program);
    }
    let queue = run.queues[1].as_mut().unwrap();
    assert!(queue.take_used(&ram).unwrap().is_some());
}
