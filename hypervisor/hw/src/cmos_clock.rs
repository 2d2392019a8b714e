//! The machine's real-time clock, read once at bring-up (MC146818A data sheet).
//!
//! The hypervisor only reads it, and takes it to show UTC. From then on the time is counted by the TSC.

use core::fmt;

use bulkhead_core::rtc;

use crate::port::Port;

/// Registers of the clock.
pub trait ClockRegisters {
    /// Reads the register, or byte of CMOS memory, at this index below 128.
    fn read(&mut self, index: u8) -> u8;
}

/// The registers behind the PC's ports.
#[derive(Debug)]
pub struct MachineClock {
    index: Port<u8>,
    data: Port<u8>,
}

impl MachineClock {
    /// The clock at its usual ports.
    ///
    /// # Safety
    /// Nobody else may use the ports meanwhile.
    pub const unsafe fn new() -> Self {
        let [index, data] = rtc::PORTS;
        // SAFETY: the clock has no DMA; the caller promises that nobody else uses it.
        let (index, data) = unsafe { (Port::new(index), Port::new(data)) };
        Self { index, data }
    }
}

impl ClockRegisters for MachineClock {
    fn read(&mut self, index: u8) -> u8 {
        // The top bit, which would hold NMIs back, stays clear.
        self.index.write(index & 0x7f);
        self.data.read()
    }
}

/// Why the clock tells no time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockError {
    /// It is always about to update, or never shows the same time twice.
    Restless,
    /// Its battery failed: what it shows is not the time.
    PowerLost,
    /// It shows something that is no date.
    NoDate,
}

impl fmt::Display for ClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClockError::Restless => "it never stands still long enough to be read",
            ClockError::PowerLost => "it has lost its power",
            ClockError::NoDate => "what it shows is no date",
        })
    }
}

const A: u8 = 10;
const A_UPDATING: u8 = 1 << 7;
const B: u8 = 11;
const B_BINARY: u8 = 1 << 2;
const D: u8 = 13;
const D_VALID: u8 = 1 << 7;
/// Where [`rtc::time_in`] expects the century.
const CENTURY: u8 = 0x32;
/// Seconds, minutes, hours, day, month, year.
const TIME: [u8; 6] = [0, 2, 4, 7, 8, 9];
/// Reads of register A before the clock counts as stuck: an update takes 2 ms, a read about 1 us.
const PATIENCE: u32 = 100_000;
/// Attempts to read the same time twice.
const ATTEMPTS: u32 = 16;

/// The time that the clock shows, in seconds since 1970. `century` is the register that the firmware names; without one, or with
/// none that makes sense, it is this century.
///
/// # Errors
/// [`ClockError`].
pub fn read(clock: &mut impl ClockRegisters, century: Option<u8>) -> Result<i64, ClockError> {
    if clock.read(D) & D_VALID == 0 {
        return Err(ClockError::PowerLost);
    }
    for _ in 0..ATTEMPTS {
        let first = snapshot(clock, century)?;
        // An interrupt of the firmware may have come between two registers.
        if first == snapshot(clock, century)? {
            return rtc::time_in(&first).ok_or(ClockError::NoDate);
        }
    }
    Err(ClockError::Restless)
}

/// The registers of the time, between two updates.
fn snapshot(clock: &mut impl ClockRegisters, century: Option<u8>) -> Result<[u8; 128], ClockError> {
    // Once the flag is clear, the next update is at least 244 us away.
    if (0..PATIENCE).all(|_| clock.read(A) & A_UPDATING != 0) {
        return Err(ClockError::Restless);
    }
    let mut memory = [0; 128];
    let mut put = |index: u8, value| {
        if let Some(slot) = memory.get_mut(usize::from(index)) {
            *slot = value;
        }
    };
    for index in TIME {
        put(index, clock.read(index));
    }
    let format = clock.read(B);
    put(B, format);
    let named = century.map(|index| clock.read(index));
    let this = if format & B_BINARY != 0 { 20 } else { 0x20 };
    put(
        CENTURY,
        named
            .filter(|value| is_century(*value, format))
            .unwrap_or(this),
    );
    Ok(memory)
}

/// Whether this can be the first half of a year in which somebody reads the clock.
const fn is_century(value: u8, format: u8) -> bool {
    if format & B_BINARY != 0 {
        value >= 19 && value <= 99
    } else {
        value >= 0x19 && value <= 0x99 && value & 15 <= 9
    }
}

#[cfg(test)]
mod tests;
