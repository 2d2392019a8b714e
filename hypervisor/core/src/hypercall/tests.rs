//! The hypercalls, driven by scripts.

mod console;
mod events;
mod fuzz;
mod interrupts;
mod kept;
mod partitions;
mod records;
mod rights;

use bulkhead_abi::hypercall::Number::{self, *};
use bulkhead_abi::hypercall::Status;

use crate::fakes::{Bench, GUEST_BYTES, MANAGER_BASE};

/// A page of the management partition.
const PAGE: u64 = MANAGER_BASE + 0x20_0000;
/// GPAs that are not whole pages of the management partition's RAM.
const BAD_PAGES: [u64; 6] = [
    0x1000,
    PAGE + 8,
    MANAGER_BASE - 0x1000,
    MANAGER_BASE + GUEST_BYTES,
    0x8000_0000,
    u64::MAX - 0xfff,
];
/// The guest's id.
const GUEST: u64 = 1;

fn call(bench: &mut Bench, number: Number, arguments: [u64; 4]) -> Result<u64, Status> {
    let (status, value) = bench.call(number as u64, arguments);
    match Status::from_u64(status).unwrap() {
        Status::Ok => Ok(value),
        error => {
            assert_eq!(value, 0, "a failed call returns no value");
            Err(error)
        }
    }
}
