//! I/O requests: port and MMIO accesses of a guest that the management partition answers.
//!
//! Each partition has one I/O page with a slot for each of its vCPUs. The hypervisor fills the slot, then sets its
//! state to [`STATE_PENDING`] (release) and raises the slot's event port; the vCPU sleeps. The management
//! partition does the access, stores the value of a read in `data` and calls
//! [`crate::hypercall::Number::IoComplete`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The slot is not in use.
pub const STATE_FREE: u32 = 0;
/// The request waits for an answer.
pub const STATE_PENDING: u32 = 1;

/// The address space of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Space {
    /// I/O ports.
    Port = 0,
    /// Guest-physical memory.
    Memory = 1,
}

/// The request is a read.
pub const DIRECTION_READ: u8 = 0;
/// The request is a write.
pub const DIRECTION_WRITE: u8 = 1;

/// One vCPU's request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct IoSlot {
    /// [`STATE_FREE`] or [`STATE_PENDING`]; written last by the hypervisor.
    pub state: u32,
    /// [`Space`].
    pub space: u8,
    /// [`DIRECTION_READ`] or [`DIRECTION_WRITE`].
    pub direction: u8,
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Zero.
    pub reserved: u8,
    /// Port or GPA.
    pub address: u64,
    /// The value written, or where to put the value read; the low `size` bytes count.
    pub data: u64,
    /// Zero.
    pub pad: [u64; 5],
}

/// Slots in the page.
pub const SLOTS: usize = 4096 / size_of::<IoSlot>();

const _: () = assert!(size_of::<IoSlot>() == 64);
