//! Doorbells: writes of a guest that complete at once and only raise an event.
//!
//! The table of a partition is replaced as a whole; each vCPU reads its own reference without a lock.

use alloc::vec::Vec;

use bulkhead_abi::io::Space;

use crate::event_page::EventPort;
use crate::fault::ResourceError;

/// Most doorbells of a partition.
pub const MAX_DOORBELLS: usize = 512;

/// One doorbell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doorbell {
    /// Ports or memory.
    pub space: Space,
    /// The exact address of the write.
    pub address: u64,
    /// Its size in bytes; 0 for any.
    pub size: u8,
    /// The data that must be written, where only that value rings.
    pub data: Option<u64>,
    /// What to raise.
    pub port: EventPort,
}

/// The table cannot take the doorbell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DoorbellError {
    /// One for the same address, size and data is there.
    Exists,
    /// There is none to remove.
    Missing,
    /// The table, or the hypervisor's memory, is full.
    Resource(ResourceError),
}

/// The doorbells of a partition, in the order of space and address.
#[derive(Debug, Default)]
pub struct DoorbellTable {
    bells: Vec<Doorbell>,
}

impl DoorbellTable {
    /// The event that a write rings, if any.
    #[inline]
    pub fn ring(&self, space: Space, address: u64, size: u8, data: u64) -> Option<EventPort> {
        let key = (space as u8, address);
        let first = self
            .bells
            .partition_point(|bell| (bell.space as u8, bell.address) < key);
        self.bells
            .get(first..)?
            .iter()
            .take_while(|bell| (bell.space as u8, bell.address) == key)
            .find(|bell| {
                (bell.size == 0 || bell.size == size)
                    && bell.data.is_none_or(|wanted| wanted == data)
            })
            .map(|bell| bell.port)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bells.is_empty()
    }

    /// A table with one more.
    ///
    /// # Errors
    /// [`DoorbellError::Exists`], [`DoorbellError::Resource`]; this table is unchanged in any case.
    pub fn with(&self, bell: Doorbell) -> Result<Self, DoorbellError> {
        let same = |other: &Doorbell| {
            (other.space, other.address, other.size, other.data)
                == (bell.space, bell.address, bell.size, bell.data)
        };
        if self.bells.iter().any(same) {
            return Err(DoorbellError::Exists);
        }
        if self.bells.len() >= MAX_DOORBELLS {
            return Err(DoorbellError::Resource(ResourceError::TableFull(
                "doorbells",
            )));
        }
        let mut bells = Vec::new();
        bells
            .try_reserve_exact(self.bells.len() + 1)
            .map_err(|_| DoorbellError::Resource(ResourceError::HypervisorMemory))?;
        bells.extend_from_slice(&self.bells);
        let key = (bell.space as u8, bell.address);
        let at = bells.partition_point(|bell| (bell.space as u8, bell.address) <= key);
        bells.insert(at, bell);
        Ok(Self { bells })
    }

    /// A table without the one that equals `bell`, its port included.
    ///
    /// # Errors
    /// [`DoorbellError::Missing`], [`DoorbellError::Resource`]; this table is unchanged in any case.
    pub fn without(&self, bell: Doorbell) -> Result<Self, DoorbellError> {
        if !self.bells.contains(&bell) {
            return Err(DoorbellError::Missing);
        }
        let mut bells = Vec::new();
        bells
            .try_reserve_exact(self.bells.len())
            .map_err(|_| DoorbellError::Resource(ResourceError::HypervisorMemory))?;
        bells.extend(self.bells.iter().copied().filter(|other| *other != bell));
        Ok(Self { bells })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bell(address: u64, size: u8, data: Option<u64>, port: u64) -> Doorbell {
        let port = EventPort::new(port).unwrap();
        Doorbell {
            space: Space::Memory,
            address,
            size,
            data,
            port,
        }
    }

    #[test]
    fn a_write_rings_the_bell_that_matches_whole() {
        let table = DoorbellTable::default()
            .with(bell(0x2000, 2, Some(1), 101))
            .and_then(|table| table.with(bell(0x1000, 0, None, 100)))
            .and_then(|table| table.with(bell(0x2000, 2, Some(0), 102)))
            .unwrap();
        let ring = |address, size, data| table.ring(Space::Memory, address, size, data);
        assert_eq!(ring(0x1000, 8, 77), EventPort::new(100));
        assert_eq!(ring(0x2000, 2, 0), EventPort::new(102));
        assert_eq!(ring(0x2000, 2, 1), EventPort::new(101));
        assert_eq!(ring(0x2000, 2, 2), None);
        assert_eq!(ring(0x2000, 4, 1), None);
        assert_eq!(ring(0x1fff, 2, 1), None);
        assert_eq!(table.ring(Space::Port, 0x1000, 2, 0), None);
    }

    #[test]
    fn adding_twice_and_removing_what_is_not_there_is_refused() {
        let table = DoorbellTable::default()
            .with(bell(0x1000, 4, None, 100))
            .unwrap();
        assert_eq!(
            table.with(bell(0x1000, 4, None, 101)).err(),
            Some(DoorbellError::Exists)
        );
        assert_eq!(
            table.without(bell(0x1000, 4, None, 101)).err(),
            Some(DoorbellError::Missing)
        );
        let empty = table.without(bell(0x1000, 4, None, 100)).unwrap();
        assert_eq!(empty.ring(Space::Memory, 0x1000, 4, 0), None);
    }
}
