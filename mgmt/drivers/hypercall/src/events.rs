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

/// Hands out ports, and takes them back.
pub struct PortAllocator {
    /// A bit for each port in use.
    used: [u64; PORTS as usize / 64],
}

impl Default for PortAllocator {
    fn default() -> Self {
        PortAllocator {
            used: [0; PORTS as usize / 64],
        }
    }
}

impl PortAllocator {
    fn word(&mut self, port: u16) -> Option<(&mut u64, u64)> {
        let word = self.used.get_mut(usize::from(port / 64))?;
        Some((word, 1 << (port % 64)))
    }

    fn is_used(&self, port: u16) -> bool {
        self.used
            .get(usize::from(port / 64))
            .is_none_or(|word| word >> (port % 64) & 1 != 0)
    }

    /// `count` ports in a row, the lowest that are free; returns the first. `None` when there are not as many left.
    pub fn take(&mut self, count: u16) -> Option<EventPort> {
        let mut first = FIRST_PORT;
        let mut port = FIRST_PORT;
        while port.checked_sub(first)? < count {
            if port >= PORTS {
                return None;
            }
            if self.is_used(port) {
                first = port + 1;
            }
            port += 1;
        }
        self.mark(first, count, |word, bit| *word |= bit);
        EventPort::new(first)
    }

    /// Takes back `count` ports from `first` on, which nobody raises any more.
    pub fn give_back(&mut self, first: EventPort, count: u16) {
        self.mark(first.number(), count, |word, bit| *word &= !bit);
    }

    /// How many ports are in use.
    pub fn in_use(&self) -> u32 {
        self.used.iter().map(|word| word.count_ones()).sum()
    }

    fn mark(&mut self, first: u16, count: u16, change: impl Fn(&mut u64, u64)) {
        for port in first..first.saturating_add(count) {
            if let Some((word, bit)) = self.word(port) {
                change(word, bit);
            }
        }
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
        assert_eq!(ports.in_use(), 4032);
    }

    #[test]
    fn ports_that_come_back_are_given_again() {
        let mut ports = PortAllocator::default();
        let [a, b, c] = [3, 70, 2].map(|count| ports.take(count).unwrap());
        ports.give_back(b, 70);
        assert_eq!(ports.in_use(), 5);
        // What does not fit into the gap comes behind.
        assert_eq!(ports.take(71).unwrap().number(), c.number() + 2);
        assert_eq!(ports.take(70), Some(b));
        ports.give_back(a, 3);
        assert_eq!(ports.take(1), Some(a));
    }
}
