//! The virtual I/O APIC: lines in, interrupt messages out (82093AA data sheet; version 0x20 of the ICH manuals).
//!
//! A partition has one, behind its lock; devices set lines, the exit loop forwards register accesses and the EOI
//! broadcasts of local APICs. Every change answers the messages to deliver. Invariants: the remote IRR of an
//! entry is set only while a level-triggered message of it waits for its EOI; masked edges are lost, masked
//! levels are not.

#[cfg(test)]
mod tests;

use crate::id::Vector;
use crate::level::Level;
use crate::local_apic::{
    DeliveryMode, Destination, DestinationMode, ExtendedDestination, Message, StateError, Trigger,
};

/// Offset of the register-select register in the page.
const SELECT: u16 = 0x00;
/// Offset of the data window.
const WINDOW: u16 = 0x10;
/// Offset of the EOI register.
const EOI: u16 = 0x40;
/// The version with an EOI register.
const VERSION: u32 = 0x20;

const DELIVERY_STATUS: u64 = 1 << 12;
const REMOTE_IRR: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
/// The bits software can write: vector to polarity, trigger and mask, and the destination.
const WRITABLE: u64 = 0xfffe_0000_0001_afff;

/// The state of an I/O APIC with `PINS` inputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApicState<const PINS: usize> {
    /// The register-select register.
    pub select: u8,
    /// The id, 4 bits.
    pub id: u8,
    /// The redirection table.
    pub entries: [u64; PINS],
    /// The inputs that are high, by bit.
    pub lines: u64,
}

/// An I/O APIC with `PINS` inputs, at most 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApic<const PINS: usize = 24> {
    state: IoApicState<PINS>,
    extended: ExtendedDestination,
}

impl<const PINS: usize> IoApic<PINS> {
    /// The I/O APIC after reset: all pins masked. `extended` lets entries name APIC ids above 255.
    pub const fn new(extended: ExtendedDestination) -> Self {
        const { assert!(PINS > 0 && PINS <= 64) };
        Self {
            state: IoApicState {
                select: 0,
                id: 0,
                entries: [MASKED; PINS],
                lines: 0,
            },
            extended,
        }
    }

    /// After reset again; the lines stay as their devices drive them.
    pub fn reset(&mut self) {
        let lines = self.state.lines;
        *self = Self::new(self.extended);
        self.state.lines = lines;
    }

    /// The number of pins.
    pub const fn pins(&self) -> usize {
        PINS
    }

    /// Reads the register page at `offset`.
    pub fn read(&self, offset: u16) -> u32 {
        match offset {
            SELECT => u32::from(self.state.select),
            WINDOW => self.register(self.state.select),
            _ => 0,
        }
    }

    /// Writes the register page at `offset`. `deliver` is called for every message that follows.
    pub fn write(&mut self, offset: u16, value: u32, deliver: impl FnMut(Message)) {
        match offset {
            SELECT => self.state.select = value as u8,
            WINDOW => self.set_register(self.state.select, value, deliver),
            EOI => self.end(Vector(value as u8), deliver),
            _ => {}
        }
    }

    /// A device drives a pin; pins that do not exist are ignored.
    pub fn set_line(&mut self, pin: usize, level: Level, deliver: impl FnMut(Message)) {
        if pin >= PINS {
            return;
        }
        let bit = 1u64 << pin;
        let was_high = self.state.lines & bit != 0;
        match level {
            Level::Low => self.state.lines &= !bit,
            Level::High => self.state.lines |= bit,
        }
        if level.is_high() {
            self.service(pin, Level::high_if(!was_high), deliver);
        }
    }

    /// A level-triggered vector was ended at a local APIC: its entries may fire again.
    pub fn end(&mut self, vector: Vector, mut deliver: impl FnMut(Message)) {
        for pin in 0..PINS {
            let Some(entry) = self.state.entries.get_mut(pin) else {
                return;
            };
            if *entry & REMOTE_IRR != 0 && *entry as u8 == vector.0 {
                *entry &= !REMOTE_IRR;
                self.service(pin, Level::Low, &mut deliver);
            }
        }
    }

    /// The state for a later [`IoApic::restore`].
    pub const fn save(&self) -> IoApicState<PINS> {
        self.state
    }

    /// Takes over a saved state.
    ///
    /// # Errors
    /// Where no I/O APIC can be in that state; this one is unchanged then.
    pub fn restore(&mut self, state: &IoApicState<PINS>) -> Result<(), StateError> {
        let beyond = u64::MAX.checked_shl(PINS as u32).unwrap_or(0);
        if state.lines & beyond != 0 || state.id > 15 {
            return Err(StateError::Impossible("the I/O APIC's lines or id"));
        }
        for entry in state.entries {
            let edge_waits = entry & (LEVEL | REMOTE_IRR) == REMOTE_IRR;
            if entry & !(WRITABLE | REMOTE_IRR) != 0 || edge_waits {
                return Err(StateError::Impossible("a redirection entry"));
            }
        }
        self.state = *state;
        Ok(())
    }

    fn register(&self, number: u8) -> u32 {
        match number {
            // The arbitration id follows the id.
            0 | 2 => u32::from(self.state.id) << 24,
            1 => VERSION | (PINS.wrapping_sub(1) as u32) << 16,
            _ => {
                let index = usize::from(number.wrapping_sub(0x10));
                let entry = self.state.entries.get(index >> 1).copied().unwrap_or(0);
                if number < 0x10 {
                    0
                } else if index & 1 == 0 {
                    entry as u32
                } else {
                    (entry >> 32) as u32
                }
            }
        }
    }

    fn set_register(&mut self, number: u8, value: u32, deliver: impl FnMut(Message)) {
        if number == 0 {
            self.state.id = (value >> 24) as u8 & 15;
        }
        if number < 0x10 {
            return;
        }
        let index = usize::from(number.wrapping_sub(0x10));
        let pin = index >> 1;
        let Some(entry) = self.state.entries.get_mut(pin) else {
            return;
        };
        let merged = if index & 1 == 0 {
            *entry & !0xffff_ffff | u64::from(value)
        } else {
            *entry & 0xffff_ffff | u64::from(value) << 32
        };
        let mut next = merged & WRITABLE & !DELIVERY_STATUS | *entry & REMOTE_IRR;
        // Operating systems end a stuck interrupt by switching its entry to edge and back.
        if next & LEVEL == 0 {
            next &= !REMOTE_IRR;
        }
        *entry = next;
        self.service(pin, Level::Low, deliver);
    }

    /// Sends the pin's message where it is due; `edge` is high on a rising edge.
    fn service(&mut self, pin: usize, edge: Level, mut deliver: impl FnMut(Message)) {
        let high = self.state.lines >> (pin & 63) & 1 != 0;
        let Some(entry) = self.state.entries.get_mut(pin) else {
            return;
        };
        if *entry & MASKED != 0 || !high {
            return;
        }
        // NMI, INIT and ExtINT are edges whatever the entry says (82093AA 3.2.4).
        let delivery = DeliveryMode::from_code((*entry >> 8) as u32);
        let vectored = matches!(
            delivery,
            Some(DeliveryMode::Fixed | DeliveryMode::LowestPriority)
        );
        let trigger = if *entry & LEVEL != 0 && vectored {
            Trigger::Level
        } else {
            Trigger::Edge
        };
        let due = match trigger {
            Trigger::Edge => edge.is_high(),
            Trigger::Level => *entry & REMOTE_IRR == 0,
        };
        let Some(delivery) = delivery.filter(|mode| due && *mode != DeliveryMode::Startup) else {
            return;
        };
        if trigger == Trigger::Level {
            *entry |= REMOTE_IRR;
        }
        deliver(Message {
            destination: destination(*entry, self.extended),
            delivery,
            vector: Vector(*entry as u8),
            trigger,
        });
    }
}

/// The destination of an entry: bits 56 to 63, and 49 to 55 above them where they are enabled.
const fn destination(entry: u64, extended: ExtendedDestination) -> Destination {
    let mode = if entry & 1 << 11 != 0 {
        DestinationMode::Logical
    } else {
        DestinationMode::Physical
    };
    let low = (entry >> 56) as u8;
    let high = match extended {
        ExtendedDestination::Off => 0,
        ExtendedDestination::On => (entry >> 49 & 0x7f) as u32,
    };
    if high == 0 {
        Destination::narrow(low, mode)
    } else {
        Destination::wide(high << 8 | low as u32, mode)
    }
}
