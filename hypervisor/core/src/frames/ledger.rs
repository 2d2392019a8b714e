//! Owners of blocks, the sums the ledger shows, and what a wrong free is told.

use core::fmt;

use crate::addr::Hpa;
use crate::id::PartitionId;

/// Who holds memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The hypervisor itself: its tables and records.
    Hypervisor,
    /// A partition.
    Partition(PartitionId),
}

/// The record of a free block.
pub(super) const FREE: u16 = u16::MAX;
/// The record of a block of the hypervisor.
const HYPERVISOR: u16 = u16::MAX - 1;

impl Owner {
    /// The owner as a block record; `None` for partition numbers that the record cannot tell apart.
    pub(super) const fn record(self) -> Option<u16> {
        match self {
            Owner::Hypervisor => Some(HYPERVISOR),
            Owner::Partition(PartitionId(id)) if id < HYPERVISOR => Some(id),
            Owner::Partition(_) => None,
        }
    }

    /// The owner in a block record; `None` for a free block.
    pub(super) const fn from_record(record: u16) -> Option<Self> {
        match record {
            FREE => None,
            HYPERVISOR => Some(Owner::Hypervisor),
            id => Some(Owner::Partition(PartitionId(id))),
        }
    }
}

/// The memory of one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NodeLedger {
    /// All bytes under management.
    pub total_bytes: u64,
    /// Bytes that nobody owns.
    pub free_bytes: u64,
}

/// A free that must be a bug of the caller. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FreeError {
    /// The range is empty or not on block (frame) borders.
    Unaligned(Hpa),
    /// This address was never under management.
    NotManaged(Hpa),
    /// This address is free already.
    AlreadyFree(Hpa),
    /// This address belongs to someone else.
    WrongOwner(Hpa, Owner),
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bug: ")?;
        match self {
            FreeError::Unaligned(at) => write!(f, "memory at {at} was freed off its border"),
            FreeError::NotManaged(at) => {
                write!(f, "memory at {at} was freed, but never handed out")
            }
            FreeError::AlreadyFree(at) => write!(f, "memory at {at} was freed twice"),
            FreeError::WrongOwner(at, Owner::Hypervisor) => {
                write!(f, "memory at {at} was freed, but is the hypervisor's")
            }
            FreeError::WrongOwner(at, Owner::Partition(id)) => {
                write!(f, "memory at {at} was freed, but is partition {id}'s")
            }
        }
    }
}
