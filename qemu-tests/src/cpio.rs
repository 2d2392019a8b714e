//! Writes archives in cpio's "newc" format: the boot modules, and the demonstration guest's initramfs.
//!
//! Called by the image builder and by the machine-test runner. The boot-module archive is the single module every
//! boot protocol hands over (PVH knows only one). The same input gives the same bytes.

use anyhow::{Context, Result, ensure};

const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";

/// What a member is: file types and permissions of `st_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file that everybody may read.
    File,
    /// A file that everybody may execute.
    Program,
    /// A folder; it comes before what lies in it.
    Folder,
}

impl Kind {
    fn mode(self) -> u32 {
        match self {
            Self::File => 0o100_644,
            Self::Program => 0o100_755,
            Self::Folder => 0o040_755,
        }
    }
}

/// One file of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Name inside the archive; no leading slash.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Contents.
    pub data: Vec<u8>,
}

impl Member {
    /// A member called `name` that holds `data`.
    pub fn new(name: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            kind: Kind::File,
            data: data.into(),
        }
    }

    /// A program called `name`.
    pub fn program(name: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self {
            kind: Kind::Program,
            ..Self::new(name, data)
        }
    }

    /// A folder called `name`.
    pub fn folder(name: impl Into<String>) -> Self {
        Self {
            kind: Kind::Folder,
            ..Self::new(name, [])
        }
    }
}

/// The archive of `members`, in their order.
///
/// # Errors
/// A name that is empty, used twice or the format's end marker, and a member of 4 GiB or more.
pub fn archive(members: &[Member]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (index, member) in members.iter().enumerate() {
        let earlier = members.iter().take(index);
        ensure!(
            !member.name.is_empty() && member.name != TRAILER && !member.name.contains('\0'),
            "a boot module cannot be named {:?}: choose another file name",
            member.name
        );
        ensure!(
            earlier.into_iter().all(|other| other.name != member.name),
            "two boot modules are named {:?}: rename one of the files",
            member.name
        );
        let inode = u32::try_from(index)
            .context("too many boot modules")?
            .saturating_add(1);
        entry(&mut out, inode, member.kind.mode(), member)?;
    }
    entry(&mut out, 0, 0, &Member::new(TRAILER, []))?;
    Ok(out)
}

fn entry(out: &mut Vec<u8>, inode: u32, mode: u32, member: &Member) -> Result<()> {
    let size = u32::try_from(member.data.len())
        .with_context(|| format!("boot module {:?} is larger than cpio allows", member.name))?;
    // The name's size counts its NUL.
    let name_size = u32::try_from(member.name.len())?.saturating_add(1);
    out.extend_from_slice(MAGIC.as_bytes());
    // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    for field in [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(member.name.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(&member.data);
    pad(out);
    Ok(())
}

/// Header plus name, and data, each end on a multiple of four.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn an_empty_archive_is_its_trailer() {
        let bytes = archive(&[]).unwrap();
        assert_eq!(bytes.len(), (110_usize + 11).next_multiple_of(4));
        assert!(bytes.starts_with(b"070701"));
        assert_eq!(&bytes[110..121], b"TRAILER!!!\0");
    }

    #[test]
    fn header_fields_and_padding_follow_the_format() {
        let bytes = archive(&[Member::new("ab", *b"hello")]).unwrap();
        assert_eq!(&bytes[6..14], b"00000001", "inode");
        assert_eq!(&bytes[14..22], b"000081a4", "mode");
        assert_eq!(&bytes[54..62], b"00000005", "file size");
        assert_eq!(&bytes[94..102], b"00000003", "name size with its NUL");
        assert_eq!(
            &bytes[110..116],
            b"ab\0\0\0\0",
            "name padded to a multiple of four"
        );
        assert_eq!(&bytes[116..124], b"hello\0\0\0");
        assert_eq!(&bytes[124..130], b"070701");
    }

    #[test]
    fn bad_names_are_refused() {
        for name in ["", "TRAILER!!!", "a\0b"] {
            assert!(archive(&[Member::new(name, [])]).is_err(), "{name:?}");
        }
        let twice = [Member::new("a", []), Member::new("a", [1])];
        assert!(archive(&twice).unwrap_err().to_string().contains("rename"));
    }

    #[test]
    fn the_system_cpio_reads_it_back() {
        let Ok(mut cpio) = Command::new("cpio")
            .args(["--list", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            return; // cpio is optional on the build machine; the layout tests above do not need it
        };
        let bytes = archive(&[Member::new("one", [0; 7]), Member::new("dir/two", [])]).unwrap();
        cpio.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = cpio.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "one\ndir/two\n");
    }
}
