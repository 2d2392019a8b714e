//! I/O requests: what another partition's vCPU waits for, and the devices that answer.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bulkhead_abi::io::{DIRECTION_READ, DIRECTION_WRITE, IoSlot, STATE_PENDING, Space};

/// Where an access goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// An I/O port.
    Port(u16),
    /// Guest-physical memory.
    Memory(u64),
}

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Reads.
    Read,
    /// Writes this value.
    Write(u64),
}

/// One access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Where.
    pub place: Place,
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// What.
    pub direction: Direction,
}

impl Request {
    /// The request in a slot; `None` where none is pending or the slot's fields are none of the contract's.
    pub fn from_slot(slot: &IoSlot) -> Option<Self> {
        if slot.state != STATE_PENDING || !matches!(slot.size, 1 | 2 | 4 | 8) {
            return None;
        }
        let place = match slot.space {
            space if space == Space::Port as u8 => Place::Port(u16::try_from(slot.address).ok()?),
            space if space == Space::Memory as u8 => Place::Memory(slot.address),
            _ => return None,
        };
        let direction = match slot.direction {
            DIRECTION_READ => Direction::Read,
            DIRECTION_WRITE => Direction::Write(slot.data & mask(slot.size)),
            _ => return None,
        };
        Some(Request {
            place,
            size: slot.size,
            direction,
        })
    }
}

/// The bits that an access of `size` bytes carries.
fn mask(size: u8) -> u64 {
    match size {
        0..8 => (1 << (u32::from(size) * 8)) - 1,
        _ => u64::MAX,
    }
}

/// A device on I/O ports.
pub trait PortDevice {
    /// Reads `size` bytes at `offset` from the device's first port.
    fn read(&mut self, offset: u16, size: u8) -> u64;
    /// Writes.
    fn write(&mut self, offset: u16, size: u8, value: u64);
}

struct Entry {
    first: u16,
    count: u16,
    device: Box<dyn PortDevice>,
}

/// The devices of one partition.
#[derive(Default)]
pub struct PortDevices(Vec<Entry>);

impl PortDevices {
    /// Adds a device on `count` ports from `first`. Returns it where a port is taken already.
    ///
    /// # Errors
    /// The device, unchanged.
    pub fn add(
        &mut self,
        first: u16,
        count: u16,
        device: Box<dyn PortDevice>,
    ) -> Result<(), Box<dyn PortDevice>> {
        let end = u32::from(first) + u32::from(count);
        let overlap = |entry: &Entry| {
            u32::from(entry.first) < end
                && u32::from(first) < u32::from(entry.first) + u32::from(entry.count)
        };
        if end > 0x1_0000 || self.0.iter().any(overlap) {
            return Err(device);
        }
        self.0.push(Entry {
            first,
            count,
            device,
        });
        Ok(())
    }

    /// Does an access; returns the value read, 0 for a write. Where no device answers, reads give all ones and writes
    /// go nowhere, as on a bus.
    pub fn access(&mut self, request: Request) -> u64 {
        let found = match request.place {
            Place::Memory(_) => None,
            Place::Port(port) => self.0.iter_mut().find_map(|entry| {
                let offset = port.checked_sub(entry.first)?;
                let inside = u32::from(offset) + u32::from(request.size) <= entry.count.into();
                inside.then_some((&mut entry.device, offset))
            }),
        };
        match (request.direction, found) {
            (Direction::Read, Some((device, offset))) => {
                device.read(offset, request.size) & mask(request.size)
            }
            (Direction::Read, None) => mask(request.size),
            (Direction::Write(value), Some((device, offset))) => {
                device.write(offset, request.size, value);
                0
            }
            (Direction::Write(_), None) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    fn slot() -> IoSlot {
        IoSlot {
            state: STATE_PENDING,
            space: Space::Port as u8,
            direction: DIRECTION_WRITE,
            size: 2,
            address: 0xb02,
            data: 0xffff_1234,
            reserved: 0,
            pad: [0; 5],
        }
    }

    #[test]
    fn slots_become_requests() {
        assert_eq!(
            Request::from_slot(&slot()),
            Some(Request {
                place: Place::Port(0xb02),
                size: 2,
                direction: Direction::Write(0x1234),
            })
        );
        let refused = |change: fn(&mut IoSlot)| {
            let mut slot = slot();
            change(&mut slot);
            assert_eq!(Request::from_slot(&slot), None);
        };
        refused(|slot| slot.state = 0);
        refused(|slot| slot.size = 3);
        refused(|slot| slot.space = 2);
        refused(|slot| slot.direction = 2);
        refused(|slot| slot.address = 0x1_0000);
    }

    #[test]
    fn devices_answer_on_their_ports_only() {
        let mut devices = PortDevices::default();
        assert!(devices.add(0xb00, 16, Box::new(Scratch::default())).is_ok());
        assert!(devices.add(0xb0f, 2, Box::new(Scratch::default())).is_err());
        assert!(
            devices
                .add(0xffff, 2, Box::new(Scratch::default()))
                .is_err()
        );
        let mut access = |port, size, direction| {
            devices.access(Request {
                place: Place::Port(port),
                size,
                direction,
            })
        };
        access(0xb04, 4, Direction::Write(0x0102_0304));
        assert_eq!(access(0xb05, 2, Direction::Read), 0x0203);
        assert_eq!(access(0xb0d, 4, Direction::Read), 0xffff_ffff);
        assert_eq!(access(0xb10, 1, Direction::Read), 0xff);
        let request = Request {
            place: Place::Memory(0xb04),
            size: 8,
            direction: Direction::Read,
        };
        assert_eq!(devices.access(request), u64::MAX);
    }
}
