//! Random hypercalls: no panic, no unbounded loop, a status for an answer.
//!
//! `BULKHEAD_FUZZ=50000000 cargo test --release -p bulkhead-core random_hypercalls` runs longer, with as many calls.

use super::*;
use bulkhead_abi::partition::{BootSegment, BootState, PartitionRequest};
use zerocopy::{FromZeros, IntoBytes};

use crate::fakes::fuzz_rounds;
use crate::id::{CpuId, PartitionId};
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

/// A request for a partition, or a state to start in, with or without a wrong byte.
fn record(random: &mut Random) -> Vec<u8> {
    let mut bytes = match random.below(2) {
        0 => {
            let vcpus = random.below(4) as u32;
            let request = PartitionRequest {
                name: [b'x'; 64],
                memory_bytes: random.below(8) << 21,
                vcpus,
                threads_per_core: 1,
                cores_per_socket: vcpus as u16,
                ..PartitionRequest::new_zeroed()
            };
            request.as_bytes().to_vec()
        }
        _ => {
            let segment = |attributes| BootSegment {
                limit: u32::MAX,
                attributes,
                ..BootSegment::default()
            };
            let state = BootState {
                cr0: 0x11,
                cs: segment(0xc9b),
                data: segment(0xc93),
                ..BootState::default()
            };
            state.as_bytes().to_vec()
        }
    };
    if random.below(4) == 0 {
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] = random.next() as u8;
    }
    bytes
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
        if random.below(16) == 0 {
            let page = PAGE + random.below(4) * 0x1000;
            let _ = bench.partition.memory.write(
                &mut bench.host,
                crate::addr::Gpa::new(page),
                &record(&mut random),
            );
        }
        bench.vcpu.hw.system.cpl = if random.below(50) == 0 { 3 } else { 0 };
        let (status, value) = bench.call(number, arguments);
        let known = Status::from_u64(status);
        assert!(known.is_some(), "{number} {arguments:x?}: {status}");
        assert!(known == Some(Status::Ok) || value == 0);
        seen[status as usize] += 1;
        // The CPUs drop vCPUs as soon as they get them, so that partitions can be removed.
        for cpu in 0..bench.host.machine.cpus() {
            while bench.host.machine.receive(CpuId(cpu)).is_some() {}
        }
        if random.below(64) == 0 {
            // Guests come to rest, and nothing piles up in the fakes.
            let guests = (1..40).filter_map(|id| bench.host.machine.partition(PartitionId(id)));
            for guest in guests.filter(|guest| !guest.is_doomed()) {
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
    assert!(seen[Status::Busy as usize] > 5, "no removal: {seen:?}");
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
