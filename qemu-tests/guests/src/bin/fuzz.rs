//! Hypercalls with every number and arguments at random, from a guest or, as the management partition, with its rights. Each must come
//! back with a status that the contract knows. The partitions 0 and 1 are the caller and a witness, which is left alone.
#![no_std]
#![no_main]
#![allow(
    clippy::indexing_slicing,
    reason = "a guest that fails its own bounds reports that it failed"
)]

use micro_guests::abi::hypercall::{Number, PartitionAction, Status};
use micro_guests::abi::start::{FLAG_MANAGEMENT, StartInfo};
use micro_guests::{check, guest, hypercall, number, result};

guest!(main);

/// Free memory of the caller, for the pages that calls fill.
const SCRATCH_BYTES: u64 = 64 << 12;

/// The partition that calls may harm.
const VICTIM: u64 = 2;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn main(info: &'static StartInfo) {
    let mut random = Random(number(info, "seed").unwrap_or(1) | 1);
    let rounds = number(info, "rounds").unwrap_or(20_000);
    let scratch = ((info.image_end + 0xfff) & !0xfff) + (64 << 10);
    let manages = info.flags & FLAG_MANAGEMENT != 0;
    let mut tally = [0u64; 9];
    for _ in 0..rounds {
        let call = match random.below(8) {
            0 => random.next(),
            1 => Number::COUNT + random.below(8),
            _ => random.below(Number::COUNT),
        };
        let mut arguments = [0; 4].map(|_: u64| argument(&mut random, info, scratch));
        match Number::from_u64(call) {
            // They end the test.
            Some(Number::Stop | Number::Machine) if manages => arguments[0] |= 1 << 40,
            Some(Number::Stop) => arguments[0] |= 1 << 40,
            // A limit would slow the witness down, and the caller, which must be done before the witness is.
            Some(Number::PartitionShares) if manages && arguments[0] <= 1 => arguments[0] = 2,
            // They may harm the witness.
            Some(Number::PartitionControl | Number::MessageSend | Number::LineSet)
                if manages && arguments[0] == 1 =>
            {
                arguments[0] = 2;
            }
            _ => {}
        }
        let (status, _) = hypercall::raw(call, arguments);
        check!(
            Status::from_u64(status).is_some(),
            "hypercall {call} with {arguments:x?} gives status {status:#x}"
        );
        check!(
            manages || Number::from_u64(call).is_some_and(|n| n as u64 <= 2) || status != 0,
            "hypercall {call} is allowed to a guest"
        );
        tally[status as usize] += 1;
    }
    if manages {
        // Whatever the calls have made of the third partition: it can end, and the machine with it. Refused where it runs.
        hypercall::raw(Number::PartitionShares as u64, [VICTIM, 0, 0, 0]);
        hypercall::raw(
            Number::PartitionControl as u64,
            [VICTIM, PartitionAction::Resume as u64, 0, 0],
        );
    }
    result("done", tally[0]);
    result("refused", tally.iter().skip(1).sum());
}

/// Small numbers, borders, addresses good and bad, anything.
fn argument(random: &mut Random, info: &StartInfo, scratch: u64) -> u64 {
    match random.below(10) {
        0..=2 => random.below(5),
        3 => random.below(5000),
        4 => scratch + (random.below(SCRATCH_BYTES) & !0xfff),
        5 => scratch + random.below(SCRATCH_BYTES),
        6 => info.ram_base + info.ram_bytes + random.below(3) * 0x1000,
        7 => random.next() & !0xfff | 1 << 40,
        8 => u64::MAX - random.below(0x2000),
        _ => random.next() | 1 << 41,
    }
}
