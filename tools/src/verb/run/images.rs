//! Puts files into the image library of a disk before a machine boots from it, with the partition's own code.

use anyhow::{Context, Result, anyhow, bail};
use image_library::{Library, LibraryError, Medium, MediumSectors, StoreCatalog};
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{SystemTime, UNIX_EPOCH};
use store::{Opened, SECTOR_BYTES, open};

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

/// Adds `files` under their own names to the library on the disk image `disk`, in place of those with the same names.
pub fn add(disk: &Path, files: &[PathBuf]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let library = library(disk)?;
    for file in files {
        let added = add_one(&library, file);
        added.with_context(|| {
            format!(
                "cannot add {} to the image library of {}",
                file.display(),
                disk.display()
            )
        })?;
    }
    Ok(())
}

/// Adds those of `files` whose names the library on the disk image `disk` does not have.
pub fn add_missing(disk: &Path, files: &[PathBuf]) -> Result<()> {
    let library = library(disk)?;
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| library.image(name).is_err()) {
            add_one(&library, file)?;
        }
    }
    Ok(())
}

type DiskLibrary = Library<Rc<ImageFile>, StoreCatalog<ImageFile>>;

fn library(disk: &Path) -> Result<DiskLibrary> {
    let medium = ImageFile::open(disk).with_context(|| format!("cannot use {}", disk.display()))?;
    let medium = Rc::new(medium);
    let opened = now(open(&MediumSectors(&*medium)))?;
    let opened = opened.map_err(|error| anyhow!("{}: {error}", disk.display()))?;
    let (Opened::Existing(store) | Opened::Blank(store)) = opened;
    let start = store.data_start();
    let catalog = StoreCatalog::new(store, medium.clone());
    let (library, damages) = Library::open(medium, catalog, start);
    for damage in damages {
        eprintln!("{}: {damage}", disk.display());
    }
    if library.capacity() == 0 {
        bail!(
            "{0} has no room for images behind the configuration store: make it larger, as by `truncate -s 512M {0}`",
            disk.display()
        );
    }
    Ok(library)
}

fn add_one(library: &DiskLibrary, path: &Path) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.context("the file has no name in UTF-8")?;
    let mut file = File::open(path)?;
    let length = file.metadata()?;
    if !length.is_file() {
        bail!("it is no regular file");
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default().as_micros();
    let added = i64::try_from(since).unwrap_or(i64::MAX);
    let mut upload = library
        .upload(name, Some(length.len()), added)
        .map_err(explain)?;
    let mut piece = vec![0; PIECE];
    loop {
        let count = file.read(&mut piece)?;
        let Some(bytes @ [_, ..]) = piece.get(..count) else {
            break;
        };
        now(upload.write(bytes))?.map_err(explain)?;
    }
    let (facts, _) = now(upload.finish(None))?.map_err(explain)?;
    println!(
        "image {}: {} bytes, {}",
        facts.name, facts.bytes, facts.format
    );
    Ok(())
}

fn explain(error: LibraryError) -> anyhow::Error {
    match error {
        LibraryError::Full { .. } => anyhow!(
            "{error}, or make the disk larger while no machine runs, as by `truncate -s +512M`"
        ),
        error => anyhow!("{error}"),
    }
}

/// Runs a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> Result<T> {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => bail!("the disk image did not answer at once"),
    }
}

/// A raw disk image.
struct ImageFile {
    file: File,
    sectors: u64,
}

impl ImageFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let sectors = file.metadata()?.len() / SECTOR_BYTES as u64;
        Ok(ImageFile { file, sectors })
    }

    fn offset(sector: u64) -> io::Result<u64> {
        let offset = sector.checked_mul(SECTOR_BYTES as u64);
        offset.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
    }
}

impl Medium for ImageFile {
    type Error = io::Error;

    fn sectors(&self) -> u64 {
        self.sectors
    }

    async fn read(&self, sector: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, Self::offset(sector)?)
    }

    async fn write(&self, sector: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, Self::offset(sector)?)
    }

    async fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qemu_tests::socket_folder::SocketFolder;
    use std::fs;

    fn disk(folder: &SocketFolder, mebibytes: u64) -> PathBuf {
        let path = folder.path().join("disk.raw");
        File::create(&path)
            .and_then(|file| file.set_len(mebibytes << 20))
            .unwrap();
        path
    }

    #[test]
    fn files_are_added_and_replaced() {
        let folder = SocketFolder::new("add-files").unwrap();
        let disk = disk(&folder, 80);
        let kernel = folder.path().join("vmlinuz");
        fs::write(&kernel, vec![1; 3_000_000]).unwrap();
        add(&disk, &[kernel.clone(), kernel.clone()]).unwrap();
        fs::write(&kernel, b"smaller").unwrap();
        add(&disk, std::slice::from_ref(&kernel)).unwrap();
        let library = library(&disk).unwrap();
        let list = library.list();
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].name.as_str(), list[0].bytes), ("vmlinuz", 7));
        let mut bytes = [0; 7];
        let image = library.image("vmlinuz").unwrap();
        now(image.read(0, &mut bytes)).unwrap().unwrap();
        assert_eq!(&bytes, b"smaller");
        assert!(list[0].added > 1_700_000_000_000_000);
    }

    #[test]
    fn what_cannot_be_added_is_explained() {
        let folder = SocketFolder::new("add-refused").unwrap();
        let disk = disk(&folder, 66);
        let file = folder.path().join("big");
        let refused = |name: &str| {
            let error = add(&disk, &[folder.path().join(name)]).unwrap_err();
            format!("{error:#}")
        };
        fs::write(&file, vec![1; 2_000_000]).unwrap();
        let text = refused("big");
        assert!(text.contains("big to the image library"), "{text}");
        assert!(
            text.contains("2031616 bytes") && text.contains("truncate -s"),
            "{text}"
        );
        fs::write(folder.path().join("a b"), b"x").unwrap();
        assert!(refused("a b").contains("letters, digits"));
        assert!(refused("missing").contains("No such file"));
        assert!(refused(".").contains("no regular file"));
        File::options()
            .write(true)
            .open(&disk)
            .and_then(|file| file.set_len(65 << 20))
            .unwrap();
        assert!(refused("big").contains("truncate -s 512M"));
        fs::write(&disk, vec![7; 4096]).unwrap();
        assert!(refused("big").contains("no store"));
    }
}
