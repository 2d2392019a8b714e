//! Sets of interrupt vectors as the IRR, ISR and TMR hold them.
//!
//! [`VectorBits`] is the plain bitmap; [`VectorSet`] remembers its highest member as well, so that the
//! two questions asked on every exit (what is pending, what is in service) cost one load.

use crate::id::Vector;

/// 256 bits, one a vector; vector 0 is bit 0 of the first word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VectorBits(pub [u64; 4]);

impl FromIterator<Vector> for VectorBits {
    fn from_iter<I: IntoIterator<Item = Vector>>(vectors: I) -> Self {
        let mut set = Self::EMPTY;
        for vector in vectors {
            set.insert(vector);
        }
        set
    }
}

impl VectorBits {
    /// No vector.
    pub const EMPTY: VectorBits = VectorBits([0; 4]);

    /// Adds the vector.
    #[inline]
    pub fn insert(&mut self, vector: Vector) {
        if let Some(word) = self.0.get_mut(usize::from(vector.0 >> 6)) {
            *word |= 1 << (vector.0 & 63);
        }
    }

    /// Removes the vector.
    #[inline]
    pub fn remove(&mut self, vector: Vector) {
        if let Some(word) = self.0.get_mut(usize::from(vector.0 >> 6)) {
            *word &= !(1 << (vector.0 & 63));
        }
    }

    /// Whether the vector is a member.
    #[inline]
    pub fn contains(&self, vector: Vector) -> bool {
        self.0
            .get(usize::from(vector.0 >> 6))
            .is_some_and(|word| word >> (vector.0 & 63) & 1 != 0)
    }

    /// The highest member; 0 where there is none (vector 0 itself is never a member of an APIC's sets).
    #[inline]
    pub fn highest(&self) -> u8 {
        let [a, b, c, d] = self.0;
        // Mostly nothing else is there, and one test tells.
        if a | b | c | d == 0 {
            return 0;
        }
        let (base, word) = if d != 0 {
            (192, d)
        } else if c != 0 {
            (128, c)
        } else if b != 0 {
            (64, b)
        } else {
            (0, a)
        };
        base | (63 ^ word.leading_zeros() as u8)
    }

    /// The 32 bits that register `index` (0 to 7) of the IRR, ISR or TMR shows.
    pub fn register(&self, index: u8) -> u32 {
        let word = self
            .0
            .get(usize::from(index >> 1 & 3))
            .copied()
            .unwrap_or(0);
        (word >> (32 * u32::from(index & 1))) as u32
    }
}

/// A [`VectorBits`] that knows its highest member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct VectorSet {
    bits: VectorBits,
    /// The highest member, 0 where there is none.
    top: u8,
}

impl VectorSet {
    /// The set with these members; vectors below 16 cannot be held by an APIC and are left out.
    pub(super) fn new(mut bits: VectorBits) -> Self {
        let [low, ..] = &mut bits.0;
        *low &= !0xffff;
        Self {
            bits,
            top: bits.highest(),
        }
    }

    /// The members.
    pub(super) const fn bits(&self) -> &VectorBits {
        &self.bits
    }

    /// The highest member, 0 where there is none.
    #[inline]
    pub(super) const fn top(&self) -> u8 {
        self.top
    }

    /// Adds the vector, which is 16 or more.
    #[inline]
    pub(super) fn insert(&mut self, vector: Vector) {
        self.bits.insert(vector);
        self.top = self.top.max(vector.0);
    }

    /// Removes the vector.
    #[inline]
    pub(super) fn remove(&mut self, vector: Vector) {
        self.bits.remove(vector);
        self.top = self.bits.highest();
    }

    /// Whether the vector is a member.
    #[inline]
    pub(super) fn contains(&self, vector: Vector) -> bool {
        self.bits.contains(vector)
    }

    /// Adds all of one 64-bit word of vectors (`index` 0 to 3), which holds none below 16.
    #[inline]
    pub(super) fn insert_word(&mut self, index: u8, word: u64) {
        if word == 0 {
            return;
        }
        if let Some(slot) = self.bits.0.get_mut(usize::from(index & 3)) {
            *slot |= word;
        }
        let highest = index << 6 | (63 ^ word.leading_zeros() as u8);
        self.top = self.top.max(highest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_member_is_right_for_every_pair() {
        for high in 1..=255u8 {
            for low in 0..high {
                let mut bits = VectorBits::EMPTY;
                bits.insert(Vector(high));
                bits.insert(Vector(low));
                assert_eq!(bits.highest(), high);
                bits.remove(Vector(high));
                assert!(!bits.contains(Vector(high)));
                assert_eq!(bits.highest(), low);
            }
        }
        assert_eq!(VectorBits::EMPTY.highest(), 0);
    }

    #[test]
    fn registers_show_32_bits_each() {
        let mut bits = VectorBits::EMPTY;
        for vector in [16, 31, 32, 63, 64, 200, 255] {
            bits.insert(Vector(vector));
        }
        let shown: Vec<u32> = (0..8).map(|index| bits.register(index)).collect();
        assert_eq!(
            shown,
            [0x8001_0000, 0x8000_0001, 1, 0, 0, 0, 1 << 8, 0x8000_0000]
        );
    }

    #[test]
    fn words_are_added_whole() {
        let mut set = VectorSet::default();
        set.insert_word(1, 1 << 5 | 1 << 40);
        assert_eq!(set.top(), 104);
        set.insert_word(0, 1 << 20);
        assert_eq!(set.top(), 104);
        set.remove(Vector(104));
        assert_eq!(set.top(), 69);
        set.remove(Vector(69));
        assert_eq!(set.top(), 20);
        assert!(set.contains(Vector(20)));
    }
}
