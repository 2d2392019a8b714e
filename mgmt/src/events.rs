//! The hypervisor's events: the event page, its ports, and who listens to which.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::RefCell;

use mgmt_executor::Signal;
use mgmt_hypercall::{EventPage, EventPort, PortAllocator};

use crate::dma::SharedWords;

/// Somebody who is told of events. An event may also come for nothing: a port's last user may have left one behind.
pub trait Listener {
    /// Port number `offset` of the listener's range was raised.
    fn event(&self, offset: u16);
}

#[derive(Default)]
struct Ranges {
    free: PortAllocator,
    /// By the number of the first port.
    listeners: BTreeMap<u16, (u16, Rc<dyn Listener>)>,
}

/// The ports; clones share them.
#[derive(Clone, Default)]
pub struct Events(Rc<RefCell<Ranges>>);

/// A range of ports with its listener; given back when it goes. The hypervisor has then forgotten them.
pub struct Ports {
    events: Events,
    first: EventPort,
    count: u16,
}

impl Events {
    /// `count` ports in a row for `listener`; `None` when there are no more.
    pub fn listen(&self, count: u16, listener: Rc<dyn Listener>) -> Option<Ports> {
        let mut ranges = self.0.borrow_mut();
        let first = ranges.free.take(count)?;
        ranges.listeners.insert(first.number(), (count, listener));
        Some(Ports {
            events: self.clone(),
            first,
            count,
        })
    }

    /// How many ports are listened to.
    pub fn in_use(&self) -> u32 {
        self.0.borrow().free.in_use()
    }

    /// Tells the listeners of what is in the page, for ever.
    pub async fn run(self, page: EventPage<SharedWords>, signal: Signal) {
        loop {
            for port in page.take() {
                self.tell(port);
            }
            signal.wait().await;
        }
    }

    fn tell(&self, port: EventPort) {
        // The listener may give its ports back, so it is called with nothing borrowed.
        let found = {
            let ranges = self.0.borrow();
            let below = ranges.listeners.range(..=port.number()).next_back();
            below.and_then(|(first, (count, listener))| {
                let offset = port.number() - first;
                (offset < *count).then(|| (offset, listener.clone()))
            })
        };
        if let Some((offset, listener)) = found {
            listener.event(offset);
        }
    }
}

impl Ports {
    /// The port at `offset`; the first one where the range is shorter.
    pub fn port(&self, offset: u16) -> EventPort {
        let port = self.first.after(offset).filter(|_| offset < self.count);
        port.unwrap_or(self.first)
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        let mut ranges = self.events.0.borrow_mut();
        let listener = ranges.listeners.remove(&self.first.number());
        ranges.free.give_back(self.first, self.count);
        drop(ranges);
        // Here, because what the listener owns may have ports as well.
        drop(listener);
    }
}
