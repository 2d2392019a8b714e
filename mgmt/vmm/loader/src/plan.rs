//! [`Plan`]: what goes where, and how the guest is entered.

use alloc::vec::Vec;
use core::fmt;

use bulkhead_abi::partition::BootState;
use vmm_ram::{Gpa, GuestRam, NotRam};

use crate::{FileIndex, ImageFile, LoadOrder};

#[cfg(test)]
mod tests;

/// Bytes of a file that go into memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Copy {
    /// Which file.
    pub file: FileIndex,
    /// Where they are in it.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// Where they go.
    pub to: Gpa,
}

/// How to load an image. Its parts do not overlap, lie in usable RAM below 4 GiB, and may be carried out in any order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Bytes of files.
    pub copies: Vec<Copy>,
    /// What must be zero: where it begins, and its bytes.
    pub zeros: Vec<(Gpa, u64)>,
    /// What the loader makes itself.
    pub writes: Vec<(Gpa, Vec<u8>)>,
    /// What the first processor starts in.
    pub boot: BootState,
}

/// Why a plan was not carried out. The guest's memory is half written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApplyError<E> {
    /// The store did not deliver a file.
    Read {
        /// The file.
        file: FileIndex,
        /// What the store says.
        error: E,
    },
    /// The order is not the one that the plan was made for.
    NoSuchFile(FileIndex),
    /// The memory map promised RAM that is not there.
    NotRam(NotRam),
    /// The buffer for copies has no bytes.
    NoBuffer,
}

impl<E> From<NotRam> for ApplyError<E> {
    fn from(error: NotRam) -> Self {
        Self::NotRam(error)
    }
}

impl<E: fmt::Display> fmt::Display for ApplyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, error } => write!(f, "{file} cannot be read: {error}"),
            Self::NoSuchFile(file) => write!(f, "{file} is not in this order"),
            Self::NotRam(error) => error.fmt(f),
            Self::NoBuffer => f.write_str("the buffer for copies is empty"),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> core::error::Error for ApplyError<E> {}

impl Plan {
    /// Carries the plan out, with copies through `buffer`.
    ///
    /// # Errors
    /// Where a file cannot be read, or `ram` is not what the order's memory map said.
    pub async fn apply<F: ImageFile>(
        &self,
        order: &LoadOrder<'_, F>,
        ram: &impl GuestRam,
        buffer: &mut [u8],
    ) -> Result<(), ApplyError<F::Error>> {
        for (at, bytes) in &self.zeros {
            ram.zero(*at, *bytes)?;
        }
        for (at, bytes) in &self.writes {
            ram.write(*at, bytes)?;
        }
        for copy in &self.copies {
            copy.apply(order, ram, buffer).await?;
        }
        Ok(())
    }

    /// Every range of memory that the plan writes: where it begins, and its bytes.
    pub fn ranges(&self) -> impl Iterator<Item = (Gpa, u64)> {
        let copies = self.copies.iter().map(|copy| (copy.to, copy.bytes));
        let writes = self
            .writes
            .iter()
            .map(|(at, bytes)| (*at, bytes.len() as u64));
        copies.chain(self.zeros.iter().copied()).chain(writes)
    }
}

impl Copy {
    async fn apply<F: ImageFile>(
        &self,
        order: &LoadOrder<'_, F>,
        ram: &impl GuestRam,
        buffer: &mut [u8],
    ) -> Result<(), ApplyError<F::Error>> {
        let Self { file, .. } = *self;
        let source = order.file(file).ok_or(ApplyError::NoSuchFile(file))?;
        let mut done = 0;
        while let Some(left) = self.bytes.checked_sub(done).filter(|left| *left > 0) {
            let size = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let piece = buffer
                .get_mut(..size)
                .filter(|piece| !piece.is_empty())
                .ok_or(ApplyError::NoBuffer)?;
            source
                .read(self.offset.saturating_add(done), piece)
                .await
                .map_err(|error| ApplyError::Read { file, error })?;
            ram.write(Gpa(self.to.0.saturating_add(done)), piece)?;
            done = done.saturating_add(size as u64);
        }
        Ok(())
    }
}
