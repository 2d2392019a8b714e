//! The boot modules as images: the files of the archive that the boot loader brought (cpio(5), "newc" format).

use alloc::vec::Vec;

use crate::{Catalog, ImageName, Library, Medium};

const HEADER_BYTES: usize = 110;
const MAGIC: &[u8] = b"070701";
const TRAILER: &[u8] = b"TRAILER!!!";
/// The file-type bits of the mode, and their value for regular files.
const TYPE_MASK: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
/// The configuration of the partitions that are there from the start, which names their images.
const CONFIGURATION: &str = "partitions.conf";
/// What the name of a module's command line ends with.
const ARGUMENTS: &str = ".args";

/// The regular files of an archive, by name; what is behind a damage is left out.
fn files(archive: &'static [u8]) -> Vec<(&'static str, &'static [u8])> {
    let mut files = Vec::new();
    let mut at = 0;
    while let Some((mode, name, data, next)) = entry(archive, at)
        && name != TRAILER
    {
        let name = name.strip_prefix(b"./").unwrap_or(name);
        if let Ok(name) = core::str::from_utf8(name)
            && mode & TYPE_MASK == REGULAR
        {
            files.push((name, data));
        }
        at = next;
    }
    files
}

/// The entry at an offset: mode, name, contents, and where the next one begins.
fn entry(archive: &'static [u8], at: usize) -> Option<(u32, &'static [u8], &'static [u8], usize)> {
    let part = |start: usize, length: usize| archive.get(start..)?.get(..length);
    let header = part(at, HEADER_BYTES)?;
    let field = |index: usize| {
        let start = MAGIC.len() + 8 * index;
        let digits = header.get(start..start + 8)?;
        digits.iter().try_fold(0u32, |number, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some(number << 4 | digit)
        })
    };
    if !header.starts_with(MAGIC) {
        return None;
    }
    let data_bytes = usize::try_from(field(6)?).ok()?;
    let name_bytes = usize::try_from(field(11)?).ok()?;
    let name_start = at.checked_add(HEADER_BYTES)?;
    let name = part(name_start, name_bytes)?.strip_suffix(&[0])?;
    let data_start = name_start
        .checked_add(name_bytes)?
        .checked_next_multiple_of(4)?;
    let data = part(data_start, data_bytes)?;
    let next = data_start
        .checked_add(data_bytes)?
        .checked_next_multiple_of(4)?;
    Some((field(1)?, name, data, next))
}

/// The words `image=NAME` of the configuration: what runs already.
fn is_used(configuration: &str, name: &str) -> bool {
    configuration
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("image="))
        .any(|image| image.trim_matches('"') == name)
}

impl<M: Medium, C: Catalog> Library<M, C> {
    /// Adds the files of the boot loader's archive as images that cannot be changed: all but the configuration, command
    /// lines, and the images of partitions that were there from the start. Returns how many.
    pub fn add_modules(&self, archive: &'static [u8]) -> usize {
        let files = files(archive);
        let configuration = files.iter().find(|(name, _)| *name == CONFIGURATION);
        let configuration = configuration.and_then(|(_, data)| core::str::from_utf8(data).ok());
        let mut added = 0;
        for (name, contents) in files {
            let ours = name == CONFIGURATION
                || name.ends_with(ARGUMENTS)
                || configuration.is_some_and(|text| is_used(text, name));
            if let Ok(name) = ImageName::new(name)
                && !ours
            {
                self.add_module(name, contents);
                added += 1;
            }
        }
        added
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;
    use crate::fake::{FakeDisk, library};

    fn file(name: &str, mode: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from(MAGIC);
        let (size, name_size) = (data.len() as u32, name.len() as u32 + 1);
        for field in [1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            bytes.extend(format!("{field:08x}").bytes());
        }
        bytes.extend(name.bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn archive() -> Vec<u8> {
        [
            file(
                "partitions.conf",
                REGULAR,
                b"partition name=m image=manager memory=1M\n",
            ),
            file("manager", REGULAR, b"ELF"),
            file("boot", 0o40_755, b""),
            file("./vmlinuz", REGULAR | 0o644, b"kernel"),
            file("vmlinuz.args", REGULAR, b"quiet"),
            file("a/b", REGULAR, b"no name for an image"),
            file("TRAILER!!!", 0, b""),
            file("behind", REGULAR, b"x"),
        ]
        .concat()
    }

    #[test]
    fn modules_other_than_the_hypervisors_own_are_images() {
        let library = library(&FakeDisk::new(2048 * 69));
        assert_eq!(library.add_modules(archive().leak()), 1);
        let list = library.list();
        assert_eq!((list[0].name.as_str(), list[0].bytes), ("vmlinuz", 6));
        assert_eq!(list[0].origin, Origin::Module);
    }

    #[test]
    fn no_cut_and_no_changed_header_leads_out_of_the_archive() {
        let archive = archive();
        for cut in (0..archive.len()).step_by(7) {
            files(archive[..cut].to_vec().leak());
        }
        for position in 0..300 {
            for value in [0, b'0', b'f', 0xff] {
                let mut mutant = archive.clone();
                mutant[position] = value;
                files(mutant.leak());
            }
        }
        assert_eq!(files(b""), []);
    }
}
