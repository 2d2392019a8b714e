//! A disk that tasks share: asynchronous reads and writes of any length over [`Block`].

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Poll, Waker};

use crate::block::SlotId;
use crate::{Block, Operation, Platform, SECTOR_BYTES, SLOT_BYTES, VirtioError};

/// Where a request stands.
enum Request {
    /// With the device.
    Running(Option<Waker>),
    /// Ended, its result not yet taken.
    Ended,
    /// With the device, but its task has gone.
    Abandoned,
}

struct Shared<P: Platform> {
    block: Block<P>,
    requests: BTreeMap<u16, Request>,
    waiting_for_slot: Vec<Waker>,
    failed: Option<VirtioError>,
}

impl<P: Platform> Shared<P> {
    fn release(&mut self, slot: SlotId) {
        self.requests.remove(&slot.number());
        self.block.release(slot);
        for waker in self.waiting_for_slot.drain(..) {
            waker.wake();
        }
    }
}

/// A handle to the disk; clones share it.
pub struct Disk<P: Platform>(Rc<RefCell<Shared<P>>>);

impl<P: Platform> Clone for Disk<P> {
    fn clone(&self) -> Self {
        Disk(self.0.clone())
    }
}

impl<P: Platform> Disk<P> {
    /// The disk on this device.
    pub fn new(block: Block<P>) -> Self {
        Disk(Rc::new(RefCell::new(Shared {
            block,
            requests: BTreeMap::new(),
            waiting_for_slot: Vec::new(),
            failed: None,
        })))
    }

    /// Size in sectors.
    pub fn sectors(&self) -> u64 {
        self.0.borrow().block.sectors()
    }

    /// Whether writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.0.borrow().block.is_read_only()
    }

    /// To be called after each of the device's interrupts: wakes the tasks whose requests have ended.
    pub fn interrupt(&self) {
        let mut shared = self.0.borrow_mut();
        let shared = &mut *shared;
        loop {
            match shared.block.complete() {
                Ok(Some(slot)) => match shared.requests.get_mut(&slot.number()) {
                    Some(Request::Abandoned) | None => shared.release(slot),
                    Some(request) => {
                        let running = core::mem::replace(request, Request::Ended);
                        if let Request::Running(Some(waker)) = running {
                            waker.wake();
                        }
                    }
                },
                Ok(None) => return,
                Err(error) => {
                    shared.failed = Some(error);
                    for request in shared.requests.values_mut() {
                        if let Request::Running(waker) = request {
                            waker.take().into_iter().for_each(Waker::wake);
                        }
                    }
                    shared.waiting_for_slot.drain(..).for_each(Waker::wake);
                    return;
                }
            }
        }
    }

    /// Reads `into.len()` bytes, whole sectors, from `sector` on; large reads go out as several requests at once.
    ///
    /// # Errors
    /// A range that is not on the disk, or the device's report; `into` is partly written then.
    pub async fn read(&self, sector: u64, into: &mut [u8]) -> Result<(), VirtioError> {
        let mut running = VecDeque::new();
        let mut at = sector;
        for piece in into.chunks_mut(SLOT_BYTES) {
            let operation = Operation::Read {
                sector: at,
                bytes: piece.len(),
            };
            at = at.saturating_add((piece.len() / SECTOR_BYTES) as u64);
            // Waiting for a slot while holding all of them would never end: the oldest is finished first.
            let ticket = loop {
                match self.try_start(operation) {
                    Ok(ticket) => break ticket,
                    Err(VirtioError::Full) => match running.pop_front() {
                        Some((ticket, piece)) => finish(ticket, piece).await?,
                        None => self.slot_free().await,
                    },
                    Err(error) => return Err(error),
                }
            };
            running.push_back((ticket, piece));
        }
        for (ticket, piece) in running {
            finish(ticket, piece).await?;
        }
        Ok(())
    }

    /// Writes whole sectors from `sector` on. The data is durable after the next [`Disk::flush`].
    ///
    /// # Errors
    /// A range that is not on the disk, a read-only disk, or the device's report; part may be written then.
    pub async fn write(&self, sector: u64, data: &[u8]) -> Result<(), VirtioError> {
        let mut running = VecDeque::new();
        let mut at = sector;
        for piece in data.chunks(SLOT_BYTES) {
            let operation = Operation::Write {
                sector: at,
                data: piece,
            };
            at = at.saturating_add((piece.len() / SECTOR_BYTES) as u64);
            let ticket = loop {
                match self.try_start(operation) {
                    Ok(ticket) => break ticket,
                    Err(VirtioError::Full) => match running.pop_front() {
                        Some(ticket) => finish(ticket, &mut []).await?,
                        None => self.slot_free().await,
                    },
                    Err(error) => return Err(error),
                }
            };
            running.push_back(ticket);
        }
        for ticket in running {
            finish(ticket, &mut []).await?;
        }
        Ok(())
    }

    /// Makes completed writes durable; nothing to do on a device without a write cache.
    ///
    /// # Errors
    /// The device's report.
    pub async fn flush(&self) -> Result<(), VirtioError> {
        if !self.0.borrow().block.needs_flush() {
            return Ok(());
        }
        loop {
            match self.try_start(Operation::Flush) {
                Ok(ticket) => return finish(ticket, &mut []).await,
                Err(VirtioError::Full) => self.slot_free().await,
                Err(error) => return Err(error),
            }
        }
    }

    fn try_start(&self, operation: Operation<'_>) -> Result<Ticket<P>, VirtioError> {
        let mut shared = self.0.borrow_mut();
        if let Some(error) = shared.failed {
            return Err(error);
        }
        let slot = shared.block.submit(operation)?;
        shared
            .requests
            .insert(slot.number(), Request::Running(None));
        Ok(Ticket {
            disk: self.clone(),
            slot,
        })
    }

    /// Waits until a slot was given back.
    async fn slot_free(&self) {
        let mut waited = false;
        poll_fn(|context| {
            if core::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            let mut shared = self.0.borrow_mut();
            shared.waiting_for_slot.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A request under way; dropping it leaves the slot to the device until it is done with it.
struct Ticket<P: Platform> {
    disk: Disk<P>,
    slot: SlotId,
}

/// Waits for the end of a request and takes its result.
async fn finish<P: Platform>(ticket: Ticket<P>, into: &mut [u8]) -> Result<(), VirtioError> {
    poll_fn(|context| {
        let mut shared = ticket.disk.0.borrow_mut();
        if let Some(error) = shared.failed {
            return Poll::Ready(Err(error));
        }
        match shared.requests.get_mut(&ticket.slot.number()) {
            Some(Request::Running(waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(shared.block.result(ticket.slot, into)),
        }
    })
    .await
}

impl<P: Platform> Drop for Ticket<P> {
    fn drop(&mut self) {
        let mut shared = self.disk.0.borrow_mut();
        match shared.requests.get_mut(&self.slot.number()) {
            Some(request @ Request::Running(_)) => *request = Request::Abandoned,
            _ => shared.release(self.slot),
        }
    }
}

#[cfg(test)]
mod tests;
