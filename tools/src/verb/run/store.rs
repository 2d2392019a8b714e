//! The disk behind the configuration store and the image library.

use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// Size of a new store, sparse: 65 MiB for the configuration, the rest for kernels and initial RAM disks.
const SIZE: u64 = 512 << 20;
/// Disks are read in sectors.
const SECTOR: u64 = 512;

/// A raw disk image, which no other run uses.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// Holds the lock.
    _file: File,
}

impl Store {
    /// The image `file`, made if missing; without one, an empty image in `scratch`.
    pub fn open(file: Option<&Path>, scratch: &Path) -> Result<Self> {
        let path = file.map_or_else(|| scratch.join("store.raw"), Path::to_owned);
        match fs::metadata(&path) {
            Ok(found) => ensure!(
                found.len() >= SECTOR && found.len() % SECTOR == 0,
                "{} is no disk image: {} bytes are not a whole number of {SECTOR}-byte sectors",
                path.display(),
                found.len()
            ),
            Err(_) => {
                let made = File::create_new(&path).and_then(|file| file.set_len(SIZE));
                made.with_context(|| format!("cannot make the store {}", path.display()))?;
            }
        }
        let file = File::options().read(true).write(true).open(&path);
        let file = file.with_context(|| format!("cannot use the store {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _file: file }),
            Err(TryLockError::WouldBlock) => {
                bail!("the store {} is in use by another run", path.display())
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock the store {}", path.display()))
            }
        }
    }

    /// Where the image is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qemu_tests::socket_folder::SocketFolder;

    #[test]
    fn a_missing_store_is_made_and_an_existing_one_kept() {
        let scratch = SocketFolder::new("store-kept").unwrap();
        let file = scratch.path().join("mine.raw");
        assert_eq!(
            Store::open(Some(&file), scratch.path()).unwrap().path(),
            file
        );
        assert_eq!(fs::metadata(&file).unwrap().len(), SIZE);
        fs::write(&file, [7; 1024]).unwrap();
        let held = Store::open(Some(&file), scratch.path()).unwrap();
        let second = Store::open(Some(&file), scratch.path()).unwrap_err();
        assert!(second.to_string().contains("in use"), "{second}");
        drop(held);
        Store::open(Some(&file), scratch.path()).unwrap();
        assert_eq!(fs::read(&file).unwrap(), [7; 1024]);
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        let scratch = SocketFolder::new("store-refused").unwrap();
        let file = scratch.path().join("notes.txt");
        fs::write(&file, "hello").unwrap();
        let error = Store::open(Some(&file), scratch.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("no disk image"), "{error}");
        assert!(Store::open(Some(Path::new("/no/such/folder/x")), scratch.path()).is_err());
    }

    #[test]
    fn without_a_file_the_store_is_scratch() {
        let scratch = SocketFolder::new("store-scratch").unwrap();
        let store = Store::open(None, scratch.path()).unwrap();
        assert!(store.path().starts_with(scratch.path()));
    }
}
