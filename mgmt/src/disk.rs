//! The disks: the first one holds the store; the others are only looked at.

use alloc::string::{String, ToString};

use mgmt_executor::Signal;
use mgmt_virtio::{Block, Disk, SECTOR_BYTES, VirtioError};
use mgmt_wbem::{Keeper, open_library};
use store::{Commit, OpenError, Opened, Sectors, Step, Store, open};

use crate::devices::Attached;
use crate::dma::Machine;
use crate::images::{DiskLibrary, LibraryDisk};
use crate::report;
use crate::root::Root;

/// A disk in use.
pub type HostDisk = Disk<Machine>;

/// Starts a disk: reports it, and serves its interrupts from now on.
pub fn start(root: &Root, block: Attached<Block<Machine>>) -> HostDisk {
    let Attached {
        device,
        signal,
        address,
    } = block;
    let disk = Disk::new(device);
    let access = match disk.is_read_only() {
        true => "read-only",
        false => "writable",
    };
    let mebibytes = disk.sectors() / (1024 * 1024 / SECTOR_BYTES as u64);
    report!("disk {address}: {mebibytes} MiB, {access}");
    root.spawner().spawn(interrupts(disk.clone(), signal));
    disk
}

async fn interrupts(disk: HostDisk, signal: Signal) {
    loop {
        signal.wait().await;
        disk.interrupt();
    }
}

/// The keeper over a disk's store, whose commits are done from now on, and the image library behind it. A disk that holds something else is left alone.
///
/// # Errors
/// Why there is no store, in words.
pub async fn keeper(root: &Root, disk: HostDisk) -> Result<(Keeper, DiskLibrary), String> {
    if disk.is_read_only() {
        return Err(VirtioError::ReadOnly.to_string());
    }
    let opened = open(&StoreDisk(&disk)).await;
    let store = match opened.map_err(|error: OpenError<_>| error.to_string())? {
        Opened::Existing(store) => {
            describe(&store);
            store
        }
        Opened::Blank(store) => {
            report!("store: new, on a blank disk");
            store
        }
    };
    let data_start = store.data_start();
    let keeper = Keeper::on_disk(store);
    root.spawner().spawn(commits(disk.clone(), keeper.clone()));
    let (library, damages) = open_library(LibraryDisk(Some(disk)), &keeper, data_start);
    for damage in damages {
        report!("{damage}");
    }
    let (free, capacity) = (library.free() >> 20, library.capacity() >> 20);
    report!(
        "images: {}, {free} MiB of {capacity} MiB free",
        library.list().len()
    );
    Ok((keeper, library))
}

fn describe(store: &Store) {
    let (entries, commits) = (store.len(), store.generation());
    report!("store: {entries} entries after {commits} commits");
}

/// Commits whenever something has changed.
async fn commits(disk: HostDisk, keeper: Keeper) {
    loop {
        keeper.due().wait().await;
        let Some(commit) = keeper.begin() else {
            continue;
        };
        match carry_out(&disk, &commit).await {
            Ok(()) => keeper.finish(commit),
            Err(error) => {
                report!("store: a change is lost: {error}");
                keeper.fail();
            }
        }
    }
}

async fn carry_out(disk: &HostDisk, commit: &Commit) -> Result<(), VirtioError> {
    for step in commit.steps() {
        match step {
            Step::Write { sector, data } => disk.write(*sector, data).await?,
            Step::Flush => disk.flush().await?,
        }
    }
    Ok(())
}

/// The disk as the store reads it.
struct StoreDisk<'a>(&'a HostDisk);

impl Sectors for StoreDisk<'_> {
    type Error = VirtioError;

    fn sectors(&self) -> u64 {
        self.0.sectors()
    }

    async fn read(&self, sector: u64, into: &mut [u8]) -> Result<(), VirtioError> {
        self.0.read(sector, into).await
    }
}
