//! The bytes of a state: numbers in little-endian order, sections with kind, version and length, a checksum at the end.
//!
//! [`coded!`] makes both directions of a record from one list of its fields, so that they cannot differ.

use alloc::vec::Vec;

use super::{BadState, Kind};
use crate::fault::ResourceError;
use crate::local_apic::StateError;

/// What a state begins with.
const MARK: [u8; 8] = *b"BHstate\n";
/// The version of the form; those of the contents are their sections'.
const FORM: u16 = 1;
/// Bytes before the first section: the mark, the form, two zero bytes, and the length of all.
const HEAD: usize = 16;
/// Bytes of the checksum.
const TAIL: usize = 4;
/// Bytes of a section before its contents: kind, version, length.
const SECTION_HEAD: usize = 8;

/// CRC-32 (the one of IEEE 802.3), four bits at a time.
fn checksum(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut rest: &mut [u32] = &mut table;
        let mut number = 0;
        while let [slot, tail @ ..] = rest {
            let (mut value, mut bit) = (number, 0);
            while bit < 4 {
                value = if value & 1 != 0 {
                    value >> 1 ^ 0xedb8_8320
                } else {
                    value >> 1
                };
                bit += 1;
            }
            *slot = value;
            number += 1;
            rest = tail;
        }
        table
    };
    let step = |crc: u32| {
        let entry = TABLE.get(crc as usize & 15).copied().unwrap_or(0);
        crc >> 4 ^ entry
    };
    !bytes
        .iter()
        .fold(u32::MAX, |crc, byte| step(step(crc ^ u32::from(*byte))))
}

/// Takes what is to be saved.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    /// There was no memory for all of it.
    exhausted: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// A state without sections.
    pub fn new() -> Self {
        let mut writer = Self {
            bytes: Vec::new(),
            exhausted: false,
        };
        writer.put(&MARK);
        FORM.save(&mut writer);
        // Two bytes that mean nothing yet, and where the length comes.
        writer.put(&[0; 6]);
        writer
    }

    /// A section, with what `fill` puts into it.
    pub fn section(&mut self, kind: Kind, version: u16, fill: impl FnOnce(&mut Self)) {
        (kind as u16).save(self);
        version.save(self);
        let at = self.bytes.len();
        0_u32.save(self);
        let start = self.bytes.len();
        fill(self);
        let length = self.bytes.len().saturating_sub(start) as u32;
        self.patch(at, length);
    }

    /// The bytes.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn finish(mut self) -> Result<Vec<u8>, ResourceError> {
        let length = self.bytes.len().saturating_add(TAIL) as u32;
        self.patch(HEAD - 4, length);
        checksum(&self.bytes).save(&mut self);
        if self.exhausted {
            return Err(ResourceError::HypervisorMemory);
        }
        Ok(self.bytes)
    }

    /// Adds bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.exhausted || self.bytes.try_reserve(bytes.len()).is_err() {
            self.exhausted = true;
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn patch(&mut self, at: usize, value: u32) {
        let place = self.bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
        if let Some(place) = place {
            *place = value.to_le_bytes();
        }
    }
}

/// The sections of a state, in the order that they were saved in.
#[derive(Clone, Copy, Debug)]
pub struct Sections<'a> {
    rest: &'a [u8],
}

impl<'a> Sections<'a> {
    /// Looks at the frame around the sections.
    ///
    /// # Errors
    /// The bytes are no state, one of a later version, or damaged.
    pub fn of(bytes: &'a [u8]) -> Result<Self, BadState> {
        let head = bytes.first_chunk::<HEAD>().ok_or(BadState::NotAState)?;
        let [mark @ .., f0, f1, z0, z1, l0, l1, l2, l3] = *head;
        if mark != MARK {
            return Err(BadState::NotAState);
        }
        let form = u16::from_le_bytes([f0, f1]);
        if form != FORM {
            return Err(BadState::Form(form));
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let (covered, sum) = bytes.split_last_chunk::<TAIL>().ok_or(BadState::Length)?;
        if usize::try_from(length) != Ok(bytes.len()) || [z0, z1] != [0; 2] {
            return Err(BadState::Length);
        }
        if checksum(covered) != u32::from_le_bytes(*sum) {
            return Err(BadState::Checksum);
        }
        let rest = covered.get(HEAD..).ok_or(BadState::Length)?;
        Ok(Self { rest })
    }

    /// The next section, which must be of this kind; `read` takes all that is in it.
    ///
    /// # Errors
    /// It is another one, of another version, or `read` finds fault with it.
    pub fn section<T>(
        &mut self,
        kind: Kind,
        version: u16,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, BadState>,
    ) -> Result<T, BadState> {
        let short = BadState::Short(kind);
        let (head, rest) = self.rest.split_first_chunk::<SECTION_HEAD>().ok_or(short)?;
        let [k0, k1, v0, v1, l0, l1, l2, l3] = *head;
        let found = u16::from_le_bytes([k0, k1]);
        if found != kind as u16 {
            return Err(BadState::Section {
                expected: kind,
                found,
            });
        }
        let of = u16::from_le_bytes([v0, v1]);
        if of != version {
            return Err(BadState::Version {
                section: kind,
                version: of,
            });
        }
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).map_err(|_| short)?;
        let (content, rest) = rest.split_at_checked(length).ok_or(short)?;
        let mut reader = Reader {
            rest: content,
            section: kind,
        };
        let value = read(&mut reader)?;
        if !reader.rest.is_empty() {
            return Err(BadState::Long(kind));
        }
        self.rest = rest;
        Ok(value)
    }

    /// That was the last section.
    ///
    /// # Errors
    /// It was not.
    pub fn end(&self) -> Result<(), BadState> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(BadState::Rest)
        }
    }
}

/// What is in a section.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    section: Kind,
}

impl<'a> Reader<'a> {
    /// The next `N` bytes.
    ///
    /// # Errors
    /// There are not so many.
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], BadState> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(BadState::Short(self.section))?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The next so many bytes.
    ///
    /// # Errors
    /// There are not so many.
    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], BadState> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(BadState::Short(self.section))?;
        self.rest = rest;
        Ok(bytes)
    }
}

/// What can be saved and loaded.
pub(super) trait Coded: Sized {
    /// Adds it.
    fn save(&self, to: &mut Writer);

    /// Takes it.
    ///
    /// # Errors
    /// The section ends before, or holds no such value.
    fn load(from: &mut Reader<'_>) -> Result<Self, BadState>;
}

macro_rules! coded_numbers {
    ($($number:ty),*) => {$(
        impl Coded for $number {
            fn save(&self, to: &mut Writer) {
                to.put(&self.to_le_bytes());
            }

            fn load(from: &mut Reader<'_>) -> Result<Self, BadState> {
                Ok(<$number>::from_le_bytes(from.take()?))
            }
        }
    )*};
}
coded_numbers!(u8, u16, u32, u64, i64);

impl Coded for bool {
    fn save(&self, to: &mut Writer) {
        u8::from(*self).save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, BadState> {
        match u8::load(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(impossible("a flag")),
        }
    }
}

impl<T: Coded + Default> Coded for Option<T> {
    fn save(&self, to: &mut Writer) {
        self.is_some().save(to);
        if let Some(value) = self {
            value.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, BadState> {
        match bool::load(from)? {
            true => Ok(Some(T::load(from)?)),
            false => Ok(None),
        }
    }
}

impl<T: Coded + Copy, const N: usize> Coded for [T; N] {
    fn save(&self, to: &mut Writer) {
        for item in self {
            item.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, BadState> {
        let mut items = [T::load(from)?; N];
        for item in items.iter_mut().skip(1) {
            *item = T::load(from)?;
        }
        Ok(items)
    }
}

impl<A: Coded, B: Coded> Coded for (A, B) {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
        self.1.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, BadState> {
        Ok((A::load(from)?, B::load(from)?))
    }
}

/// A value that nothing can have.
pub(super) const fn impossible(what: &'static str) -> BadState {
    BadState::Value(StateError::Impossible(what))
}

/// Makes records [`Coded`]: `coded!(Record { field, field })`.
macro_rules! coded {
    ($($record:ty { $($field:ident),* $(,)? })*) => {$(
        impl $crate::saved_state::bytes::Coded for $record {
            fn save(&self, to: &mut $crate::saved_state::bytes::Writer) {
                $($crate::saved_state::bytes::Coded::save(&self.$field, to);)*
            }

            fn load(
                from: &mut $crate::saved_state::bytes::Reader<'_>,
            ) -> Result<Self, $crate::saved_state::BadState> {
                $(let $field = $crate::saved_state::bytes::Coded::load(from)?;)*
                Ok(Self { $($field),* })
            }
        }
    )*};
}

/// Makes enums [`Coded`]: `coded_choice!(Choice, "what it is" { One = 0, Other = 1 })`.
macro_rules! coded_choice {
    ($($choice:ident, $what:literal { $($name:ident = $number:literal),* $(,)? })*) => {$(
        impl $crate::saved_state::bytes::Coded for $choice {
            fn save(&self, to: &mut $crate::saved_state::bytes::Writer) {
                let number: u8 = match self {
                    $($choice::$name => $number,)*
                };
                $crate::saved_state::bytes::Coded::save(&number, to);
            }

            fn load(
                from: &mut $crate::saved_state::bytes::Reader<'_>,
            ) -> Result<Self, $crate::saved_state::BadState> {
                match <u8 as $crate::saved_state::bytes::Coded>::load(from)? {
                    $($number => Ok($choice::$name),)*
                    _ => Err($crate::saved_state::bytes::impossible($what)),
                }
            }
        }
    )*};
}

pub(super) use {coded, coded_choice};

/// The bytes with a checksum that is right again.
#[cfg(any(test, feature = "fuzz"))]
pub(super) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len().saturating_sub(TAIL));
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.section(Kind::Pic, 3, fill);
        writer.finish().unwrap()
    }

    #[test]
    fn the_checksum_is_the_one_of_ethernet() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let bytes = state(|to| {
            (7_u8, [1_u16, 2, 3]).save(to);
            Some(-5_i64).save(to);
            None::<u64>.save(to);
        });
        let mut sections = Sections::of(&bytes).unwrap();
        let loaded = sections.section(Kind::Pic, 3, |from| {
            let first: (u8, [u16; 3]) = Coded::load(from)?;
            Ok((
                first,
                Option::<i64>::load(from)?,
                Option::<u64>::load(from)?,
            ))
        });
        assert_eq!(loaded, Ok(((7, [1, 2, 3]), Some(-5), None)));
        assert_eq!(sections.end(), Ok(()));
    }

    #[test]
    fn frames_that_are_damaged_are_named() {
        let good = state(|to| 1_u64.save(to));
        let load = |bytes: &[u8]| {
            let mut sections = Sections::of(bytes)?;
            sections.section(Kind::Pic, 3, u64::load)?;
            sections.end()
        };
        assert_eq!(load(&good), Ok(()));
        for length in 0..good.len() {
            assert!(load(&good[..length]).is_err(), "{length}");
        }
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            load(&sealed(bytes))
        };
        assert_eq!(with(0, b'X'), Err(BadState::NotAState));
        assert_eq!(with(8, 2), Err(BadState::Form(2)));
        assert_eq!(with(10, 1), Err(BadState::Length));
        assert_eq!(with(12, 1), Err(BadState::Length));
        let other = BadState::Section {
            expected: Kind::Pic,
            found: 0x7fff & 0xff,
        };
        assert_eq!(with(16, 0xff), Err(other));
        let newer = BadState::Version {
            section: Kind::Pic,
            version: 4,
        };
        assert_eq!(with(18, 4), Err(newer));
        assert_eq!(with(20, 7), Err(BadState::Short(Kind::Pic)));
        assert_eq!(with(20, 0xff), Err(BadState::Short(Kind::Pic)));
        let mut damaged = good.clone();
        damaged[25] ^= 1;
        assert_eq!(load(&damaged), Err(BadState::Checksum));
        let longer = state(|to| (1_u64, 1_u8).save(to));
        assert_eq!(load(&longer), Err(BadState::Long(Kind::Pic)));
    }
}
