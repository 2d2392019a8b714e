//! [`Card`]: frames in, frames out.

use alloc::vec;
use alloc::vec::Vec;

use mgmt_platform::{Platform, Registers};

use crate::registers::{
    ADDRESS_HIGH, ADDRESS_LOW, ADDRESS_VALID, CAUSE_SENT, CAUSES_RECEIVED, CTRL, CTRL_AUTO_SPEED,
    CTRL_RESET, CTRL_SET_LINK_UP, DONE, EERD, EERD_START, END_OF_FRAME, ICR, IMC, IMS, ITR, LENGTH,
    MULTICAST, MULTICAST_WORDS, RCTL, RCTL_BROADCAST, RCTL_ENABLE, RCTL_STRIP_CRC, RECEIVE_QUEUE,
    SEND, TCTL, TCTL_COLLISIONS, TCTL_ENABLE, TCTL_PAD, TIPG, TIPG_COPPER, TRANSMIT_QUEUE,
};
use crate::ring::{ENTRIES, Ring};
use crate::{E1000Error, Model};

/// Longest Ethernet frame in bytes, without checksum.
pub const MAX_FRAME: usize = 1514;
/// Reads of a register before the card counts as hanging; each is a bus access of about a microsecond.
const PATIENCE: u32 = 100_000;
/// The same until the address counts as one that the card does not take from its EEPROM by itself; it takes a millisecond.
const LOADING: u32 = 10_000;
/// At most 20,000 interrupts a second.
const THROTTLE: u32 = 195;

/// How the caller learns that there is something to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// By the card's interrupts: after each, [`Card::receive`] and [`Card::can_transmit`] are called until they have nothing.
    Interrupts,
    /// Not at all: it looks from time to time, and the card raises no interrupts.
    None,
}

/// A card at work.
pub struct Card<P: Platform> {
    registers: P::Registers,
    notice: Notice,
    receive: Ring<P>,
    /// The descriptor that the card fills next.
    filled: u16,
    /// The frame under way is too long for one buffer, and is dropped up to its end.
    dropping: bool,
    transmit: Ring<P>,
    /// The descriptor that is sent next, and how many before it the card still has.
    next: u16,
    under_way: u16,
    mac: [u8; 6],
}

impl<P: Platform> Card<P> {
    /// Resets the card behind `registers`, its first memory BAR, and starts it.
    ///
    /// # Errors
    /// The card is not usable; it is left reset and does nothing.
    pub fn start(
        registers: P::Registers,
        model: Model,
        platform: &P,
        notice: Notice,
    ) -> Result<Self, E1000Error> {
        if registers.length() < LENGTH {
            return Err(E1000Error::FewRegisters);
        }
        reset(&registers)?;
        let mac = address(&registers, model)?;
        for word in 0..MULTICAST_WORDS {
            registers.write32(MULTICAST + word * 4, 0);
        }
        let receive = Ring::new(&registers, platform, RECEIVE_QUEUE)?;
        let transmit = Ring::new(&registers, platform, TRANSMIT_QUEUE)?;
        for index in 0..ENTRIES {
            receive.fill(index, 0, 0);
        }
        registers.write32(TIPG, TIPG_COPPER);
        registers.write32(TCTL, TCTL_ENABLE | TCTL_PAD | TCTL_COLLISIONS);
        registers.write32(RCTL, RCTL_ENABLE | RCTL_BROADCAST | RCTL_STRIP_CRC);
        // Head and tail at the same descriptor mean an empty ring, so that one is always the driver's.
        receive.give_until(&registers, ENTRIES - 1);
        if notice == Notice::Interrupts {
            registers.write32(ITR, THROTTLE);
            registers.write32(IMS, CAUSES_RECEIVED);
        }
        Ok(Card {
            registers,
            notice,
            receive,
            filled: 0,
            dropping: false,
            transmit,
            next: 0,
            under_way: 0,
            mac,
        })
    }

    /// The card's Ethernet address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// How the caller learns of frames.
    pub fn notice(&self) -> Notice {
        self.notice
    }

    /// The next frame. After `None` an interrupt comes when there is one.
    ///
    /// # Errors
    /// [`E1000Error::Gone`].
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>, E1000Error> {
        // A card that fills descriptors with rubbish as fast as we give them back must not keep us here.
        for _ in 0..ENTRIES {
            let mut status = self.receive.status(self.filled);
            if status & DONE == 0 {
                // The cause is cleared before the last look: what comes behind it raises a new interrupt.
                self.acknowledge()?;
                status = self.receive.status(self.filled);
                if status & DONE == 0 {
                    return Ok(None);
                }
            }
            let frame = self.take(status);
            if frame.is_some() {
                return Ok(frame);
            }
        }
        Ok(None)
    }

    /// The frame in the next descriptor, if it is a good one, and the descriptor back to the card.
    fn take(&mut self, status: u16) -> Option<Vec<u8>> {
        let [status_byte, errors] = status.to_le_bytes();
        let ends = u16::from(status_byte) & END_OF_FRAME != 0;
        let whole = ends && !self.dropping && errors == 0;
        self.dropping = !ends;
        let frame = whole.then(|| {
            let mut frame = vec![0; self.receive.length(self.filled)];
            self.receive.read(self.filled, &mut frame);
            frame
        });
        self.receive.fill(self.filled, 0, 0);
        self.receive.give_until(&self.registers, self.filled);
        self.filled = Ring::<P>::after(self.filled);
        frame
    }

    fn acknowledge(&self) -> Result<(), E1000Error> {
        match self.registers.read32(ICR) {
            u32::MAX => Err(E1000Error::Gone),
            _ => Ok(()),
        }
    }

    /// Whether [`Card::transmit`] has room. After `false` an interrupt comes when there is.
    pub fn can_transmit(&mut self) -> bool {
        self.reclaim();
        if self.has_room() {
            return true;
        }
        if self.notice == Notice::Interrupts {
            // Wanted only now: else each frame sent would be an interrupt.
            self.registers.write32(IMS, CAUSE_SENT);
            self.reclaim();
        }
        self.has_room()
    }

    fn has_room(&self) -> bool {
        self.under_way < ENTRIES - 1
    }

    fn reclaim(&mut self) {
        let before = self.under_way;
        while self.under_way > 0 {
            let oldest = (self.next + ENTRIES - self.under_way) % ENTRIES;
            if self.transmit.status(oldest) & DONE == 0 {
                break;
            }
            self.under_way -= 1;
        }
        if self.notice == Notice::Interrupts && before == ENTRIES - 1 && self.has_room() {
            self.registers.write32(IMC, CAUSE_SENT);
        }
    }

    /// Sends a frame of at most [`MAX_FRAME`] bytes.
    ///
    /// # Errors
    /// [`E1000Error::Full`] without room, [`E1000Error::TooLong`].
    pub fn transmit(&mut self, frame: &[u8]) -> Result<(), E1000Error> {
        let bytes = u16::try_from(frame.len())
            .ok()
            .filter(|bytes| usize::from(*bytes) <= MAX_FRAME)
            .ok_or(E1000Error::TooLong)?;
        if !self.has_room() {
            return Err(E1000Error::Full);
        }
        self.transmit.write(self.next, frame);
        self.transmit.fill(self.next, bytes, SEND);
        self.next = Ring::<P>::after(self.next);
        self.under_way += 1;
        self.transmit.give_until(&self.registers, self.next);
        Ok(())
    }
}

/// Stops the card and puts it back to its defaults (14.3).
fn reset<R: Registers>(registers: &R) -> Result<(), E1000Error> {
    registers.write32(IMC, u32::MAX);
    registers.write32(RCTL, 0);
    registers.write32(TCTL, TCTL_PAD);
    registers.write32(CTRL, registers.read32(CTRL) | CTRL_RESET);
    wait(registers, CTRL, PATIENCE, |value| value & CTRL_RESET == 0)
        .ok_or(E1000Error::ResetHangs)?;
    // The reset has set defaults, and a cause may be left from before.
    registers.write32(IMC, u32::MAX);
    registers.read32(ICR);
    let control = registers.read32(CTRL);
    registers.write32(CTRL, control | CTRL_AUTO_SPEED | CTRL_SET_LINK_UP);
    Ok(())
}

/// The address that the card has taken from its EEPROM after the reset; a card that does not do that, as Bochs' does not,
/// is given it.
fn address<R: Registers>(registers: &R, model: Model) -> Result<[u8; 6], E1000Error> {
    let is_valid = |value| value & ADDRESS_VALID != 0;
    if wait(registers, ADDRESS_HIGH, LOADING, is_valid).is_none() {
        let [a, b, c] = [0, 1, 2].map(|word| eeprom(registers, model, word));
        let low = u32::from(a?) | u32::from(b?) << 16;
        registers.write32(ADDRESS_LOW, low);
        registers.write32(ADDRESS_HIGH, u32::from(c?) | ADDRESS_VALID);
    }
    let [a, b, c, d] = registers.read32(ADDRESS_LOW).to_le_bytes();
    let [e, f, ..] = registers.read32(ADDRESS_HIGH).to_le_bytes();
    let mac = [a, b, c, d, e, f];
    // An empty EEPROM, and a group's address.
    match mac == [0; 6] || a & 1 != 0 {
        true => Err(E1000Error::NoAddress),
        false => Ok(mac),
    }
}

/// A word of the EEPROM (5.3.1).
fn eeprom<R: Registers>(registers: &R, model: Model, word: u32) -> Result<u16, E1000Error> {
    let fields = model.eeprom();
    registers.write32(EERD, word << fields.address | EERD_START);
    let value = wait(registers, EERD, PATIENCE, |value| value & fields.done != 0);
    value
        .map(|value| (value >> 16) as u16)
        .ok_or(E1000Error::NoAddress)
}

/// Reads a register until it is as `wanted`, so many times; all ones are a card that has gone.
fn wait<R: Registers>(
    registers: &R,
    register: usize,
    reads: u32,
    wanted: impl Fn(u32) -> bool,
) -> Option<u32> {
    (0..reads)
        .map(|_| registers.read32(register))
        .find(|value| *value != u32::MAX && wanted(*value))
}

#[cfg(test)]
mod tests;
