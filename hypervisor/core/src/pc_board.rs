//! The interrupt controllers and timers of a PC, wired to each other.
//!
//! The platform devices keep one board for each partition, behind the partition's lock, and turn its signals into
//! posts to vCPUs. Interrupt line n reaches pin n of the 8259A pair and of the I/O APIC, except that
//! the 8254's line 0 is pin 2 of the I/O APIC (tell guests by an interrupt source override in the MADT). After every
//! call that takes `now` the caller asks [`PcBoard::deadline`] again.

#[cfg(test)]
mod tests;

use crate::id::{Gsi, Vector};
use crate::ioapic::{IoApic, IoApicState};
use crate::level::Level;
use crate::local_apic::{ExtendedDestination, Message, StateError};
use crate::pic::{self, Pic, PicState};
use crate::pit::{self, Fired, Pit, PitState};
use crate::pm_timer::{CounterWidth, PmTimer};
use crate::rtc::{self, Rtc, RtcState};
use crate::time::{Hertz, Instant};
use crate::uart::{Register, Uart, UartState, Wire};

/// Pins of the I/O APIC.
pub const PINS: usize = 24;
/// The 8254's pin of the I/O APIC; line 0 of the 8259A.
pub const TIMER_GSI: Gsi = Gsi(2);
/// The real-time clock's interrupt line.
const CLOCK_LINE: u8 = 8;
/// COM1's interrupt line.
const SERIAL_LINE: u8 = 4;
/// Lines of the 8259A pair.
const LEGACY_LINES: u32 = 16;
/// The highest port that the board has besides the ACPI timer's: the second of the edge-level registers.
const LAST_LEGACY_PORT: u16 = 0x4d1;

/// What the board tells processors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// The I/O APIC sends a message.
    Message(Message),
    /// The 8259A's output has risen: LINT0 of the processors is asserted.
    ExtInt,
}

/// What a board is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BoardConfig {
    /// Rate of the host's TSC.
    pub tsc: Hertz,
    /// The time that the clock shows first, in seconds since 1970 (UTC).
    pub seconds: i64,
    /// Whether I/O APIC entries can name APIC ids above 255.
    pub extended: ExtendedDestination,
    /// The port of the ACPI timer, as the FADT says.
    pub pm_timer_port: u16,
}

/// The state of a board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BoardState {
    /// The 8259A pair.
    pub pic: PicState,
    /// The I/O APIC.
    pub ioapic: IoApicState<PINS>,
    /// The 8254.
    pub pit: PitState,
    /// The real-time clock.
    pub rtc: RtcState,
    /// COM1.
    pub serial: UartState,
    /// The ACPI timer's count.
    pub pm_timer: u32,
}

/// The board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PcBoard {
    pic: Pic,
    ioapic: IoApic<PINS>,
    pit: Pit,
    rtc: Rtc,
    serial: Uart,
    pm_timer: PmTimer,
    pm_timer_port: u16,
}

impl PcBoard {
    /// The board after power-up.
    pub fn new(config: &BoardConfig, now: Instant) -> Self {
        Self {
            pic: Pic::new(),
            ioapic: IoApic::new(config.extended),
            pit: Pit::new(config.tsc, now),
            rtc: Rtc::new(config.seconds, config.tsc, now),
            serial: Uart::new(config.tsc),
            pm_timer: PmTimer::new(config.tsc, CounterWidth::Bits32, now),
            pm_timer_port: config.pm_timer_port,
        }
    }

    /// A reset of the machine: the clock goes on, and devices keep driving their lines.
    pub fn reset(&mut self, now: Instant) {
        self.pic.reset();
        self.ioapic.reset();
        self.pit.reset(now);
        self.rtc.reset(now);
        self.serial.reset();
    }

    /// Reads `size` bytes (1, 2 or 4) of ports; `None` where the first is no port of the board.
    pub fn read_port(
        &mut self,
        port: u16,
        size: u8,
        now: Instant,
        mut signal: impl FnMut(Signal),
    ) -> Option<u32> {
        if let Some(shift) = self.pm_timer_shift(port) {
            return Some(self.pm_timer.read(now) >> shift);
        }
        let mut value = None;
        for offset in 0..u16::from(size.min(4)) {
            let byte = self.read_byte(port.wrapping_add(offset), now, &mut signal);
            let shifted = u32::from(byte.unwrap_or(0xff)).wrapping_shl(u32::from(offset) * 8);
            value = match (value, byte) {
                (None, None) => return None,
                (so_far, _) => Some(so_far.unwrap_or(0) | shifted),
            };
        }
        value
    }

    /// `false` for ports that are surely none of the board: most doorbells, and what other devices have.
    #[inline]
    pub fn may_have(&self, port: u16) -> bool {
        port <= LAST_LEGACY_PORT || self.pm_timer_shift(port).is_some()
    }

    /// Writes `size` bytes of ports; `None` where the first is no port of the board.
    pub fn write_port(
        &mut self,
        port: u16,
        size: u8,
        value: u32,
        now: Instant,
        mut signal: impl FnMut(Signal),
    ) -> Option<()> {
        if self.pm_timer_shift(port).is_some() {
            return Some(());
        }
        let bytes = value.to_le_bytes();
        for (offset, byte) in (0u16..4).zip(bytes).take(usize::from(size)) {
            let known = self.write_byte(port.wrapping_add(offset), byte, now, &mut signal);
            if offset == 0 {
                known?;
            }
        }
        Some(())
    }

    /// Reads a register of COM1, whose line is this wire.
    #[inline]
    pub fn read_serial(
        &mut self,
        register: Register,
        now: Instant,
        wire: &mut impl Wire,
        signal: impl FnMut(Signal),
    ) -> u8 {
        let before = self.serial.output();
        let value = self.serial.read(register, now, wire);
        self.note_serial(before, signal);
        value
    }

    /// Writes a register of COM1.
    #[inline]
    pub fn write_serial(
        &mut self,
        register: Register,
        value: u8,
        now: Instant,
        wire: &mut impl Wire,
        signal: impl FnMut(Signal),
    ) {
        let before = self.serial.output();
        self.serial.write(register, value, now, wire);
        self.note_serial(before, signal);
    }

    /// COM1's wire may take or give more bytes, or the port's time has come.
    pub fn service_serial(
        &mut self,
        now: Instant,
        wire: &mut impl Wire,
        signal: impl FnMut(Signal),
    ) {
        let before = self.serial.output();
        self.serial.service(now, wire);
        self.note_serial(before, signal);
    }

    /// When [`PcBoard::service_serial`] has something to do.
    #[inline]
    pub fn serial_deadline(&self) -> Instant {
        self.serial.deadline()
    }

    /// Reads the I/O APIC's page.
    pub fn read_ioapic(&self, offset: u16) -> u32 {
        self.ioapic.read(offset)
    }

    /// Writes the I/O APIC's page.
    pub fn write_ioapic(&mut self, offset: u16, value: u32, mut signal: impl FnMut(Signal)) {
        self.ioapic
            .write(offset, value, |message| signal(Signal::Message(message)));
    }

    /// A device drives a global system interrupt; `None` where there is no such pin.
    pub fn set_line(
        &mut self,
        gsi: Gsi,
        level: Level,
        mut signal: impl FnMut(Signal),
    ) -> Option<()> {
        let pin = usize::try_from(gsi.0).ok().filter(|&pin| pin < PINS)?;
        self.ioapic
            .set_line(pin, level, |message| signal(Signal::Message(message)));
        if gsi != TIMER_GSI && gsi.0 < LEGACY_LINES {
            self.set_legacy_line(gsi.0 as u8, level, &mut signal);
        }
        Some(())
    }

    /// A local APIC ended a level-triggered vector.
    pub fn end_of_interrupt(&mut self, vector: Vector, mut signal: impl FnMut(Signal)) {
        self.ioapic
            .end(vector, |message| signal(Signal::Message(message)));
    }

    /// The 8259A's output: while it is high, a processor that lets it pass takes [`PcBoard::acknowledge`].
    /// A processor that begins to let it pass must ask, as it is signalled when it rises only.
    pub const fn ext_int(&self) -> Level {
        self.pic.output()
    }

    /// The processor takes the 8259A's interrupt; `None` where its output is low by now. The output can be high
    /// afterwards, for another interrupt.
    pub fn acknowledge(&mut self) -> Option<Vector> {
        self.pic.output().is_high().then(|| self.pic.acknowledge())
    }

    /// When [`PcBoard::expire`] has something to do; COM1 has its own deadline.
    pub fn deadline(&self) -> Instant {
        self.pit.deadline().min(self.rtc.deadline())
    }

    /// Lets the timers fire that are due.
    pub fn expire(&mut self, now: Instant, mut signal: impl FnMut(Signal)) {
        if self.pit.expire(now) == Fired::Yes {
            // The output was low before it rose, for however short a time.
            for level in [Level::Low, Level::High] {
                self.ioapic
                    .set_line(TIMER_GSI.0 as usize, level, |message| {
                        signal(Signal::Message(message));
                    });
                self.set_legacy_line(0, level, &mut signal);
            }
        }
        if self.rtc.deadline() <= now {
            let level = self.rtc.expire(now);
            self.drive_clock_line(level, &mut signal);
        }
    }

    /// Sets the clock's time, as the operator's clock does.
    pub fn set_time(&mut self, seconds: i64, now: Instant) {
        self.rtc.set_time(seconds, now);
    }

    /// The state for a later [`PcBoard::restore`].
    pub fn save(&mut self, now: Instant) -> BoardState {
        BoardState {
            pic: self.pic.save(),
            ioapic: self.ioapic.save(),
            pit: self.pit.save(now),
            rtc: self.rtc.save(now),
            serial: self.serial.save(now),
            pm_timer: self.pm_timer.read(now),
        }
    }

    /// Takes over a saved state.
    ///
    /// # Errors
    /// Where no board can be in that state; this one is unchanged then.
    pub fn restore(&mut self, state: &BoardState, now: Instant) -> Result<(), StateError> {
        let mut restored = *self;
        restored.pic.restore(&state.pic)?;
        restored.ioapic.restore(&state.ioapic)?;
        restored.pit.restore(&state.pit, now)?;
        restored.rtc.restore(&state.rtc, now)?;
        restored.serial.restore(&state.serial, now)?;
        restored.pm_timer.restore(state.pm_timer, now);
        *self = restored;
        Ok(())
    }

    /// Where a port is in the ACPI timer's four bytes: the shift of what a read there shows.
    fn pm_timer_shift(&self, port: u16) -> Option<u32> {
        let offset = port.wrapping_sub(self.pm_timer_port);
        (offset < 4).then(|| u32::from(offset).wrapping_mul(8))
    }

    fn read_byte(
        &mut self,
        port: u16,
        now: Instant,
        signal: &mut impl FnMut(Signal),
    ) -> Option<u8> {
        if pic::PORTS.contains(&port) {
            let before = self.pic.output();
            let value = self.pic.read(port);
            self.note_output(before, signal);
            return Some(value);
        }
        if pit::PORTS.contains(&port) {
            return Some(self.pit.read(port, now));
        }
        if rtc::PORTS.contains(&port) {
            let value = self.rtc.read(port, now);
            let level = self.rtc.output();
            self.drive_clock_line(level, signal);
            return Some(value);
        }
        None
    }

    fn write_byte(
        &mut self,
        port: u16,
        value: u8,
        now: Instant,
        signal: &mut impl FnMut(Signal),
    ) -> Option<()> {
        if pic::PORTS.contains(&port) {
            let before = self.pic.output();
            self.pic.write(port, value);
            self.note_output(before, signal);
        } else if pit::PORTS.contains(&port) {
            // What was due before is not lost by setting a new count.
            self.expire(now, &mut *signal);
            self.pit.write(port, value, now);
        } else if rtc::PORTS.contains(&port) {
            let level = self.rtc.write(port, value, now);
            self.drive_clock_line(level, signal);
        } else {
            return None;
        }
        Some(())
    }

    fn drive_clock_line(&mut self, level: Level, signal: &mut impl FnMut(Signal)) {
        self.drive_line(CLOCK_LINE, level, signal);
    }

    /// Drives COM1's line where it has changed.
    #[inline]
    fn note_serial(&mut self, before: Level, mut signal: impl FnMut(Signal)) {
        let level = self.serial.output();
        if level != before {
            self.drive_line(SERIAL_LINE, level, &mut signal);
        }
    }

    fn drive_line(&mut self, line: u8, level: Level, signal: &mut impl FnMut(Signal)) {
        self.ioapic.set_line(usize::from(line), level, |message| {
            signal(Signal::Message(message));
        });
        self.set_legacy_line(line, level, signal);
    }

    fn set_legacy_line(&mut self, line: u8, level: Level, signal: &mut impl FnMut(Signal)) {
        let before = self.pic.output();
        self.pic.set_line(line, level);
        self.note_output(before, signal);
    }

    /// Signals the 8259A's output where it rose.
    fn note_output(&self, before: Level, signal: &mut impl FnMut(Signal)) {
        if !before.is_high() && self.pic.output().is_high() {
            signal(Signal::ExtInt);
        }
    }
}
