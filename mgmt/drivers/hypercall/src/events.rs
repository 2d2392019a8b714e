//! The event page, as the partition reads it, and the numbers of its ports.

use alloc::vec::Vec;

use bulkhead_abi::event::{FIRST_PORT, PORTS};

/// A number in the event page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EventPort(u16);

impl EventPort {
    /// The port of this number; `None` outside the page.
    pub const fn new(number: u16) -> Option<Self> {
        if number >= FIRST_PORT && number < PORTS {
            Some(EventPort(number))
        } else {
            None
        }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The port `count` after this one; `None` outside the page.
    pub const fn after(self, count: u16) -> Option<Self> {
        match self.0.checked_add(count) {
            Some(number) => Self::new(number),
            None => None,
        }
    }
}

/// Hands out ports; they are never given back, since partitions come only with the machine's start.
pub struct PortAllocator(u16);

impl Default for PortAllocator {
    fn default() -> Self {
        PortAllocator(FIRST_PORT)
    }
}

impl PortAllocator {
    /// `count` ports in a row, the first of which is returned; `None` when there are not as many left.
    pub fn take(&mut self, count: u16) -> Option<EventPort> {
        let first = EventPort::new(self.0)?;
        let end = self.0.checked_add(count).filter(|&end| end <= PORTS)?;
        self.0 = end;
        Some(first)
    }
}

/// The page's words.
pub trait EventWords {
    /// Takes word `index` (0 to 63), atomically leaving 0.
    fn exchange(&self, index: u16) -> u64;
}

/// The page.
pub struct EventPage<W>(W);

impl<W: EventWords> EventPage<W> {
    /// The page of these words.
    pub const fn new(words: W) -> Self {
        EventPage(words)
    }

    /// Takes all ports that were raised since the last call, in order of their numbers.
    pub fn take(&self) -> Vec<EventPort> {
        let mut ports = Vec::new();
        // The selector first: what is raised later sets it again and posts the vector.
        for index in bits(self.0.exchange(0) & !1) {
            let word = self.0.exchange(index);
            ports.extend(bits(word).filter_map(|bit| EventPort::new(index * 64 + bit)));
        }
        ports
    }
}

fn bits(word: u64) -> impl Iterator<Item = u16> {
    (0..64).filter(move |bit| word >> bit & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Words([Cell<u64>; 64]);

    impl EventWords for &Words {
        fn exchange(&self, index: u16) -> u64 {
            self.0[usize::from(index)].replace(0)
        }
    }

    #[test]
    fn raised_ports_are_taken_once() {
        let words = Words([const { Cell::new(0) }; 64]);
        words.0[0].set(1 << 1 | 1 << 63 | 1);
        words.0[1].set(0b101);
        words.0[63].set(1 << 63);
        // Set, but its selector bit comes only later.
        words.0[5].set(1);
        let page = EventPage::new(&words);
        let numbers: Vec<u16> = page.take().iter().map(|port| port.number()).collect();
        assert_eq!(numbers, [64, 66, 4095]);
        assert!(page.take().is_empty());
        words.0[0].set(1 << 5);
        assert_eq!(page.take(), [EventPort(320)]);
    }

    #[test]
    fn ports_run_out() {
        let mut ports = PortAllocator::default();
        assert_eq!(ports.take(4000).unwrap().number(), 64);
        assert_eq!(ports.take(33), None);
        assert_eq!(ports.take(32).unwrap().number(), 4064);
        assert_eq!(ports.take(1), None);
    }
}
