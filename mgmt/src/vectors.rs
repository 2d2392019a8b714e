//! Interrupt vectors and the signals that they raise.

use alloc::vec;
use alloc::vec::Vec;

use mgmt_executor::Signal;

use crate::interrupts;

/// Below are exceptions, the timer and legacy vectors; from 0xf0 on what the APIC itself uses.
const FIRST: u8 = 0x30;
const LAST: u8 = 0xef;

/// Which signal each vector raises.
pub struct Vectors {
    signals: Vec<Option<Signal>>,
    next: u8,
}

impl Vectors {
    /// No vector in use.
    pub fn new() -> Self {
        Vectors {
            signals: vec![None; 256],
            next: FIRST,
        }
    }

    /// A vector that raises `signal`; `None` when there are no more.
    pub fn allocate(&mut self, signal: &Signal) -> Option<u8> {
        let vector = self.next;
        if vector > LAST {
            return None;
        }
        self.next += 1;
        *self.signals.get_mut(usize::from(vector))? = Some(signal.clone());
        Some(vector)
    }

    /// Raises the signals of all vectors that came in.
    pub fn dispatch(&self) {
        let words = interrupts::take();
        for (signals, word) in self.signals.chunks(64).zip(words) {
            if word == 0 {
                continue;
            }
            for (bit, signal) in signals.iter().enumerate() {
                if let Some(signal) = signal
                    && word >> bit & 1 != 0
                {
                    signal.raise();
                }
            }
        }
    }
}
