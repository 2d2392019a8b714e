//! The target's three libraries as files in the sysroot.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const NAMES: [&str; 3] = ["core", "alloc", "compiler_builtins"];

/// What is there of the libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Absent,
    /// Some, but not each.
    Incomplete,
    /// One copy of each.
    OneOfEach,
    /// Two copies or more of one.
    SeveralCopies,
}

/// The files of the libraries in a folder.
#[derive(Debug)]
pub struct Libraries {
    files: Vec<PathBuf>,
}

impl Libraries {
    /// Those in `folder`; none when it is not there.
    pub fn in_folder(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).into_iter().flatten();
        let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        Self {
            files: paths.filter(|path| library(path).is_some()).collect(),
        }
    }

    /// What is there. A copy is an `.rlib`, or an `.rmeta` that belongs to none: the compiler counts both.
    pub fn condition(&self) -> Condition {
        let copies = NAMES.map(|name| {
            let own = self.files.iter().filter(|file| library(file) == Some(name));
            own.filter_map(|file| file.file_stem())
                .collect::<BTreeSet<_>>()
                .len()
        });
        let linkable = NAMES.map(|name| {
            self.files.iter().any(|file| {
                library(file) == Some(name) && file.extension().is_some_and(|e| e == "rlib")
            })
        });
        if self.files.is_empty() {
            Condition::Absent
        } else if copies.iter().any(|count| *count > 1) {
            Condition::SeveralCopies
        } else if linkable.contains(&false) {
            Condition::Incomplete
        } else {
            Condition::OneOfEach
        }
    }

    /// Deletes the files whose name `keep` does not accept.
    pub fn remove_unless(&self, keep: impl Fn(&str) -> bool) -> Result<()> {
        for file in &self.files {
            let name = file
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if !keep(name) {
                fs::remove_file(file)
                    .with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
        Ok(())
    }

    /// Copies the files to `folder`.
    pub fn copy_to(&self, folder: &Path) -> Result<()> {
        ensure!(
            self.condition() == Condition::OneOfEach,
            "the build has not left one copy of each library: {:?}",
            self.condition()
        );
        for file in &self.files {
            let name = file.file_name().unwrap_or_default();
            fs::copy(file, folder.join(name))
                .with_context(|| format!("cannot copy {}", file.display()))?;
        }
        Ok(())
    }
}

/// The library a file `libNAME-HASH.rlib` or `.rmeta` is of.
fn library(file: &Path) -> Option<&'static str> {
    let extension = file.extension()?;
    if extension != "rlib" && extension != "rmeta" {
        return None;
    }
    let (name, _hash) = file
        .file_stem()?
        .to_str()?
        .strip_prefix("lib")?
        .rsplit_once('-')?;
    NAMES.into_iter().find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qemu_tests::socket_folder::SocketFolder;

    fn condition(files: &[&str]) -> Condition {
        Libraries {
            files: files.iter().map(PathBuf::from).collect(),
        }
        .condition()
    }

    #[test]
    fn the_official_set_is_one_of_each() {
        let official = [
            "liballoc-842e.rlib",
            "liballoc-842e.rmeta",
            "libcompiler_builtins-97c4.rlib",
            "libcompiler_builtins-97c4.rmeta",
            "libcore-fcc8.rlib",
            "libcore-fcc8.rmeta",
        ];
        assert_eq!(condition(&official), Condition::OneOfEach);
    }

    #[test]
    fn missing_and_doubled_libraries_are_told_apart() {
        assert_eq!(condition(&[]), Condition::Absent);
        assert_eq!(
            condition(&["libcore-1.rlib", "liballoc-1.rlib"]),
            Condition::Incomplete
        );
        let all = [
            "libcore-1.rlib",
            "liballoc-1.rlib",
            "libcompiler_builtins-1.rlib",
        ];
        assert_eq!(condition(&all), Condition::OneOfEach);
        for second in ["libcore-2.rlib", "libcore-2.rmeta"] {
            let four = [all[0], all[1], all[2], second];
            assert_eq!(condition(&four), Condition::SeveralCopies, "{second}");
        }
        let unlinkable = [
            "libcore-1.rmeta",
            "liballoc-1.rlib",
            "libcompiler_builtins-1.rlib",
        ];
        assert_eq!(condition(&unlinkable), Condition::Incomplete);
    }

    #[test]
    fn other_files_are_not_touched() {
        for name in [
            "libcore-1.so",
            "core-1.rlib",
            "libstd-1.rlib",
            "libcore.rlib",
            "x",
        ] {
            assert_eq!(library(Path::new(name)), None, "{name}");
        }
    }

    #[test]
    fn copying_takes_a_whole_set_only() {
        let (from, to) = (
            SocketFolder::new("from").unwrap(),
            SocketFolder::new("to").unwrap(),
        );
        fs::write(from.path().join("libcore-1.rlib"), "c").unwrap();
        assert!(
            Libraries::in_folder(from.path())
                .copy_to(to.path())
                .is_err()
        );
        for name in [
            "liballoc-1.rlib",
            "libcompiler_builtins-1.rlib",
            "libempty-1.rlib",
        ] {
            fs::write(from.path().join(name), "x").unwrap();
        }
        Libraries::in_folder(from.path())
            .copy_to(to.path())
            .unwrap();
        let copied = Libraries::in_folder(to.path());
        assert_eq!(copied.condition(), Condition::OneOfEach);
        assert!(!to.path().join("libempty-1.rlib").exists());
        copied
            .remove_unless(|name| name.starts_with("libcore"))
            .unwrap();
        assert_eq!(
            Libraries::in_folder(to.path()).condition(),
            Condition::Incomplete
        );
    }
}
