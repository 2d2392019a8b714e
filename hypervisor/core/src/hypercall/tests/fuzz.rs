//! Random hypercalls: no panic, no unbounded loop, a status for an answer.
//!
//! `BULKHEAD_FUZZ=50000000 cargo test --release -p bulkhead-core random_hypercalls` runs longer, with as many calls.

use super::*;
use crate::fakes::fuzz_rounds;
use crate::paging::fakes::Random;
use crate::vcpu::{Exit, Gpr};

/// A number that is near something that the calls look at.
fn argument(random: &mut Random) -> u64 {
    match random.below(12) {
        0 => random.below(4),
        1 => random.below(130),
        2 => PAGE + random.below(4) * 0x1000,
        3 => MANAGER_BASE + random.below(GUEST_BYTES + 0x2000),
        4 => 0xfee0_0000 | random.below(0x10_0000),
        5 => 64 + random.below(4100),
        6 => {
            random.below(4200)
                | random.below(9) << 16
                | random.below(3) << 24
                | random.below(3) << 32
        }
        7 => u64::MAX - random.below(0x2000),
        8 => 1 << random.below(64),
        9 => 0xfee0_0000 | random.below(2) << 12 | random.below(256) << 32,
        10 => 0x10_0000 + random.below(0x1000),
        _ => random.next(),
    }
}

fn fuzz(mut bench: Bench, seed: u64, rounds: u64) -> [u64; 9] {
    let mut random = Random(seed);
    let mut seen = [0; 9];
    bench.host.log = vec![String::from("a line")];
    for _ in 0..rounds {
        let number = match random.below(40) {
            0 => random.next(),
            _ => random.below(Number::COUNT + 1),
        };
        let mut arguments = [(); 4].map(|()| argument(&mut random));
        if random.below(2) == 0 {
            arguments[0] = GUEST;
        }
        // These end the caller or the machine.
        if let Some(Stop | Machine) = Number::from_u64(number) {
            arguments[0] |= 4;
        }
        bench.vcpu.hw.system.cpl = if random.below(50) == 0 { 3 } else { 0 };
        let (status, value) = bench.call(number, arguments);
        let known = Status::from_u64(status);
        assert!(known.is_some(), "{number} {arguments:x?}: {status}");
        assert!(known == Some(Status::Ok) || value == 0);
        seen[status as usize] += 1;
        if random.below(64) == 0 {
            // Guests come to rest, and nothing piles up in the fakes.
            if let Some(guest) = bench.host.machine.partition(crate::id::PartitionId(1)) {
                guest.stop(bulkhead_abi::host::PartitionState::Stopped);
                guest.rest();
                for vcpu in &guest.vcpus {
                    vcpu.take();
                }
            }
            bench.host.take_kicks();
            bench.host.reports.clear();
            bench.host.asked.clear();
            bench.vcpu.hw.completed.clear();
            bench.vcpu.hw.delivered.clear();
            // The guest ends its interrupts.
            let _ = bench.exit(
                &[(Gpr::Rcx, 0x80b), (Gpr::Rax, 0), (Gpr::Rdx, 0)],
                Exit::MsrWrite,
            );
        }
    }
    seen
}

#[test]
fn random_hypercalls_of_management_get_a_status() {
    let seen = fuzz(Bench::manager(), 1, fuzz_rounds(100_000));
    // Every status but that of a full system must have come up, or the arguments are too wild.
    for status in [
        Status::Ok,
        Status::NoSuchCall,
        Status::Denied,
        Status::BadArgument,
        Status::BadAddress,
        Status::NotFound,
        Status::BadState,
    ] {
        assert!(seen[status as usize] > 20, "{status:?}: {seen:?}");
    }
}

#[test]
fn random_hypercalls_of_a_guest_get_a_status_and_reach_nothing() {
    let mut bench = Bench::managed(&[0, 1]);
    bench.serve();
    let seen = fuzz(bench, 2, fuzz_rounds(50_000));
    let unreachable = [
        Status::NotFound,
        Status::Busy,
        Status::NoResource,
        Status::BadState,
    ];
    for status in unreachable {
        assert_eq!(seen[status as usize], 0, "{status:?}");
    }
}
