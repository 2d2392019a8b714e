//! Remembers how long intercepted instructions are, for CPUs without NRIPS.
//!
//! The key is the linear address of the instruction, the CR3 and the exit code. A guest that overwrites an intercepted
//! instruction with the same instruction in another encoding (a redundant prefix more or less) at the same address, without
//! changing CR3, would see its own RIP go wrong by that prefix; no other state depends on the cache.

use crate::virtualization::pages::Zeroed;

/// Entries; a power of two.
const ENTRIES: usize = 64;

#[derive(Clone, Copy, Default)]
struct Entry {
    linear: u64,
    /// CR3 and the exit code, see [`tag`].
    tag: u64,
    length: u64,
}

/// A direct-mapped cache of instruction lengths.
pub struct LengthCache {
    entries: [Entry; ENTRIES],
}

/// CR3's top byte is zero and the exit codes of instructions have 8 bits, so that the two do not mix.
#[inline]
fn tag(cr3: u64, exit_code: u32) -> u64 {
    cr3.rotate_left(8) ^ exit_code as u64
}

// SAFETY: integers may be zero, and an entry of length 0 is an empty one.
unsafe impl Zeroed for LengthCache {}

impl LengthCache {
    /// An empty cache.
    #[cfg(test)]
    fn new() -> Self {
        Self {
            entries: [Entry::default(); ENTRIES],
        }
    }

    /// The length of the instruction, if it is known.
    #[inline]
    pub fn get(&self, linear: u64, cr3: u64, exit_code: u32) -> Option<u64> {
        let entry = self.entries.get(linear as usize % ENTRIES)?;
        // No key equals the zeros of an empty entry: exit codes of instructions are not 0.
        if entry.linear == linear && entry.tag == tag(cr3, exit_code) {
            Some(entry.length)
        } else {
            None
        }
    }

    /// Remembers a length of 1 to 15 bytes.
    pub fn insert(&mut self, linear: u64, cr3: u64, exit_code: u32, length: u8) {
        if let Some(entry) = self.entries.get_mut(linear as usize % ENTRIES) {
            *entry = Entry {
                linear,
                tag: tag(cr3, exit_code),
                length: length as u64,
            };
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries = [Entry::default(); ENTRIES];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_counts_only_for_its_address_tables_and_exit() {
        let mut cache = LengthCache::new();
        assert_eq!(cache.get(0, 0, 0x72), None);
        cache.insert(0x1000, 0x20_0000, 0x72, 2);
        assert_eq!(cache.get(0x1000, 0x20_0000, 0x72), Some(2));
        assert_eq!(cache.get(0x1000, 0x20_1000, 0x72), None);
        assert_eq!(cache.get(0x1000, 0x20_0000, 0x7c), None);
        assert_eq!(cache.get(0x1000 + ENTRIES as u64, 0x20_0000, 0x72), None);
        cache.insert(0x1000 + ENTRIES as u64, 0x20_0000, 0x72, 3);
        assert_eq!(cache.get(0x1000, 0x20_0000, 0x72), None);
    }
}
