//! MSI-X: a function's table of messages and its pending bits (6.8.2).

use alloc::vec;
use alloc::vec::Vec;

use crate::{BadState, BarIndex, Message, StateReader, StateWriter, Width};

/// Most vectors of a function: a pending bit each.
pub const MAX_VECTORS: u16 = 64;

const ENTRY_BYTES: u64 = 16;
const MASKED: u32 = 1;

/// Where a function has its table and its pending bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MsixPlace {
    /// The BAR.
    pub bar: BarIndex,
    /// Offset of the table in it, a multiple of 8.
    pub table: u32,
    /// Offset of the pending bits in it, a multiple of 8.
    pub pending: u32,
}

/// Four dwords as the guest sees them: address, upper address, data, vector control.
type Entry = [u32; 4];

const RESET: Entry = [0, 0, 0, MASKED];

#[derive(Clone, Debug)]
pub(crate) struct Msix {
    entries: Vec<Entry>,
    pending: u64,
}

impl Msix {
    pub fn new(vectors: u16) -> Self {
        Self {
            entries: vec![RESET; usize::from(vectors.clamp(1, MAX_VECTORS))],
            pending: 0,
        }
    }

    pub fn reset(&mut self) {
        self.entries.fill(RESET);
        self.pending = 0;
    }

    pub fn save(&self, to: &mut StateWriter) {
        to.put16(self.vectors());
        to.put64(self.pending);
        for dword in self.entries.iter().flatten() {
            to.put32(*dword);
        }
    }

    pub fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), BadState> {
        if from.take16()? != self.vectors() {
            return Err(BadState::Devices);
        }
        self.pending = from.take64()?;
        for entry in &mut self.entries {
            for dword in entry.iter_mut() {
                *dword = from.take32()?;
            }
            let [low, _, _, control] = entry;
            if *low & 3 != 0 || *control & !MASKED != 0 {
                return Err(BadState::Value);
            }
        }
        match self.pending.checked_shr(self.vectors().into()) {
            None | Some(0) => Ok(()),
            Some(_) => Err(BadState::Value),
        }
    }

    /// At most [`MAX_VECTORS`].
    pub fn vectors(&self) -> u16 {
        self.entries.len() as u16
    }

    pub fn set_pending(&mut self, vector: u16) {
        if vector < self.vectors() {
            self.pending |= 1 << vector;
        }
    }

    /// The message of a pending vector whose entry is not masked; it is not pending any more.
    pub fn take_unmasked(&mut self) -> Option<Message> {
        let mut left = self.pending;
        while left != 0 {
            let vector = left.trailing_zeros();
            left &= left - 1;
            if let Some([low, high, data, control]) = self.entries.get(vector as usize)
                && control & MASKED == 0
            {
                self.pending &= !(1 << vector);
                return Some(Message {
                    address: u64::from(*high) << 32 | u64::from(*low),
                    data: *data,
                });
            }
        }
        None
    }

    pub fn read_pending(&self, offset: u64, width: Width) -> u64 {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        width.load(&self.pending.to_le_bytes(), offset)
    }

    pub fn read_table(&self, offset: u64, width: Width) -> u64 {
        let mut value = 0;
        for index in 0..width.bytes() {
            let Some(at) = offset.checked_add(index) else {
                break;
            };
            let dword = self.dword(at).copied().unwrap_or(0);
            value |= u64::from(dword >> (at % 4 * 8) & 0xff) << (index * 8);
        }
        value
    }

    /// Of a vector control only the mask can be set, and an address is a multiple of 4.
    pub fn write_table(&mut self, offset: u64, width: Width, value: u64) {
        for index in 0..width.bytes() {
            let Some(at) = offset.checked_add(index) else {
                break;
            };
            let byte = (value >> (index * 8)) as u32 & 0xff;
            let shift = at % 4 * 8;
            if let Some(dword) = self.dword_mut(at) {
                *dword = *dword & !(0xff << shift) | byte << shift;
                match at % ENTRY_BYTES {
                    0..4 => *dword &= !3,
                    12..16 => *dword &= MASKED,
                    _ => {}
                }
            }
        }
    }

    fn dword(&self, at: u64) -> Option<&u32> {
        let entry = self.entries.get(usize::try_from(at / ENTRY_BYTES).ok()?)?;
        entry.get((at % ENTRY_BYTES / 4) as usize)
    }

    fn dword_mut(&mut self, at: u64) -> Option<&mut u32> {
        let entry = usize::try_from(at / ENTRY_BYTES).ok()?;
        let entry = self.entries.get_mut(entry)?;
        entry.get_mut((at % ENTRY_BYTES / 4) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_masked_at_first_and_keep_what_is_written() {
        let mut msix = Msix::new(3);
        assert_eq!(msix.read_table(16 + 12, Width::Dword), 1);
        msix.write_table(16, Width::Qword, 0x1_fee0_1003);
        msix.write_table(24, Width::Dword, 0x4041);
        msix.write_table(25, Width::Byte, 0x51);
        msix.write_table(28, Width::Dword, 0xffff_fffe);
        assert_eq!(msix.read_table(16, Width::Qword), 0x1_fee0_1000);
        assert_eq!(msix.read_table(24, Width::Qword), 0x5141);
        assert_eq!(msix.read_table(26, Width::Word), 0);
    }

    #[test]
    fn accesses_beyond_the_table_read_zero_and_change_nothing() {
        let mut msix = Msix::new(1);
        msix.write_table(16, Width::Dword, 7);
        msix.write_table(u64::MAX, Width::Qword, u64::MAX);
        assert_eq!(msix.read_table(16, Width::Dword), 0);
        assert_eq!(msix.read_table(u64::MAX - 3, Width::Qword), 0);
    }

    #[test]
    fn a_pending_vector_waits_for_its_mask() {
        let mut msix = Msix::new(2);
        msix.set_pending(1);
        msix.set_pending(2);
        assert_eq!(msix.read_pending(0, Width::Qword), 2);
        assert_eq!(msix.take_unmasked(), None);
        msix.write_table(16, Width::Dword, 0xfee0_0000);
        msix.write_table(24, Width::Qword, 0x31);
        let message = Message {
            address: 0xfee0_0000,
            data: 0x31,
        };
        assert_eq!(msix.take_unmasked(), Some(message));
        assert_eq!(msix.take_unmasked(), None);
        assert_eq!(msix.read_pending(0, Width::Dword), 0);
        assert_eq!(msix.read_pending(u64::MAX, Width::Qword), 0);
    }
}
