//! Life-cycle events: what indications are made of.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use cim_model::{Instance, NamespaceName};
use core::cell::RefCell;

/// Something happened to an instance. Instances carry their paths.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// It came into being.
    Created(Instance),
    /// It changed.
    Modified {
        /// How it was.
        before: Instance,
        /// How it is.
        after: Instance,
    },
    /// It is gone.
    Deleted(Instance),
    /// A ready-made indication, such as an alert.
    Raised(Instance),
}

/// An event in a namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Where it happened.
    pub namespace: NamespaceName,
    /// What happened.
    pub kind: EventKind,
}

/// The events that wait to be turned into indications. Providers keep a handle and raise events; when nobody
/// takes them, new ones are dropped and counted.
#[derive(Clone, Debug)]
pub struct EventQueue {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Debug)]
struct Shared {
    waiting: VecDeque<Event>,
    capacity: usize,
    lost: u64,
    /// Without subscriptions there is no use in collecting events.
    wanted: bool,
}

impl EventQueue {
    /// A queue for at most this many waiting events.
    pub fn new(capacity: usize) -> Self {
        let shared = Shared {
            waiting: VecDeque::new(),
            capacity,
            lost: 0,
            wanted: false,
        };
        EventQueue {
            shared: Rc::new(RefCell::new(shared)),
        }
    }

    /// Whether anybody subscribes to events; if not, making them is wasted work.
    pub fn is_wanted(&self) -> bool {
        self.shared.borrow().wanted
    }

    pub(crate) fn set_wanted(&self, wanted: bool) {
        self.shared.borrow_mut().wanted = wanted;
    }

    /// Adds an event.
    pub fn raise(&self, event: Event) {
        let mut shared = self.shared.borrow_mut();
        if !shared.wanted {
            return;
        }
        if shared.waiting.len() >= shared.capacity {
            shared.lost = shared.lost.saturating_add(1);
            return;
        }
        shared.waiting.push_back(event);
    }

    /// The oldest event.
    pub fn take(&self) -> Option<Event> {
        self.shared.borrow_mut().waiting.pop_front()
    }

    /// How many events were dropped because the queue was full.
    pub fn lost(&self) -> u64 {
        self.shared.borrow().lost
    }
}
