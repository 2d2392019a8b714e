//! [`Ring`]: a queue in its guest's memory, for as long as a device serves it.

use vmm_ram::GuestRam;

use crate::QueueFault;
use crate::chain::{Chain, ChainAccess};
use crate::queue::Queue;

/// What a device did with a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Served {
    /// It is done with it, and has written this many bytes.
    Done(u32),
    /// It cannot take it now: the buffer stays where it is.
    Later,
}

/// Why a device stopped to serve a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// No buffer is left; the driver will notify.
    Empty,
    /// The device waits for something else.
    Later,
    /// Enough for one call; buffers may be left.
    Enough,
}

/// A queue in its guest's memory.
#[derive(Debug)]
pub struct Ring<'a, R> {
    queue: &'a mut Queue,
    ram: &'a R,
}

impl<'a, R: GuestRam> Ring<'a, R> {
    pub(crate) fn new(queue: &'a mut Queue, ram: &'a R) -> Self {
        Self { queue, ram }
    }

    /// Calls `serve` with each buffer that waits, oldest first, until none is left or it says [`Served::Later`].
    ///
    /// A driver that adds buffers as fast as they are served, or builds them of as many descriptors as it may, does not keep
    /// the caller for ever: after about twice the queue's size in descriptors this ends with [`Stop::Enough`].
    ///
    /// # Errors
    /// What the driver did wrong. The queue is then of no use until it is reset.
    pub fn serve(
        &mut self,
        mut serve: impl FnMut(ChainAccess<'_, R>) -> Result<Served, QueueFault>,
    ) -> Result<Stop, QueueFault> {
        let mut budget = 2 * usize::from(self.queue.size);
        let mut chain = core::mem::take(&mut self.queue.chain);
        let stop = loop {
            match self.next(&mut chain, &mut budget, &mut serve) {
                Ok(None) => {}
                Ok(Some(stop)) => break Ok(stop),
                Err(fault) => break Err(fault),
            }
        };
        self.queue.chain = chain;
        stop
    }

    fn next(
        &mut self,
        chain: &mut Chain,
        budget: &mut usize,
        serve: &mut impl FnMut(ChainAccess<'_, R>) -> Result<Served, QueueFault>,
    ) -> Result<Option<Stop>, QueueFault> {
        let (queue, ram) = (&mut *self.queue, self.ram);
        if queue.waiting(ram)? == 0 {
            queue.ask_for_notification(ram)?;
            if queue.waiting(ram)? == 0 {
                return Ok(Some(Stop::Empty));
            }
        }
        if *budget == 0 {
            return Ok(Some(Stop::Enough));
        }
        queue.peek(ram, chain)?;
        *budget = budget.saturating_sub(1 + chain.segments());
        match serve(ChainAccess { chain, ram })? {
            Served::Done(written) => queue.finish(ram, chain.head(), written)?,
            Served::Later => return Ok(Some(Stop::Later)),
        }
        Ok(None)
    }
}
