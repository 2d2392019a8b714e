//! A disk in memory with a write cache: after a power cut any subset of the sectors written since the last flush is
//! there, some of them torn.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::{SECTOR_BYTES, Sectors, Step};

pub const SECTORS: u64 = 8192;

#[derive(Clone)]
pub struct FakeDisk {
    durable: BTreeMap<u64, [u8; SECTOR_BYTES]>,
    cached: Vec<(u64, [u8; SECTOR_BYTES])>,
}

impl FakeDisk {
    pub fn blank() -> Self {
        FakeDisk {
            durable: BTreeMap::new(),
            cached: Vec::new(),
        }
    }

    pub fn set(&mut self, sector: u64, bytes: [u8; SECTOR_BYTES]) {
        self.durable.insert(sector, bytes);
    }

    pub fn sector(&self, sector: u64) -> [u8; SECTOR_BYTES] {
        self.durable
            .get(&sector)
            .copied()
            .unwrap_or([0; SECTOR_BYTES])
    }

    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Flush => self.durable.extend(self.cached.drain(..)),
            Step::Write { sector, data } => {
                assert!(data.len().is_multiple_of(SECTOR_BYTES) && !data.is_empty());
                for (offset, bytes) in data.chunks(SECTOR_BYTES).enumerate() {
                    let bytes = bytes.try_into().unwrap();
                    assert!(sector + (offset as u64) < SECTORS);
                    self.cached.push((sector + offset as u64, bytes));
                }
            }
        }
    }

    /// The disk after a power cut: `random` decides for each cached sector whether it is there, in part or not.
    pub fn cut(&self, mut random: impl FnMut() -> u32) -> Self {
        let mut disk = self.clone();
        for (sector, bytes) in disk.cached.split_off(0) {
            let old = disk.sector(sector);
            let whole = match random() % 8 {
                0..3 => old,
                3..7 => bytes,
                _ => {
                    let cut = random() as usize % SECTOR_BYTES;
                    let mut torn = old;
                    torn[..cut].copy_from_slice(&bytes[..cut]);
                    torn
                }
            };
            disk.durable.insert(sector, whole);
        }
        disk
    }
}

impl Sectors for FakeDisk {
    type Error = std::convert::Infallible;

    fn sectors(&self) -> u64 {
        SECTORS
    }

    async fn read(&self, sector: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        for (offset, bytes) in into.chunks_mut(SECTOR_BYTES).enumerate() {
            bytes.copy_from_slice(&self.sector(sector + offset as u64));
        }
        Ok(())
    }
}

/// Runs a future that never waits.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}
