//! [`FakeRam`]: memory for tests.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::cell::{Cell, RefCell};

use crate::{Gpa, GuestRam, NotRam, RamLayout};

const PAGE: u64 = 4096;

/// Memory for tests: zeros, of any size, of which only pages that were written exist. Counts what is done to it.
#[derive(Debug)]
pub struct FakeRam {
    layout: RamLayout,
    pages: RefCell<BTreeMap<u64, Box<[u8; PAGE as usize]>>>,
    accesses: Cell<u64>,
    refused: Cell<u64>,
}

impl FakeRam {
    /// `bytes` of RAM, laid out as [`RamLayout`] has it.
    pub fn new(bytes: u64) -> Self {
        Self {
            layout: RamLayout { bytes },
            pages: RefCell::default(),
            accesses: Cell::new(0),
            refused: Cell::new(0),
        }
    }

    /// Where it lies.
    pub fn layout(&self) -> RamLayout {
        self.layout
    }

    /// How many accesses there were, refused ones included.
    pub fn accesses(&self) -> u64 {
        self.accesses.get()
    }

    /// How many accesses were refused.
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    fn check(&self, at: Gpa, bytes: u64) -> Result<(), NotRam> {
        self.accesses.set(self.accesses.get().saturating_add(1));
        if bytes == 0 || self.layout.contains(at, bytes) {
            return Ok(());
        }
        self.refused.set(self.refused.get().saturating_add(1));
        Err(NotRam { at, bytes })
    }

    fn check_aligned(&self, at: Gpa) -> Result<(), NotRam> {
        if at.0.is_multiple_of(2) {
            return Ok(());
        }
        self.refused.set(self.refused.get().saturating_add(1));
        Err(NotRam { at, bytes: 2 })
    }
}

/// Cuts `bytes` from `at` on at page borders: page number, offset in it, bytes.
fn pieces(at: Gpa, bytes: u64) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let left = bytes.checked_sub(done).filter(|left| *left > 0)?;
        let address = at.0.wrapping_add(done);
        let offset = address % PAGE;
        let here = left.min(PAGE - offset);
        done += here;
        Some((address / PAGE, offset as usize, here as usize))
    })
}

impl GuestRam for FakeRam {
    fn read(&self, at: Gpa, into: &mut [u8]) -> Result<(), NotRam> {
        self.check(at, into.len() as u64)?;
        let pages = self.pages.borrow();
        let mut rest = into;
        for (number, offset, bytes) in pieces(at, rest.len() as u64) {
            let (here, behind) = core::mem::take(&mut rest).split_at_mut(bytes);
            rest = behind;
            match pages
                .get(&number)
                .and_then(|page| page.get(offset..)?.get(..bytes))
            {
                Some(source) => here.copy_from_slice(source),
                None => here.fill(0),
            }
        }
        Ok(())
    }

    fn write(&self, at: Gpa, from: &[u8]) -> Result<(), NotRam> {
        self.check(at, from.len() as u64)?;
        let mut pages = self.pages.borrow_mut();
        let mut rest = from;
        for (number, offset, bytes) in pieces(at, from.len() as u64) {
            let (here, behind) = rest.split_at(bytes);
            rest = behind;
            let page = pages
                .entry(number)
                .or_insert_with(|| Box::new([0; PAGE as usize]));
            if let Some(target) = page.get_mut(offset..).and_then(|p| p.get_mut(..bytes)) {
                target.copy_from_slice(here);
            }
        }
        Ok(())
    }

    fn load_u16(&self, at: Gpa) -> Result<u16, NotRam> {
        self.check_aligned(at)?;
        let mut bytes = [0; 2];
        self.read(at, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn store_u16(&self, at: Gpa, value: u16) -> Result<(), NotRam> {
        self.check_aligned(at)?;
        self.write(at, &value.to_le_bytes())
    }

    fn zero(&self, at: Gpa, bytes: u64) -> Result<(), NotRam> {
        self.check(at, bytes)?;
        let mut pages = self.pages.borrow_mut();
        for (number, offset, bytes) in pieces(at, bytes) {
            let Some(page) = pages.get_mut(&number) else {
                continue;
            };
            if let Some(target) = page.get_mut(offset..).and_then(|p| p.get_mut(..bytes)) {
                target.fill(0);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_across_pages_and_others_are_zero() {
        let ram = FakeRam::new(5 << 30);
        let at = Gpa((4 << 30) + 4094);
        ram.write(at, &[1, 2, 3, 4]).unwrap();
        let mut bytes = [9; 8];
        ram.read(Gpa(at.0 - 2), &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 1, 2, 3, 4, 0, 0]);
        assert_eq!(ram.load_u16(Gpa(at.0 + 2)), Ok(0x0403));
        ram.store_u16(Gpa(at.0 + 2), 0xbbaa).unwrap();
        ram.zero(at, 3).unwrap();
        ram.read(at, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 0, 0xbb, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_not_ram_is_refused_as_a_whole() {
        let ram = FakeRam::new(1 << 20);
        let end = Gpa((1 << 20) - 2);
        assert!(ram.write(end, &[1, 2, 3]).is_err());
        let mut bytes = [9; 2];
        ram.read(end, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0]);
        assert!(ram.read(Gpa(u64::MAX), &mut bytes).is_err());
        assert!(ram.load_u16(Gpa(1)).is_err());
        assert!(ram.store_u16(Gpa(1), 0).is_err());
        assert!(ram.zero(Gpa(4096), u64::MAX).is_err());
        assert_eq!(ram.refused(), 5);
        assert_eq!(ram.read(Gpa(u64::MAX), &mut []), Ok(()));
    }
}
