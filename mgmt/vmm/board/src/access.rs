//! [`Access`]: one access of a vCPU.

use bulkhead_abi::io::{DIRECTION_READ, DIRECTION_WRITE, IoSlot, Space};
use vmm_pci::Width;

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Reads.
    Read,
    /// Writes this value; only as many low bytes as the access is wide count.
    Write(u64),
}

/// One access of a vCPU to a port or to memory that is no RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Ports or memory.
    pub space: Space,
    /// The port, or the guest-physical address.
    pub address: u64,
    /// How many bytes.
    pub width: Width,
    /// Reading or writing.
    pub operation: Operation,
}

impl Access {
    /// The request in a slot of the I/O page; `None` where the slot holds none.
    pub fn of_slot(slot: &IoSlot) -> Option<Self> {
        let space = match slot.space {
            space if space == Space::Port as u8 => Space::Port,
            space if space == Space::Memory as u8 => Space::Memory,
            _ => return None,
        };
        let operation = match slot.direction {
            DIRECTION_READ => Operation::Read,
            DIRECTION_WRITE => Operation::Write(slot.data),
            _ => return None,
        };
        Some(Self {
            space,
            address: slot.address,
            width: Width::from_bytes(u64::from(slot.size))?,
            operation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_with_numbers_of_its_own_is_no_request() {
        let slot = IoSlot {
            state: 1,
            space: 1,
            direction: DIRECTION_WRITE,
            size: 4,
            reserved: 0,
            address: 0xd000_0000,
            data: 7,
            pad: [0; 5],
        };
        let access = Access::of_slot(&slot).unwrap();
        assert_eq!((access.space, access.width), (Space::Memory, Width::Dword));
        assert_eq!(access.operation, Operation::Write(7));
        assert_eq!(Access::of_slot(&IoSlot { space: 2, ..slot }), None);
        let odd = IoSlot {
            direction: 2,
            ..slot
        };
        assert_eq!(Access::of_slot(&odd), None);
        assert_eq!(Access::of_slot(&IoSlot { size: 3, ..slot }), None);
    }
}
