//! [`Planner`]: the plan under way, which every kind of image fills.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use bulkhead_abi::partition::BootState;
use vmm_ram::Gpa;

use crate::order::MAX_MODULES;
use crate::places::{END, Places};
use crate::{Copy, FileIndex, ImageFile, LoadError, LoadOrder, Piece, Plan, Refusal};

/// The first megabyte, from above what firmware and the first steps of a kernel's other processors use.
const LOW: Range<u64> = 0x1_0000..0xa_0000;
/// Where big things begin.
const HIGH: u64 = 1 << 20;
const PAGE: u64 = 4096;

/// A plan under way.
#[derive(Debug)]
pub struct Planner<'a, F> {
    /// What is to be loaded.
    pub order: &'a LoadOrder<'a, F>,
    /// Which memory is free.
    pub places: Places,
    copies: Vec<Copy>,
    zeros: Vec<(Gpa, u64)>,
    writes: Vec<(Gpa, Vec<u8>)>,
}

/// A module in memory.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// Its first byte.
    pub start: u32,
    /// Its bytes.
    pub bytes: u32,
    /// Its text.
    pub text: &'a str,
}

impl<'a, F: ImageFile> Planner<'a, F> {
    /// Nothing is loaded yet.
    ///
    /// # Errors
    /// For an order that no kind of image can fulfil.
    pub fn new(order: &'a LoadOrder<'a, F>) -> Result<Self, Refusal> {
        let modules = order.modules.len();
        if modules > MAX_MODULES {
            return Err(Refusal::TooManyModules(modules));
        }
        if order.command_line.contains('\0') {
            return Err(Refusal::ZeroInText(Piece::CommandLine));
        }
        let mut modules = order.modules.iter();
        if let Some(index) = modules.position(|module| module.text.contains('\0')) {
            return Err(Refusal::ZeroInText(Piece::Module(index)));
        }
        Ok(Self {
            order,
            places: Places::new(order.memory_map),
            copies: Vec::new(),
            zeros: Vec::new(),
            writes: Vec::new(),
        })
    }

    /// Reads a part of a file.
    ///
    /// # Errors
    /// Where the file ends before, or cannot be read.
    pub async fn read(
        &self,
        index: FileIndex,
        offset: u64,
        bytes: usize,
    ) -> Result<Vec<u8>, LoadError<F::Error>> {
        let file = self.order.file(index).ok_or(Refusal::Truncated(index))?;
        let end = offset.checked_add(bytes as u64);
        end.filter(|end| *end <= file.bytes())
            .ok_or(Refusal::Truncated(index))?;
        let mut into = vec![0; bytes];
        file.read(offset, &mut into)
            .await
            .map_err(|error| LoadError::Read { file: index, error })?;
        Ok(into)
    }

    /// Notes a copy to a place that was taken.
    ///
    /// # Errors
    /// Where the file ends before.
    pub fn copy(&mut self, copy: Copy) -> Result<(), Refusal> {
        let Copy { file, .. } = copy;
        let bytes = self.order.file(file).map_or(0, ImageFile::bytes);
        copy.offset
            .checked_add(copy.bytes)
            .filter(|end| *end <= bytes)
            .ok_or(Refusal::Truncated(file))?;
        if copy.bytes > 0 {
            self.copies.push(copy);
        }
        Ok(())
    }

    /// Notes what must be zero in a place that was taken.
    pub fn zero(&mut self, at: u64, bytes: u64) {
        if bytes > 0 {
            self.zeros.push((Gpa(at), bytes));
        }
    }

    /// Takes a place for what is copied, and what is zero behind it.
    ///
    /// # Errors
    /// Where the place is not free, or the file ends before.
    pub fn load(&mut self, copy: Copy, memory_bytes: u64, piece: Piece) -> Result<(), Refusal> {
        self.places.claim(copy.to.0, memory_bytes, piece)?;
        self.copy(copy)?;
        let end = copy.to.0.saturating_add(copy.bytes);
        self.zero(end, memory_bytes.saturating_sub(copy.bytes));
        Ok(())
    }

    /// Finds a place for what the loader makes, low where possible, and notes it.
    ///
    /// # Errors
    /// Where there is no room.
    pub fn write(&mut self, bytes: Vec<u8>, align: u64, piece: Piece) -> Result<u32, Refusal> {
        self.write_with(align, piece, |_| bytes.clone())
    }

    /// The same for what has its own address in it; `make` returns as many bytes for any address.
    ///
    /// # Errors
    /// Where there is no room.
    pub fn write_with(
        &mut self,
        align: u64,
        piece: Piece,
        make: impl Fn(u32) -> Vec<u8>,
    ) -> Result<u32, Refusal> {
        let at = self.room(make(0).len() as u64, align, piece)?;
        self.writes.push((Gpa(u64::from(at)), make(at)));
        Ok(at)
    }

    /// Takes room for something small, low where possible.
    ///
    /// # Errors
    /// Where there is none.
    pub fn room(&mut self, bytes: u64, align: u64, piece: Piece) -> Result<u32, Refusal> {
        let low = self.places.lowest(bytes, align, LOW, piece);
        let at = low.or_else(|_| self.places.lowest(bytes, align, HIGH..END, piece))?;
        below_4_gib(at, bytes, piece)
    }

    /// Takes room for something big, behind everything where possible: some kernels take the memory behind them for
    /// their own before they look at the map.
    ///
    /// # Errors
    /// Where there is none.
    pub fn room_behind(&mut self, bytes: u64, piece: Piece) -> Result<u32, Refusal> {
        let behind = self.places.end_of_taken().max(HIGH);
        let found = self.places.lowest(bytes, PAGE, behind..END, piece);
        let at = found.or_else(|_| self.places.lowest(bytes, PAGE, HIGH..END, piece))?;
        below_4_gib(at, bytes, piece)
    }

    /// The command line with its zero byte, where there is one.
    ///
    /// # Errors
    /// Where it has more than `limit` bytes.
    pub fn command_line(&self, limit: u32) -> Result<Option<Vec<u8>>, Refusal> {
        let text = self.order.command_line;
        let bytes = text.len();
        if usize::try_from(limit).is_ok_and(|limit| bytes > limit) {
            return Err(Refusal::CommandLineTooLong { bytes, limit });
        }
        Ok((bytes > 0).then(|| with_zero(text)))
    }

    /// Places all modules on pages of their own.
    ///
    /// # Errors
    /// Where there is no room.
    pub fn modules(&mut self) -> Result<Vec<Placed<'a>>, Refusal> {
        let order = self.order;
        let mut placed = Vec::with_capacity(order.modules.len());
        for (index, module) in order.modules.iter().enumerate() {
            let bytes = module.file.bytes();
            let piece = Piece::Module(index);
            let start = self.room_behind(bytes, piece)?;
            self.copy(Copy {
                file: FileIndex::Module(index),
                offset: 0,
                bytes,
                to: Gpa(u64::from(start)),
            })?;
            placed.push(Placed {
                start,
                bytes: u32::try_from(bytes).map_err(|_| Refusal::NoRoom { piece, bytes })?,
                text: module.text,
            });
        }
        Ok(placed)
    }

    /// The plan is complete.
    pub fn finish(self, boot: BootState) -> Plan {
        Plan {
            copies: self.copies,
            zeros: self.zeros,
            writes: self.writes,
            boot,
        }
    }
}

/// A text as C has it.
pub fn with_zero(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len().saturating_add(1));
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes
}

/// Addresses from [`Places`] are below 4 GiB, except the end of it for no bytes.
fn below_4_gib(at: u64, bytes: u64, piece: Piece) -> Result<u32, Refusal> {
    u32::try_from(at).map_err(|_| Refusal::NoRoom { piece, bytes })
}
