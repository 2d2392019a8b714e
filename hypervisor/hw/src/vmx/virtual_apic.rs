//! The virtual-APIC page: the registers of a local APIC that the CPU reads and changes by itself (SDM 3C 29.1).

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use bulkhead_core::addr::Hpa;
use bulkhead_core::fault::ResourceError;
use bulkhead_core::id::Vector;
use bulkhead_core::interrupt_delivery::HeldInterrupts;
use bulkhead_core::local_apic::VectorBits;

use crate::virtualization::pages::{Zeroed, physical_of, zeroed_box};

/// Offsets: task priority, the first register in service, level-triggered, requested, the self-IPI.
const TASK_PRIORITY: usize = 0x80;
const IN_SERVICE: usize = 0x100;
const LEVEL: usize = 0x180;
const REQUESTED: usize = 0x200;
pub const SELF_IPI: u64 = 0x3f0;

/// Registers are four bytes in each 16. Atomic, as the CPU writes here while a guest runs.
#[repr(C, align(4096))]
struct Registers([AtomicU32; 1024]);

// SAFETY: integers may be zero.
unsafe impl Zeroed for Registers {}

/// The page of one vCPU.
pub struct VirtualApic(Box<Registers>);

impl VirtualApic {
    /// A page of zeros.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn new() -> Result<Self, ResourceError> {
        Ok(Self(zeroed_box()?))
    }

    /// Its machine address.
    pub fn address(&self) -> Hpa {
        physical_of(&*self.0)
    }

    #[inline(always)]
    fn register(&self, offset: usize) -> Option<&AtomicU32> {
        self.0.0.get(offset / 4)
    }

    #[inline(always)]
    fn read(&self, offset: usize) -> u32 {
        // Relaxed, here and below: only the CPU that owns the vCPU reads and writes the page.
        self.register(offset)
            .map_or(0, |register| register.load(Relaxed))
    }

    #[inline(always)]
    fn write(&self, offset: usize, value: u32) {
        if let Some(register) = self.register(offset) {
            register.store(value, Relaxed);
        }
    }

    /// The task priority register.
    #[inline]
    pub fn task_priority(&self) -> u8 {
        self.read(TASK_PRIORITY) as u8
    }

    /// Sets it.
    #[inline]
    pub fn set_task_priority(&self, value: u8) {
        self.write(TASK_PRIORITY, u32::from(value));
    }

    /// The vector that the guest has last sent itself, where the CPU did not take it.
    pub fn self_ipi(&self) -> Vector {
        Vector(self.read(SELF_IPI as usize) as u8)
    }

    /// Puts in what was lent; the highest vectors requested and in service.
    pub fn hold(&self, held: &HeldInterrupts) -> (u8, u8) {
        self.set_task_priority(held.task_priority);
        self.set_vectors(REQUESTED, &held.requested);
        self.set_vectors(IN_SERVICE, &held.in_service);
        (held.requested.highest(), held.in_service.highest())
    }

    /// What it holds.
    pub fn held(&self) -> HeldInterrupts {
        HeldInterrupts {
            requested: self.vectors(REQUESTED),
            in_service: self.vectors(IN_SERVICE),
            task_priority: self.task_priority(),
        }
    }

    /// Adds requested vectors.
    pub fn request(&self, vectors: &VectorBits) {
        let mut offset = REQUESTED;
        for word in vectors.0 {
            // Most often there is one vector.
            if word != 0 {
                self.write(offset, self.read(offset) | word as u32);
                self.write(offset + 16, self.read(offset + 16) | (word >> 32) as u32);
            }
            offset += 32;
        }
    }

    /// Sets which vectors are level-triggered.
    pub fn set_level(&self, vectors: &VectorBits) {
        self.set_vectors(LEVEL, vectors);
    }

    fn set_vectors(&self, first: usize, vectors: &VectorBits) {
        for (index, word) in words(vectors) {
            self.write(first + index * 16, word);
        }
    }

    fn vectors(&self, first: usize) -> VectorBits {
        let word = |index| u64::from(self.read(first + index * 16));
        VectorBits(core::array::from_fn(|pair| {
            word(pair * 2) | word(pair * 2 + 1) << 32
        }))
    }
}

/// The registers of a set of vectors, by number.
fn words(vectors: &VectorBits) -> impl Iterator<Item = (usize, u32)> {
    (0_u8..8).map(|index| (usize::from(index), vectors.register(index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(vectors: &[u8]) -> VectorBits {
        vectors.iter().copied().map(Vector).collect()
    }

    #[test]
    fn what_is_put_in_comes_out_and_lies_where_the_manual_says() {
        let page = VirtualApic::new().unwrap();
        let held = HeldInterrupts {
            requested: set(&[0x10, 0x3f, 0x40, 0xff]),
            in_service: set(&[0x31, 0xe0]),
            task_priority: 0x57,
        };
        assert_eq!(page.hold(&held), (0xff, 0xe0));
        assert_eq!(page.held(), held);
        assert_eq!(page.read(0x80), 0x57);
        assert_eq!(page.read(0x200), 1 << 16);
        assert_eq!(page.read(0x210), 1 << 31);
        assert_eq!(page.read(0x220), 1);
        assert_eq!(page.read(0x270), 1 << 31);
        assert_eq!(page.read(0x110), 1 << 17);
        page.request(&set(&[0x11, 0x80]));
        assert_eq!(
            page.held().requested,
            set(&[0x10, 0x11, 0x3f, 0x40, 0x80, 0xff])
        );
        page.set_level(&set(&[0x21]));
        assert_eq!(page.read(0x190), 2);
        assert_eq!(page.held().in_service, held.in_service);
    }
}
