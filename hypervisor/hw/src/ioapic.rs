//! Physical I/O APICs (82093AA data sheet): everything masked until a device is assigned.

use bulkhead_core::addr::Hva;
use bulkhead_core::id::{ApicId, Gsi, Vector};

use crate::mmio::Mmio;

const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;
/// Bytes of the register block that are used.
const BLOCK_BYTES: usize = 0x20;

const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

/// How an input signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// Rising edge: ISA.
    Edge,
    /// Active-low level: PCI.
    Level,
}

/// An I/O APIC.
#[derive(Debug)]
pub struct IoApic {
    registers: Mmio<u32>,
    first: Gsi,
    inputs: u32,
}

impl IoApic {
    /// The I/O APIC whose registers are mapped at `base`, with all inputs masked.
    ///
    /// # Safety
    /// The registers must be mapped there, uncached, for good, and have no other user.
    pub unsafe fn new(base: Hva, first: Gsi) -> Self {
        let mut io_apic = IoApic {
            // SAFETY: passed on from the caller.
            registers: unsafe { Mmio::new(base, BLOCK_BYTES) },
            first,
            inputs: 0,
        };
        io_apic.inputs = (io_apic.read(VERSION) >> 16 & 0xff) + 1;
        for input in 0..io_apic.inputs {
            io_apic.write(REDIRECTION + 2 * input, MASKED);
        }
        io_apic
    }

    /// The inputs, by their global numbers.
    pub fn inputs(&self) -> core::ops::Range<u32> {
        self.first.0..self.first.0.saturating_add(self.inputs)
    }

    /// Sends the input to `target` as `vector`; false where it is not one of this I/O APIC's.
    pub fn route(&mut self, gsi: Gsi, vector: Vector, target: ApicId, trigger: Trigger) -> bool {
        let Some(register) = self.register(gsi) else {
            return false;
        };
        let mode = match trigger {
            Trigger::Edge => 0,
            Trigger::Level => LEVEL | ACTIVE_LOW,
        };
        self.write(register, MASKED);
        self.write(register + 1, target.0 << 24);
        self.write(register, mode | u32::from(vector.0));
        true
    }

    /// Masks the input; false where it is not one of this I/O APIC's.
    pub fn mask(&mut self, gsi: Gsi) -> bool {
        let Some(register) = self.register(gsi) else {
            return false;
        };
        let low = self.read(register);
        self.write(register, low | MASKED);
        true
    }

    fn register(&self, gsi: Gsi) -> Option<u32> {
        let input = gsi.0.checked_sub(self.first.0)?;
        (input < self.inputs).then_some(REDIRECTION + 2 * input)
    }

    fn read(&mut self, register: u32) -> u32 {
        self.registers.write(SELECT, register);
        self.registers.read(WINDOW).unwrap_or(0)
    }

    fn write(&mut self, register: u32, value: u32) {
        self.registers.write(SELECT, register);
        self.registers.write(WINDOW, value);
    }
}
