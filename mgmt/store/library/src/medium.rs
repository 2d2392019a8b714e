//! The disk that the library is on.

use alloc::rc::Rc;
use core::fmt::Display;
use core::future::Future;

use store::Sectors;

/// A disk that can be read and written, in whole sectors of [`store::SECTOR_BYTES`].
pub trait Medium {
    /// What can go wrong.
    type Error: Display;

    /// Number of sectors.
    fn sectors(&self) -> u64;

    /// Reads whole sectors from `sector` on.
    fn read(&self, sector: u64, into: &mut [u8]) -> impl Future<Output = Result<(), Self::Error>>;

    /// Writes whole sectors from `sector` on; durable after the next [`Medium::flush`].
    fn write(&self, sector: u64, data: &[u8]) -> impl Future<Output = Result<(), Self::Error>>;

    /// Makes all writes so far durable.
    fn flush(&self) -> impl Future<Output = Result<(), Self::Error>>;
}

impl<M: Medium> Medium for Rc<M> {
    type Error = M::Error;

    fn sectors(&self) -> u64 {
        (**self).sectors()
    }

    async fn read(&self, sector: u64, into: &mut [u8]) -> Result<(), M::Error> {
        (**self).read(sector, into).await
    }

    async fn write(&self, sector: u64, data: &[u8]) -> Result<(), M::Error> {
        (**self).write(sector, data).await
    }

    async fn flush(&self) -> Result<(), M::Error> {
        (**self).flush().await
    }
}

/// A medium as the configuration store reads it.
pub struct MediumSectors<'a, M>(pub &'a M);

impl<M: Medium> Sectors for MediumSectors<'_, M> {
    type Error = M::Error;

    fn sectors(&self) -> u64 {
        self.0.sectors()
    }

    async fn read(&self, sector: u64, into: &mut [u8]) -> Result<(), M::Error> {
        self.0.read(sector, into).await
    }
}
