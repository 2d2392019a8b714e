//! The machine's memory as bytes by frame, and the nested tables' entries.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::addr::{Gpa, Hpa, PAGE_SIZE};
use crate::fault::ResourceError;
use crate::host::SharedPage;
use crate::paging::fakes::Frames;
use crate::paging::{TableFrames, TableMemory};

/// Frames that were touched, zero until written; each is 512 atomic words, so that it can be shared.
#[derive(Default)]
pub struct FakeMemory {
    frames: BTreeMap<u64, SharedPage>,
    /// Frames that may not be shared any more; `None`: all may.
    pub shares_left: Option<u64>,
}

impl FakeMemory {
    fn page(&mut self, frame: u64) -> SharedPage {
        assert_eq!(frame % PAGE_SIZE, 0);
        self.frames
            .entry(frame)
            .or_insert_with(|| Box::leak(Box::new([const { AtomicU64::new(0) }; 512])))
    }

    /// The frame as a shared page.
    pub fn share(&mut self, frame: Hpa) -> Option<SharedPage> {
        match &mut self.shares_left {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        Some(self.page(frame.as_u64()))
    }

    /// Reads bytes of one frame.
    pub fn read(&mut self, at: Hpa, bytes: &mut [u8]) {
        let (frame, offset) = split(at, bytes.len());
        let Some(page) = self.frames.get(&frame) else {
            bytes.fill(0);
            return;
        };
        for (index, byte) in (offset..).zip(bytes) {
            *byte = page[index / 8].load(SeqCst).to_le_bytes()[index % 8];
        }
    }

    /// Writes bytes of one frame.
    pub fn write(&mut self, at: Hpa, bytes: &[u8]) {
        let (frame, offset) = split(at, bytes.len());
        let page = self.page(frame);
        for (index, byte) in (offset..).zip(bytes) {
            let word = &page[index / 8];
            let mut value = word.load(SeqCst).to_le_bytes();
            value[index % 8] = *byte;
            word.store(u64::from_le_bytes(value), SeqCst);
        }
    }

    /// Zeroes one frame.
    pub fn zero(&mut self, frame: Hpa) {
        assert_eq!(frame.as_u64() % PAGE_SIZE, 0);
        if let Some(page) = self.frames.get(&frame.as_u64()) {
            for word in page.iter() {
                word.store(0, SeqCst);
            }
        }
    }
}

fn split(at: Hpa, bytes: usize) -> (u64, usize) {
    let offset = (at.as_u64() % PAGE_SIZE) as usize;
    assert!(
        offset + bytes <= PAGE_SIZE as usize,
        "{at}: the access leaves its frame"
    );
    (at.as_u64() - offset as u64, offset)
}

/// The entries of one partition's nested tables; clones show the same.
#[derive(Clone, Default)]
pub struct NestedEntries(Arc<Mutex<BTreeMap<u64, u64>>>);

/// What a walker finds in the nested tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walked {
    /// Where the page begins in the machine.
    pub start: u64,
    /// Bytes of the page.
    pub bytes: u64,
    /// The leaf permits writes.
    pub writable: bool,
    /// The leaf permits fetches.
    pub executable: bool,
}

impl NestedEntries {
    /// What the hardware would find for `gpa` from `root` on.
    pub fn walk(&self, root: Hpa, gpa: Gpa) -> Option<Walked> {
        let mut table = root.as_u64();
        for shift in [39, 30, 21, 12] {
            let entry = self.load(Hpa::new(table + (gpa.as_u64() >> shift & 511) * 8));
            if entry & 1 == 0 {
                return None;
            }
            let address = entry & 0xf_ffff_ffff_f000;
            if shift == 12 || entry & 1 << 7 != 0 {
                return Some(Walked {
                    start: address & !((1 << shift) - 1),
                    bytes: 1 << shift,
                    writable: entry & 2 != 0,
                    executable: entry >> 63 == 0,
                });
            }
            table = address;
        }
        None
    }
}

impl TableMemory for NestedEntries {
    fn load(&self, entry: Hpa) -> u64 {
        let entries = self.0.lock().unwrap();
        entries.get(&entry.as_u64()).copied().unwrap_or(0)
    }

    fn store(&mut self, entry: Hpa, value: u64) {
        assert_eq!(entry.as_u64() % 8, 0);
        self.0.lock().unwrap().insert(entry.as_u64(), value);
    }
}

/// The frames of all nested tables; clones share them.
#[derive(Clone, Default)]
pub struct NestedFrames(Arc<Mutex<Frames>>);

impl NestedFrames {
    /// How many are in use.
    pub fn in_use(&self) -> usize {
        self.0.lock().unwrap().in_use()
    }

    /// Lets so many more requests succeed; `None`: all.
    pub fn set_fuel(&self, fuel: Option<u64>) {
        self.0.lock().unwrap().fuel = fuel;
    }
}

impl TableFrames for NestedFrames {
    fn allocate(&mut self) -> Result<Hpa, ResourceError> {
        self.0.lock().unwrap().allocate()
    }

    fn free(&mut self, frame: Hpa) {
        self.0.lock().unwrap().free(frame);
    }
}
