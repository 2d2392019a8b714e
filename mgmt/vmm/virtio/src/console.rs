//! [`Console`]: a terminal as two streams of bytes (5.3).

use vmm_pci::{BadState, StateReader, StateWriter, Width};
use vmm_ram::GuestRam;

use crate::byte_ring::ByteRing;
use crate::device::{Kind, QueueIndex, VirtioDevice};
use crate::{Features, QueueFault, Ring, Served, Stop};

/// The queue of bytes to the guest (5.3.2).
pub const INPUT: QueueIndex = QueueIndex(0);
/// The queue of bytes from the guest.
pub const OUTPUT: QueueIndex = QueueIndex(1);

const QUEUE_SIZES: [u16; 2] = [64, 64];
const CONFIG_BYTES: u32 = 12;

/// What waits here for the guest to take it: somebody types, or pastes.
const INPUT_BYTES: usize = 4096;
/// What waits here for the viewers.
const OUTPUT_BYTES: usize = 16 << 10;

/// The characters of a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self {
            columns: 80,
            rows: 25,
        }
    }
}

/// A console with one port. Both directions have a limit, and hold the sender back behind it.
#[derive(Debug)]
pub struct Console {
    size: TerminalSize,
    input: ByteRing,
    output: ByteRing,
    /// How much of the oldest output buffer is taken already.
    taken: u64,
    /// A buffer of output did not fit whole.
    held_back: bool,
}

impl Default for Console {
    fn default() -> Self {
        Self::new(TerminalSize::default())
    }
}

impl Console {
    /// A terminal of this size.
    pub fn new(size: TerminalSize) -> Self {
        Self {
            size,
            input: ByteRing::new(INPUT_BYTES),
            output: ByteRing::new(OUTPUT_BYTES),
            taken: 0,
            held_back: false,
        }
    }

    /// Changes the size. The transport must tell the driver.
    pub fn resize(&mut self, size: TerminalSize) {
        self.size = size;
    }

    /// Adds what the guest shall read; returns how many bytes were taken. Then [`INPUT`] must be served.
    pub fn add_input(&mut self, bytes: &[u8]) -> usize {
        self.input.push(bytes)
    }

    /// How many bytes [`Console::add_input`] would take.
    pub fn input_room(&self) -> usize {
        self.input.room()
    }

    /// Takes what the guest has written; returns how many bytes there were. [`Console::holds_back`] tells whether [`OUTPUT`]
    /// must be served then.
    pub fn take_output(&mut self, into: &mut [u8]) -> usize {
        self.output.pop(into)
    }

    /// Whether the guest waits for room.
    pub fn holds_back(&self) -> bool {
        self.held_back
    }

    /// Whether the guest has written something.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Drops what waits for the guest: it was meant for the one before.
    pub fn clear_input(&mut self) {
        self.input.clear();
    }
}

impl VirtioDevice for Console {
    fn kind(&self) -> Kind {
        Kind {
            id: 3,
            class: 0x07_80_00,
        }
    }

    fn features(&self) -> Features {
        Features::CONSOLE_SIZE
    }

    fn queue_sizes(&self) -> &'static [u16] {
        &QUEUE_SIZES
    }

    fn config_bytes(&self) -> u32 {
        CONFIG_BYTES
    }

    fn read_config(&self, offset: u64, width: Width) -> u64 {
        let mut config = [0; CONFIG_BYTES as usize];
        let [c0, c1] = self.size.columns.to_le_bytes();
        let [r0, r1] = self.size.rows.to_le_bytes();
        // One port (max_nr_ports), and no emergency write.
        for (byte, value) in config.iter_mut().zip([c0, c1, r0, r1, 1]) {
            *byte = value;
        }
        width.load(&config, usize::try_from(offset).unwrap_or(usize::MAX))
    }

    fn save(&self, to: &mut StateWriter) {
        to.put16(self.size.columns);
        to.put16(self.size.rows);
    }

    fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), BadState> {
        self.size = TerminalSize {
            columns: from.take16()?,
            rows: from.take16()?,
        };
        Ok(())
    }

    fn reset(&mut self) {
        self.taken = 0;
        self.held_back = false;
    }

    fn serve<R: GuestRam>(
        &mut self,
        queue: QueueIndex,
        ring: &mut Ring<'_, R>,
    ) -> Result<Stop, QueueFault> {
        match queue {
            INPUT => self.serve_input(ring),
            _ => self.serve_output(ring),
        }
    }
}

impl Console {
    fn serve_input<R: GuestRam>(&mut self, ring: &mut Ring<'_, R>) -> Result<Stop, QueueFault> {
        if self.input.is_empty() {
            // Nothing to give: the driver need not tell about each buffer that it adds.
            return Ok(Stop::Later);
        }
        ring.serve(|chain| {
            if self.input.is_empty() {
                return Ok(Served::Later);
            }
            let mut written = 0;
            loop {
                let bytes = chain.write(u64::from(written), self.input.front())?;
                if bytes == 0 {
                    return Ok(Served::Done(written));
                }
                self.input.drop_front(bytes);
                written += bytes as u32;
            }
        })
    }

    fn serve_output<R: GuestRam>(&mut self, ring: &mut Ring<'_, R>) -> Result<Stop, QueueFault> {
        self.held_back = false;
        ring.serve(|chain| {
            while self.taken < chain.readable_bytes() {
                if self.output.room() == 0 {
                    self.held_back = true;
                    return Ok(Served::Later);
                }
                let bytes = chain.read(self.taken, self.output.back())?;
                self.output.add_back(bytes);
                self.taken += bytes as u64;
            }
            self.taken = 0;
            Ok(Served::Done(0))
        })
    }
}

#[cfg(test)]
mod tests;
