//! [`BarMap`]: which function answers at an address.

use alloc::vec::Vec;

use crate::{BarIndex, Function, Slot, Width};

/// The memory that the host bridge forwards to its bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryWindow {
    /// Its first address.
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
}

/// What lies at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BarHit {
    /// Whose it is.
    pub slot: Slot,
    /// Its BAR.
    pub bar: BarIndex,
    /// The offset from the BAR's base; the access lies in the BAR as a whole.
    pub offset: u64,
}

#[derive(Clone, Copy, Debug)]
struct Mapped {
    start: u64,
    end: u64,
    slot: Slot,
    bar: BarIndex,
}

/// The BARs that answer, by address. They do not overlap: where a guest makes them, the first device has the addresses.
#[derive(Debug)]
pub struct BarMap {
    window: MemoryWindow,
    mapped: Vec<Mapped>,
}

impl BarMap {
    /// The map of a bus behind this window on which nothing answers yet.
    pub const fn new(window: MemoryWindow) -> Self {
        Self {
            window,
            mapped: Vec::new(),
        }
    }

    /// Looks at all functions anew: after a write to one's configuration header.
    pub fn rebuild<'a>(&mut self, functions: impl Iterator<Item = (Slot, &'a Function)>) {
        self.mapped.clear();
        for (slot, function) in functions {
            for (bar, start, bytes) in function.mapped_bars() {
                let end = start.saturating_add(bytes);
                let forwarded = start >= self.window.start && end <= self.window.end;
                let taken = |other: &Mapped| start < other.end && other.start < end;
                if forwarded && !self.mapped.iter().any(taken) {
                    self.mapped.push(Mapped {
                        start,
                        end,
                        slot,
                        bar,
                    });
                }
            }
        }
        self.mapped.sort_unstable_by_key(|mapped| mapped.start);
    }

    /// What answers an access.
    pub fn find(&self, address: u64, width: Width) -> Option<BarHit> {
        let behind = self.mapped.partition_point(|mapped| mapped.end <= address);
        let mapped = self.mapped.get(behind)?;
        let offset = address.checked_sub(mapped.start)?;
        (width.bytes() <= mapped.end - address).then_some(BarHit {
            slot: mapped.slot,
            bar: mapped.bar,
            offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, command};

    const WINDOW: MemoryWindow = MemoryWindow {
        start: 0xd000_0000,
        end: 0xe000_0000,
    };

    fn function(base: u32) -> Function {
        let mut function = Function::new(Identity::default());
        function.add_bar(BarIndex::ZERO, 0x4000).unwrap();
        function.write(0x10, Width::Dword, u64::from(base));
        function.write(0x04, Width::Word, u64::from(command::MEMORY));
        function
    }

    fn map(functions: &[Function]) -> BarMap {
        let mut map = BarMap::new(WINDOW);
        map.rebuild(
            functions
                .iter()
                .enumerate()
                .map(|(slot, function)| (Slot::new(slot as u8).unwrap(), function)),
        );
        map
    }

    #[test]
    fn an_access_hits_the_bar_that_has_all_of_it() {
        let map = map(&[function(0xd001_0000), function(0xd000_4000)]);
        let hit = map.find(0xd000_7ffc, Width::Dword).unwrap();
        assert_eq!((hit.slot.number(), hit.offset), (1, 0x3ffc));
        assert_eq!(map.find(0xd001_0000, Width::Byte).unwrap().slot.number(), 0);
        assert_eq!(map.find(0xd000_7ffd, Width::Dword), None);
        assert_eq!(map.find(0xd000_3fff, Width::Word), None);
        assert_eq!(map.find(0xd001_4000, Width::Byte), None);
        assert_eq!(map.find(u64::MAX, Width::Qword), None);
    }

    #[test]
    fn the_first_of_overlapping_bars_answers() {
        let map = map(&[function(0xd000_0000), function(0xd000_0000)]);
        assert_eq!(map.find(0xd000_0000, Width::Byte).unwrap().slot.number(), 0);
    }

    #[test]
    fn outside_the_window_nothing_answers() {
        let map = map(&[function(0xfee0_0000), function(0)]);
        assert_eq!(map.find(0xfee0_0000, Width::Dword), None);
        assert_eq!(map.find(0, Width::Dword), None);
    }
}
