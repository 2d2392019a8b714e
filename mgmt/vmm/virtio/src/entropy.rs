//! [`Entropy`]: random bytes for the guest (5.4).

use alloc::boxed::Box;
use core::fmt;

use vmm_ram::GuestRam;

use crate::device::{Kind, QueueIndex, VirtioDevice};
use crate::{Features, QueueFault, Ring, Served, Stop};

const QUEUE_SIZES: [u16; 1] = [64];

/// The most that one buffer gets, however large it is: the driver asks again for more (5.4.6).
const LIMIT: u64 = 512;

/// Fills its slice with random bytes, fit for keys.
pub type EntropySource = Box<dyn FnMut(&mut [u8])>;

/// A source of random bytes.
pub struct Entropy {
    source: EntropySource,
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entropy").finish_non_exhaustive()
    }
}

impl Entropy {
    /// A device that hands out what `source` makes.
    pub fn new(source: EntropySource) -> Self {
        Self { source }
    }
}

impl VirtioDevice for Entropy {
    fn kind(&self) -> Kind {
        Kind {
            id: 4,
            class: 0x00_ff_00,
        }
    }

    fn features(&self) -> Features {
        Features::default()
    }

    fn queue_sizes(&self) -> &'static [u16] {
        &QUEUE_SIZES
    }

    fn reset(&mut self) {}

    fn serve<R: GuestRam>(
        &mut self,
        _queue: QueueIndex,
        ring: &mut Ring<'_, R>,
    ) -> Result<Stop, QueueFault> {
        ring.serve(|chain| {
            let mut bytes = [0; LIMIT as usize];
            let wanted = chain.writable_bytes().min(LIMIT) as usize;
            let Some(bytes) = bytes.get_mut(..wanted) else {
                return Ok(Served::Done(0));
            };
            (self.source)(bytes);
            let written = chain.write(0, bytes)?;
            Ok(Served::Done(written as u32))
        })
    }
}
