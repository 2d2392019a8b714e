//! A 16550A serial port (National Semiconductor PC16550D data sheet), as COM1 of a PC has it.
//!
//! The board keeps one and drives interrupt line 4 with [`Uart::output`]; the platform devices connect it to a [`Wire`], the
//! console page. Bytes need no time on the wire: the transmitter is busy only while the wire takes nothing, and is tried again
//! after [`RETRY_RATE`]'s period. Only the receiver's character timeout runs on the clock, at the rate that the guest has set.
//! The line to the other side is always up: CTS, DSR and DCD are asserted. After each call that takes `now` the caller asks
//! [`Uart::deadline`] again.

mod queue;
#[cfg(test)]
mod tests;

use crate::level::Level;
use crate::local_apic::StateError;
use crate::time::{Hertz, Instant, Ticks};
use queue::ByteQueue;
pub use queue::DEPTH;

/// How often a wire that was busy is tried again, in Hz.
pub const RETRY_RATE: u64 = 1000;
/// The input clock over 16: bits a second at divisor 1.
const BASE_RATE: u64 = 115_200;

/// IER: received data, transmitter empty, line status, modem status.
const IER_RECEIVED: u8 = 1;
const IER_EMPTY: u8 = 2;
const IER_LINE: u8 = 4;
const IER_MODEM: u8 = 8;
/// IIR: what is most urgent, and that the FIFOs are on.
const IIR_NONE: u8 = 1;
const IIR_MODEM: u8 = 0;
const IIR_EMPTY: u8 = 2;
const IIR_RECEIVED: u8 = 4;
const IIR_LINE: u8 = 6;
const IIR_TIMEOUT: u8 = 0xc;
const IIR_FIFOS: u8 = 0xc0;
/// FCR: FIFOs on, clear the receiver's, clear the transmitter's.
const FCR_ON: u8 = 1;
const FCR_CLEAR_RECEIVER: u8 = 2;
const FCR_CLEAR_TRANSMITTER: u8 = 4;
/// LCR: the divisor is at registers 0 and 1.
const LCR_DIVISOR: u8 = 0x80;
/// MCR: DTR, RTS, OUT1, OUT2 (which lets the interrupt out of a PC's card), loop.
const MCR_OUT2: u8 = 8;
const MCR_LOOP: u8 = 0x10;
const MCR_BITS: u8 = 0x1f;
/// LSR: data ready, overrun, transmitter's holding register empty, all of the transmitter empty.
const LSR_READY: u8 = 1;
const LSR_OVERRUN: u8 = 2;
const LSR_HOLDING_EMPTY: u8 = 0x20;
const LSR_ALL_EMPTY: u8 = 0x40;
/// MSR: CTS, DSR, RI, DCD; their changes are four bits below.
const MSR_CTS: u8 = 0x10;
const MSR_DSR: u8 = 0x20;
const MSR_RI: u8 = 0x40;
const MSR_DCD: u8 = 0x80;

/// Whether the wire took a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// It did.
    Yes,
    /// It takes none now.
    Busy,
}

/// What is at the other end of the line.
pub trait Wire {
    /// Takes a byte.
    fn send(&mut self, byte: u8) -> Sent;
    /// Gives a byte, if it has one.
    fn receive(&mut self) -> Option<u8>;
}

/// A register: the offset from the port's base, 0 to 7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Register(pub u8);

/// The state of a serial port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UartState {
    /// The divisor latch.
    pub divisor: u16,
    /// IER.
    pub interrupt_enable: u8,
    /// FCR: bit 0, and the trigger level in bits 7:6.
    pub fifo_control: u8,
    /// LCR.
    pub line_control: u8,
    /// MCR.
    pub modem_control: u8,
    /// The overrun bit of LSR.
    pub line_errors: u8,
    /// The changes in MSR's low half.
    pub modem_changes: u8,
    /// SCR.
    pub scratch: u8,
    /// Whether the transmitter's interrupt is due.
    pub empty_due: bool,
    /// Whether the receiver's timeout is due.
    pub timeout_due: bool,
    /// Ticks of the TSC until it is, where it is on its way.
    pub timeout_left: Option<u64>,
    /// Bytes received, and how many.
    pub received: ([u8; DEPTH], u8),
    /// Bytes to send, and how many.
    pub sending: ([u8; DEPTH], u8),
}

/// The port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uart {
    tsc: Hertz,
    interrupt_enable: u8,
    fifo_control: u8,
    line_control: u8,
    modem_control: u8,
    line_errors: u8,
    modem_changes: u8,
    scratch: u8,
    divisor: u16,
    empty_due: bool,
    timeout_due: bool,
    received: ByteQueue,
    sending: ByteQueue,
    /// When the receiver's timeout comes.
    timeout: Instant,
    /// When the wire is asked again.
    retry: Instant,
}

impl Uart {
    /// The port after power-up, on a host with this TSC.
    pub const fn new(tsc: Hertz) -> Self {
        Self {
            tsc,
            interrupt_enable: 0,
            fifo_control: 0,
            line_control: 0,
            modem_control: 0,
            line_errors: 0,
            modem_changes: 0,
            scratch: 0,
            // What firmware leaves: 9600 bits a second.
            divisor: 12,
            empty_due: false,
            timeout_due: false,
            received: ByteQueue::new(),
            sending: ByteQueue::new(),
            timeout: Instant::NEVER,
            retry: Instant::NEVER,
        }
    }

    /// Power-up again.
    pub fn reset(&mut self) {
        *self = Self::new(self.tsc);
    }

    /// Reads a register.
    #[inline]
    pub fn read(&mut self, register: Register, now: Instant, wire: &mut impl Wire) -> u8 {
        match register.0 & 7 {
            5 => self.read_line_status(now, wire),
            0 if self.line_control & LCR_DIVISOR != 0 => self.divisor as u8,
            1 if self.line_control & LCR_DIVISOR != 0 => (self.divisor >> 8) as u8,
            0 => self.read_received(now, wire),
            1 => self.interrupt_enable,
            2 => self.read_cause(),
            3 => self.line_control,
            4 => self.modem_control,
            6 => {
                let status = self.modem_inputs() | self.modem_changes;
                self.modem_changes = 0;
                status
            }
            _ => self.scratch,
        }
    }

    /// Writes a register.
    #[inline]
    pub fn write(&mut self, register: Register, value: u8, now: Instant, wire: &mut impl Wire) {
        match register.0 & 7 {
            0 if self.line_control & LCR_DIVISOR == 0 => self.transmit(value, now, wire),
            0 => self.divisor = self.divisor & 0xff00 | u16::from(value),
            1 if self.line_control & LCR_DIVISOR == 0 => self.enable(value & 0xf),
            1 => self.divisor = self.divisor & 0xff | u16::from(value) << 8,
            2 => self.control_fifos(value),
            3 => self.line_control = value,
            4 => self.control_modem(value & MCR_BITS),
            7 => self.scratch = value,
            // The status registers are for reading.
            _ => {}
        }
    }

    /// The interrupt line.
    #[inline]
    pub fn output(&self) -> Level {
        let connected = self.modem_control & (MCR_OUT2 | MCR_LOOP) == MCR_OUT2;
        Level::high_if(connected && self.cause() != IIR_NONE)
    }

    /// When [`Uart::service`] has something to do of itself.
    #[inline]
    pub fn deadline(&self) -> Instant {
        self.timeout.min(self.retry)
    }

    /// Moves what the wire takes and gives, and lets the timeout come that is due.
    pub fn service(&mut self, now: Instant, wire: &mut impl Wire) {
        if self.timeout <= now {
            self.timeout = Instant::NEVER;
            self.timeout_due = !self.received.is_empty();
        }
        if !self.sending.is_empty() {
            self.drain(now, wire);
        }
        self.fill(now, wire);
    }

    /// The state for a later [`Uart::restore`].
    pub fn save(&self, now: Instant) -> UartState {
        let bytes = |queue: &ByteQueue| {
            let mut bytes = [0; DEPTH];
            for (slot, byte) in bytes.iter_mut().zip(queue.iter()) {
                *slot = byte;
            }
            (bytes, queue.len())
        };
        UartState {
            divisor: self.divisor,
            interrupt_enable: self.interrupt_enable,
            fifo_control: self.fifo_control,
            line_control: self.line_control,
            modem_control: self.modem_control,
            line_errors: self.line_errors,
            modem_changes: self.modem_changes,
            scratch: self.scratch,
            empty_due: self.empty_due,
            timeout_due: self.timeout_due,
            timeout_left: (self.timeout != Instant::NEVER).then(|| self.timeout.since(now).0),
            received: bytes(&self.received),
            sending: bytes(&self.sending),
        }
    }

    /// Takes over a saved state.
    ///
    /// # Errors
    /// Where no port can be in that state; this one is unchanged then.
    pub fn restore(&mut self, state: &UartState, now: Instant) -> Result<(), StateError> {
        let possible = state.interrupt_enable & !0xf == 0
            && state.fifo_control & !0xc1 == 0
            && state.modem_control & !MCR_BITS == 0
            && state.line_errors & !LSR_OVERRUN == 0
            && state.modem_changes & !0xf == 0
            && !(state.empty_due && state.sending.1 != 0)
            && !(state.timeout_due && state.received.1 == 0);
        if !possible {
            return Err(StateError::Impossible("UART registers"));
        }
        let mut restored = Self {
            divisor: state.divisor,
            interrupt_enable: state.interrupt_enable,
            fifo_control: state.fifo_control,
            line_control: state.line_control,
            modem_control: state.modem_control,
            line_errors: state.line_errors,
            modem_changes: state.modem_changes,
            scratch: state.scratch,
            empty_due: state.empty_due,
            timeout_due: state.timeout_due,
            ..Self::new(self.tsc)
        };
        let capacity = restored.capacity();
        for (queue, (bytes, count)) in [
            (&mut restored.received, &state.received),
            (&mut restored.sending, &state.sending),
        ] {
            if *count > capacity {
                return Err(StateError::Impossible("UART FIFOs"));
            }
            for byte in bytes.iter().take(usize::from(*count)) {
                let _fits = queue.push(*byte);
            }
        }
        if !restored.sending.is_empty() {
            restored.retry = now;
        }
        if let Some(left) = state.timeout_left {
            restored.timeout = now + Ticks(left);
        }
        *self = restored;
        Ok(())
    }

    fn fifos_on(&self) -> bool {
        self.fifo_control & FCR_ON != 0
    }

    fn loops(&self) -> bool {
        self.modem_control & MCR_LOOP != 0
    }

    /// Bytes that receiver and transmitter hold each.
    fn capacity(&self) -> u8 {
        if self.fifos_on() { DEPTH as u8 } else { 1 }
    }

    /// Bytes at which received data are announced without a timeout.
    fn trigger(&self) -> u8 {
        match (self.fifos_on(), self.fifo_control >> 6) {
            (false, _) | (true, 0) => 1,
            (true, 1) => 4,
            (true, 2) => 8,
            (true, _) => 14,
        }
    }

    /// The most urgent cause of an interrupt, in the order of the data sheet's table.
    #[inline]
    fn cause(&self) -> u8 {
        let enabled = self.interrupt_enable;
        if enabled & IER_LINE != 0 && self.line_errors != 0 {
            IIR_LINE
        } else if enabled & IER_RECEIVED != 0 && self.received.len() >= self.trigger() {
            IIR_RECEIVED
        } else if enabled & IER_RECEIVED != 0 && self.timeout_due {
            IIR_TIMEOUT
        } else if enabled & IER_EMPTY != 0 && self.empty_due {
            IIR_EMPTY
        } else if enabled & IER_MODEM != 0 && self.modem_changes != 0 {
            IIR_MODEM
        } else {
            IIR_NONE
        }
    }

    /// IIR; naming the empty transmitter ends its interrupt.
    fn read_cause(&mut self) -> u8 {
        let cause = self.cause();
        if cause == IIR_EMPTY {
            self.empty_due = false;
        }
        cause | if self.fifos_on() { IIR_FIFOS } else { 0 }
    }

    /// LSR; reading it ends the overrun.
    #[inline]
    fn read_line_status(&mut self, now: Instant, wire: &mut impl Wire) -> u8 {
        if !self.sending.is_empty() {
            // A guest that polls does not wait for the next try.
            self.drain(now, wire);
        }
        if self.received.is_empty() {
            self.fill(now, wire);
        }
        let mut status = core::mem::take(&mut self.line_errors);
        if !self.received.is_empty() {
            status |= LSR_READY;
        }
        if self.sending.is_empty() {
            status |= LSR_HOLDING_EMPTY | LSR_ALL_EMPTY;
        }
        status
    }

    /// RBR.
    fn read_received(&mut self, now: Instant, wire: &mut impl Wire) -> u8 {
        let byte = self.received.pop().unwrap_or(0);
        self.timeout_due = false;
        self.timeout = Instant::NEVER;
        self.fill(now, wire);
        if !self.received.is_empty() {
            self.start_timeout(now);
        }
        byte
    }

    /// THR.
    #[inline]
    fn transmit(&mut self, byte: u8, now: Instant, wire: &mut impl Wire) {
        if self.loops() {
            self.empty_due = self.sending.is_empty();
            self.accept(byte, now);
            return;
        }
        if self.sending.is_empty() && wire.send(byte) == Sent::Yes {
            // Where the interrupt is due already, the line stays as it is: for the guest, the byte was gone at once.
            self.empty_due = true;
            return;
        }
        self.empty_due = false;
        if self.sending.len() < self.capacity() {
            let _fits = self.sending.push(byte);
        }
        if self.retry == Instant::NEVER {
            self.try_again(now);
        }
    }

    /// Sends what the wire takes.
    #[cold]
    fn drain(&mut self, now: Instant, wire: &mut impl Wire) {
        while let Some(byte) = self.sending.first() {
            if wire.send(byte) == Sent::Busy {
                self.try_again(now);
                return;
            }
            let _ = self.sending.pop();
        }
        self.retry = Instant::NEVER;
        self.empty_due = true;
    }

    fn try_again(&mut self, now: Instant) {
        self.retry = now + Ticks(self.tsc.get() / RETRY_RATE);
    }

    /// Takes what the wire gives, as far as there is room.
    #[inline]
    fn fill(&mut self, now: Instant, wire: &mut impl Wire) {
        if self.loops() {
            return;
        }
        while self.received.len() < self.capacity() {
            match wire.receive() {
                Some(byte) => self.accept(byte, now),
                None => return,
            }
        }
    }

    /// A byte arrives.
    fn accept(&mut self, byte: u8, now: Instant) {
        if self.received.len() >= self.capacity() {
            self.line_errors |= LSR_OVERRUN;
            if self.fifos_on() {
                return;
            }
            // Without FIFOs the new byte takes the old one's place.
            let _ = self.received.pop();
        }
        let _fits = self.received.push(byte);
        self.start_timeout(now);
    }

    /// The timeout comes after four characters' time without another byte or a read.
    fn start_timeout(&mut self, now: Instant) {
        if !self.fifos_on() {
            return;
        }
        let line = self.line_control;
        // Start bit, five to eight data bits, parity, stop bits.
        let bits = 7 + u64::from(line & 3) + u64::from(line >> 3 & 1) + u64::from(line >> 2 & 1);
        let divisor = u64::from(self.divisor.max(1));
        let ticks =
            u128::from(self.tsc.get()) * u128::from(4 * bits * divisor) / u128::from(BASE_RATE);
        self.timeout = now + Ticks(u64::try_from(ticks).unwrap_or(u64::MAX));
    }

    /// IER. Enabling the transmitter's interrupt announces that it is empty, each time.
    fn enable(&mut self, value: u8) {
        if value & !self.interrupt_enable & IER_EMPTY != 0 && self.sending.is_empty() {
            self.empty_due = true;
        }
        self.interrupt_enable = value;
    }

    /// FCR. Turning the FIFOs on or off empties them.
    fn control_fifos(&mut self, value: u8) {
        let switched = (value ^ self.fifo_control) & FCR_ON != 0;
        let on = value & FCR_ON != 0;
        self.fifo_control = if on { value & 0xc1 } else { 0 };
        if switched || on && value & FCR_CLEAR_RECEIVER != 0 {
            self.received.clear();
            self.timeout_due = false;
            self.timeout = Instant::NEVER;
        }
        if (switched || on && value & FCR_CLEAR_TRANSMITTER != 0) && !self.sending.is_empty() {
            self.sending.clear();
            self.retry = Instant::NEVER;
            self.empty_due = true;
        }
    }

    /// MCR. In a loop the outputs are the inputs.
    fn control_modem(&mut self, value: u8) {
        let before = self.modem_inputs();
        self.modem_control = value;
        let after = self.modem_inputs();
        let changed = before ^ after;
        let rang = before & !after & MSR_RI;
        self.modem_changes |= (changed & (MSR_CTS | MSR_DSR | MSR_DCD) | rang) >> 4;
    }

    fn modem_inputs(&self) -> u8 {
        if !self.loops() {
            return MSR_CTS | MSR_DSR | MSR_DCD;
        }
        // DTR is DSR, RTS is CTS, OUT1 is RI, OUT2 is DCD.
        let outputs = self.modem_control;
        (outputs & 1) << 5 | (outputs & 2) << 3 | (outputs & 4) << 4 | (outputs & 8) << 4
    }
}
