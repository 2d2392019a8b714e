//! A disk in memory with a write cache and a power switch.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use store::{Opened, SECTOR_BYTES, open};

use crate::{Library, Medium, MediumSectors, StoreCatalog};

type Sector = [u8; SECTOR_BYTES];

/// The disk. After `power` writes and flushes, none has an effect any more: they fail.
pub struct FakeDisk {
    sectors: u64,
    durable: RefCell<BTreeMap<u64, Sector>>,
    cached: RefCell<Vec<(u64, Sector)>>,
    power: Cell<u64>,
    pub steps: Cell<u64>,
}

impl FakeDisk {
    pub fn new(sectors: u64) -> Rc<Self> {
        Rc::new(FakeDisk {
            sectors,
            durable: RefCell::default(),
            cached: RefCell::default(),
            power: Cell::new(u64::MAX),
            steps: Cell::new(0),
        })
    }

    /// Lets the power go after so many more writes and flushes.
    pub fn cut_after(&self, steps: u64) {
        self.power.set(self.steps.get() + steps);
    }

    /// The disk when the power is back: each sector written since the last flush is there, in part or not.
    pub fn restart(&self, mut random: impl FnMut() -> u32) -> Rc<Self> {
        let mut durable = self.durable.borrow().clone();
        for (sector, bytes) in &*self.cached.borrow() {
            let old = durable.get(sector).copied().unwrap_or([0; SECTOR_BYTES]);
            let mut torn = *bytes;
            match random() % 8 {
                0..3 => torn = old,
                3..7 => {}
                _ => {
                    let cut = random() as usize % SECTOR_BYTES;
                    torn[cut..].copy_from_slice(&old[cut..]);
                }
            }
            durable.insert(*sector, torn);
        }
        let disk = FakeDisk::new(self.sectors);
        *disk.durable.borrow_mut() = durable;
        disk
    }

    fn step(&self) -> Result<(), &'static str> {
        if self.steps.get() >= self.power.get() {
            return Err("the power is off");
        }
        self.steps.set(self.steps.get() + 1);
        Ok(())
    }
}

impl Medium for FakeDisk {
    type Error = &'static str;

    fn sectors(&self) -> u64 {
        self.sectors
    }

    async fn read(&self, sector: u64, into: &mut [u8]) -> Result<(), &'static str> {
        assert!(into.len().is_multiple_of(SECTOR_BYTES) && !into.is_empty());
        let cached = self.cached.borrow();
        for (offset, bytes) in into.chunks_mut(SECTOR_BYTES).enumerate() {
            let at = sector + offset as u64;
            assert!(at < self.sectors);
            let newest = cached.iter().rev().find(|(known, _)| *known == at);
            let durable = || self.durable.borrow().get(&at).copied();
            let found = newest.map(|(_, bytes)| *bytes).or_else(durable);
            bytes.copy_from_slice(&found.unwrap_or([0; SECTOR_BYTES]));
        }
        Ok(())
    }

    async fn write(&self, sector: u64, data: &[u8]) -> Result<(), &'static str> {
        assert!(data.len().is_multiple_of(SECTOR_BYTES) && !data.is_empty());
        self.step()?;
        for (offset, bytes) in data.chunks(SECTOR_BYTES).enumerate() {
            let at = sector + offset as u64;
            assert!(at < self.sectors);
            let bytes = bytes.try_into().unwrap();
            self.cached.borrow_mut().push((at, bytes));
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), &'static str> {
        self.step()?;
        let cached = self.cached.take();
        self.durable.borrow_mut().extend(cached);
        Ok(())
    }
}

pub type FakeLibrary = Library<Rc<FakeDisk>, StoreCatalog<FakeDisk>>;

/// The library on a disk, which must be undamaged.
pub fn library(disk: &Rc<FakeDisk>) -> FakeLibrary {
    let opened = now(open(&MediumSectors(&**disk))).unwrap();
    let (Opened::Existing(store) | Opened::Blank(store)) = opened;
    let start = store.data_start();
    let catalog = StoreCatalog::new(store, disk.clone());
    let (library, damages) = Library::open(disk.clone(), catalog, start);
    assert_eq!(damages, []);
    library
}

/// Runs a future that never waits.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}
