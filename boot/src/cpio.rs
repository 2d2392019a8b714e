//! Reader of cpio archives in the "newc" format (cpio(5)): how several modules travel as one initrd.
//!
//! A file `NAME.args` holds the command line of the module `NAME`.

use core::ops::Range;

const HEADER_BYTES: usize = 110;
const MAGIC: &[u8] = b"070701";
const TRAILER: &[u8] = b"TRAILER!!!";
/// The file-type bits of the mode, and their value for regular files.
const TYPE_MASK: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// Whether `bytes` start like an archive.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// A regular file in an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File<'a> {
    /// Its path, without a leading `./`.
    pub name: &'a [u8],
    /// Where its contents start in the archive.
    pub offset: usize,
    /// Its contents.
    pub data: &'a [u8],
}

/// The archive ends too soon or a header is not one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damaged;

/// Iterator over the regular files of an archive; ends after the trailer or the first damage.
#[derive(Clone, Debug)]
pub struct Files<'a> {
    archive: &'a [u8],
    position: usize,
    ended: bool,
}

impl<'a> Files<'a> {
    /// The files of `archive`.
    pub const fn new(archive: &'a [u8]) -> Self {
        Files {
            archive,
            position: 0,
            ended: false,
        }
    }

    /// The entry at the position: its mode and itself. `None` where the archive is damaged.
    fn entry(&mut self) -> Option<(u32, File<'a>)> {
        let start = self.position;
        let header = part(self.archive, start, HEADER_BYTES)?;
        if !header.starts_with(MAGIC) {
            return None;
        }
        let mode = field(header, 1)?;
        let data_bytes = usize::try_from(field(header, 6)?).ok()?;
        let name_bytes = usize::try_from(field(header, 11)?).ok()?;
        let name_start = start.checked_add(HEADER_BYTES)?;
        let name = part(self.archive, name_start, name_bytes)?.strip_suffix(&[0])?;
        let offset = align4(name_start.checked_add(name_bytes)?)?;
        let data = part(self.archive, offset, data_bytes)?;
        self.position = align4(offset.checked_add(data_bytes)?)?;
        let name = name.strip_prefix(b"./").unwrap_or(name);
        Some((mode, File { name, offset, data }))
    }
}

impl<'a> Iterator for Files<'a> {
    type Item = Result<File<'a>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.entry() {
                None => {
                    self.ended = true;
                    return Some(Err(Damaged));
                }
                Some((_, file)) if file.name == TRAILER => self.ended = true,
                Some((mode, file)) if mode & TYPE_MASK == REGULAR => return Some(Ok(file)),
                Some(_) => {}
            }
        }
        None
    }
}

fn part(bytes: &[u8], start: usize, length: usize) -> Option<&[u8]> {
    bytes.get(Range {
        start,
        end: start.checked_add(length)?,
    })
}

fn align4(offset: usize) -> Option<usize> {
    offset.checked_next_multiple_of(4)
}

/// The header's field of 8 hexadecimal digits with this index after the magic.
fn field(header: &[u8], index: usize) -> Option<u32> {
    let digits = part(header, MAGIC.len() + 8 * index, 8)?;
    digits.iter().try_fold(0u32, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::Archive;

    #[test]
    fn files_come_out_as_they_went_in() {
        let archive = Archive::new()
            .directory("boot")
            .file("./boot/mgmt.elf", b"contents")
            .file("empty", b"")
            .finish();
        let files: Vec<_> = Files::new(&archive).collect::<Result<_, _>>().unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(files[0].name, b"boot/mgmt.elf");
        assert_eq!(files[0].data, b"contents");
        assert_eq!(&archive[files[0].offset..][..8], b"contents");
        assert_eq!((files[1].name, files[1].data), (&b"empty"[..], &b""[..]));
    }

    #[test]
    fn every_cut_is_seen_as_damage() {
        let archive = Archive::new().file("a", b"12345").finish();
        let end = archive.len();
        for length in 0..end - 3 {
            let last = Files::new(&archive[..length]).last();
            assert_eq!(last, Some(Err(Damaged)), "cut at {length}");
        }
    }

    #[test]
    fn no_header_byte_makes_the_reader_leave_the_archive() {
        let archive = Archive::new()
            .file("name", b"data")
            .file("b", b"c")
            .finish();
        for position in 0..archive.len() {
            for value in [0, b'0', b'9', b'f', 0xff] {
                let mut mutant = archive.clone();
                mutant[position] = value;
                for file in Files::new(&mutant).flatten() {
                    assert!(file.offset + file.data.len() <= mutant.len());
                }
            }
        }
    }
}
