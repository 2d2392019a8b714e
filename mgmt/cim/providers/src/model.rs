//! [`Model`]: the domain as the providers share it.

use crate::notices;
use alloc::rc::Rc;
use cim_domain::{Domain, Event, Now, SystemId};
use cim_model::NamespaceName;
use cim_ops::{Clock, EventQueue};
use core::cell::RefCell;
use core::time::Duration;

struct Shared {
    domain: RefCell<Domain>,
    /// Where life-cycle events go, once the providers are installed.
    events: RefCell<Option<(EventQueue, NamespaceName)>>,
}

/// The domain as the providers share it; clones share it too.
///
/// Nothing here calls back into the model, so whoever holds a clone may use it from any task.
#[derive(Clone)]
pub struct Model(Rc<Shared>);

/// The domain's clock of an operation's.
pub(crate) fn now(clock: Clock) -> Now {
    Now {
        monotonic: clock.monotonic,
        unix_micros: clock.unix_micros,
    }
}

impl Model {
    /// A model over a domain.
    #[must_use]
    pub fn new(domain: Domain) -> Self {
        Model(Rc::new(Shared {
            domain: RefCell::new(domain),
            events: RefCell::new(None),
        }))
    }

    pub(crate) fn send_events_to(&self, queue: EventQueue, namespace: NamespaceName) {
        *self.0.events.borrow_mut() = Some((queue, namespace));
    }

    /// Looks at the domain.
    pub fn read<T>(&self, look: impl FnOnce(&Domain) -> T) -> T {
        look(&self.0.domain.borrow())
    }

    /// Changes the domain, and turns its notices into life-cycle events.
    pub fn change<T>(&self, change: impl FnOnce(&mut Domain) -> T) -> T {
        let mut domain = self.0.domain.borrow_mut();
        let outcome = change(&mut domain);
        let events = self.0.events.borrow();
        let queue = events.as_ref().filter(|(queue, _)| queue.is_wanted());
        while let Some(notice) = domain.take_notice() {
            if let Some((queue, namespace)) = queue {
                notices::raise(&domain, &notice, queue, namespace);
            }
        }
        outcome
    }

    /// Takes note of what the machine reports. The server is to be ticked afterwards, so that indications go out.
    pub fn event(&self, system: SystemId, event: Event, clock: Clock) {
        self.change(|domain| domain.event(system, event, now(clock)));
    }

    /// Takes note that the machine was told to end and has not.
    pub fn host_stays(&self) {
        self.change(Domain::host_stays);
    }

    /// Does what is due without anybody asking; to be called about once a second, or at [`Model::next_tick`].
    pub fn tick(&self, clock: Clock) {
        self.change(|domain| domain.tick(now(clock)));
    }

    /// When something is due next, on the monotonic clock.
    #[must_use]
    pub fn next_tick(&self) -> Option<Duration> {
        self.read(Domain::next_tick)
    }
}
