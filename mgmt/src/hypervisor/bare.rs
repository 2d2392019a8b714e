//! The bare test bed: answers the hypercalls without which the partition cannot run, by what a bare machine would do.

use bulkhead_abi::hypercall::{Number, Status};
use mgmt_hypercall::Trap;

/// Takes the hypervisor's place.
#[derive(Clone, Copy)]
pub struct Entry;

impl Entry {
    /// The only way.
    pub fn detect() -> Self {
        Entry
    }
}

/// There is one, namely this.
pub fn is_present() -> bool {
    true
}

impl Trap for Entry {
    fn trap(&self, number: u64, [_, rsi, ..]: [u64; 5]) -> (u64, u64) {
        let ok = |value| (Status::Ok as u64, value);
        match Number::from_u64(number) {
            Some(Number::Version) => ok(bulkhead_abi::VERSION.into()),
            // A message to APIC 0 with the vector itself.
            Some(Number::InterruptBind) => ok(0xfee0_0000 | rsi << 32),
            Some(Number::PartitionCount) => ok(1),
            Some(Number::EventPage) => ok(0),
            _ => (Status::NoSuchCall as u64, 0),
        }
    }
}
