//! The hypervisor's side of the event page (`bulkhead_abi::event`).

use core::sync::atomic::Ordering::SeqCst;

use bulkhead_abi::event::{FIRST_PORT, PORTS};

use crate::host::SharedPage;
use crate::id::Vector;

/// An event port, checked to be in the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventPort(u16);

impl EventPort {
    /// The port of this number, from [`FIRST_PORT`] to [`PORTS`] - 1.
    pub const fn new(number: u64) -> Option<Self> {
        if number >= FIRST_PORT as u64 && number < PORTS as u64 {
            Some(Self(number as u16))
        } else {
            None
        }
    }

    /// The port `count` further; `None` past the last.
    pub const fn offset(self, count: u16) -> Option<Self> {
        Self::new(self.0 as u64 + count as u64)
    }
}

/// A registered event page.
#[derive(Clone, Copy, Debug)]
pub struct EventPage {
    page: SharedPage,
    vector: Vector,
}

impl EventPage {
    /// Events go to `page`; the first one after the partition looked posts `vector`.
    pub fn new(page: SharedPage, vector: Vector) -> Self {
        Self { page, vector }
    }

    /// Raises a port's event; the vector to post to the partition's vCPU 0, if it must be told.
    #[inline]
    pub fn raise(&self, port: EventPort) -> Option<Vector> {
        let word = usize::from(port.0 / 64);
        let (Some(selector), Some(events)) = (self.page.first(), self.page.get(word)) else {
            return None;
        };
        // SeqCst: the bit is visible before its selector bit, and both before the vector; partner of the partition's
        // exchanges of selector and word.
        events.fetch_or(1 << (port.0 % 64), SeqCst);
        (selector.fetch_or(1 << word, SeqCst) == 0).then_some(self.vector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU64;

    fn page() -> SharedPage {
        Box::leak(Box::new([const { AtomicU64::new(0) }; 512]))
    }

    #[test]
    fn the_first_event_tells_and_later_ones_coalesce() {
        let words = page();
        let page = EventPage::new(words, Vector(0x50));
        assert_eq!(page.raise(EventPort::new(64).unwrap()), Some(Vector(0x50)));
        assert_eq!(page.raise(EventPort::new(4095).unwrap()), None);
        assert_eq!(words[0].load(SeqCst), 1 << 1 | 1 << 63);
        assert_eq!(words[1].load(SeqCst), 1);
        assert_eq!(words[63].load(SeqCst), 1 << 63);
        words[0].store(0, SeqCst);
        assert_eq!(page.raise(EventPort::new(65).unwrap()), Some(Vector(0x50)));
    }

    #[test]
    fn ports_outside_of_the_page_do_not_exist() {
        assert_eq!(EventPort::new(63), None);
        assert_eq!(EventPort::new(4096), None);
        assert_eq!(EventPort::new(4095).unwrap().offset(1), None);
        assert_eq!(EventPort::new(u64::MAX), None);
    }
}
