//! What happens to virtual systems, on its way to the domain: it may not be told from within its own calls.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::cell::RefCell;

use cim_domain::{Event, SystemId};
use mgmt_executor::Signal;

/// Events that the domain has not seen yet; clones share them.
#[derive(Clone)]
pub struct Reports {
    queue: Rc<RefCell<VecDeque<(SystemId, Event)>>>,
    signal: Signal,
}

impl Reports {
    /// No events.
    pub fn new() -> Self {
        Reports {
            queue: Rc::default(),
            signal: Signal::new(),
        }
    }

    /// Adds an event.
    pub fn add(&self, system: SystemId, event: Event) {
        self.queue.borrow_mut().push_back((system, event));
        self.signal.raise();
    }

    /// The oldest event, if there is one.
    pub fn take(&self) -> Option<(SystemId, Event)> {
        self.queue.borrow_mut().pop_front()
    }

    /// Raised when there are events.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }
}
