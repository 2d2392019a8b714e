//! A memory that remembers every store and lets a checker look after each, and an allocator that fails on demand.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::ports::{TableFrames, TableMemory};
use crate::addr::Hpa;
use crate::fault::ResourceError;

/// A small seeded generator (SplitMix64), so that failures repeat.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

type Watcher<'a> = Box<dyn FnMut(&Entries) + 'a>;

/// Table memory, zero until written.
#[derive(Default)]
pub struct Memory<'a> {
    pub entries: Entries,
    pub stores: u64,
    pub loads: Cell<u64>,
    pub watcher: Option<Watcher<'a>>,
}

impl TableMemory for Memory<'_> {
    fn load(&self, entry: Hpa) -> u64 {
        self.loads.set(self.loads.get() + 1);
        self.entries.load(entry)
    }

    fn store(&mut self, entry: Hpa, value: u64) {
        assert_eq!(entry.as_u64() % 8, 0);
        self.stores += 1;
        self.entries.set(entry, value);
        if let Some(watcher) = &mut self.watcher {
            watcher(&self.entries);
        }
    }
}

/// The entries by frame number, as a hardware walker sees them.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Entries(Vec<[u64; 512]>);

impl Entries {
    fn set(&mut self, entry: Hpa, value: u64) {
        let frame = (entry.as_u64() >> 12) as usize;
        if self.0.len() <= frame {
            self.0.resize(frame + 1, [0; 512]);
        }
        self.0[frame][(entry.as_u64() as usize & 0xfff) / 8] = value;
    }

    /// The table in `frame`, to compare.
    pub fn table(&self, frame: u64) -> [u64; 512] {
        self.0
            .get((frame >> 12) as usize)
            .copied()
            .unwrap_or([0; 512])
    }
}

impl TableMemory for Entries {
    fn load(&self, entry: Hpa) -> u64 {
        let index = (entry.as_u64() as usize & 0xfff) / 8;
        self.0
            .get((entry.as_u64() >> 12) as usize)
            .map_or(0, |table| table[index])
    }

    fn store(&mut self, _: Hpa, _: u64) {
        panic!("the walker does not write");
    }
}

/// Hands out frames, fails on demand, and checks what comes back.
#[derive(Default)]
pub struct Frames {
    pub live: BTreeSet<u64>,
    next: u64,
    /// Requests that succeed before all fail; `None`: all succeed.
    pub fuel: Option<u64>,
}

impl Frames {
    /// Frees are lazy: a frame is not used twice, so a use after free stays visible.
    pub fn in_use(&self) -> usize {
        self.live.len()
    }
}

impl TableFrames for Frames {
    fn allocate(&mut self) -> Result<Hpa, ResourceError> {
        match &mut self.fuel {
            Some(0) => return Err(ResourceError::HypervisorMemory),
            Some(fuel) => *fuel -= 1,
            None => {}
        }
        self.next += 1;
        let frame = self.next << 12;
        self.live.insert(frame);
        Ok(Hpa::new(frame))
    }

    fn free(&mut self, frame: Hpa) {
        assert!(self.live.remove(&frame.as_u64()), "{frame} was not in use");
    }
}
