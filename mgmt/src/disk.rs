//! The disk task: what the machine's disks hold, and the store on the first that has room for one.

use alloc::format;
use alloc::string::{String, ToString};

use mgmt_executor::Signal;
use mgmt_pci::Address;
use mgmt_virtio::{Block, Disk, SECTOR_BYTES, VirtioError};
use store::{OpenError, Opened, Sectors, Step, Store, open};

use crate::devices::Attached;
use crate::dma::Machine;
use crate::report;
use crate::root::Root;

/// Name of the entry that counts the partition's starts.
const STARTS: &str = "mgmt/starts";

/// Starts the disk's tasks.
pub fn start(root: &Root, block: Attached<Block<Machine>>) {
    let Attached {
        device,
        signal,
        address,
    } = block;
    let disk = Disk::new(device);
    root.spawner().spawn(interrupts(disk.clone(), signal));
    root.spawner().spawn(look(disk, address));
}

async fn interrupts(disk: Disk<Machine>, signal: Signal) {
    loop {
        signal.wait().await;
        disk.interrupt();
    }
}

async fn look(disk: Disk<Machine>, address: Address) {
    let access = match disk.is_read_only() {
        true => "read-only",
        false => "writable",
    };
    let mebibytes = disk.sectors() / (1024 * 1024 / SECTOR_BYTES as u64);
    report!("disk {address}: {mebibytes} MiB, {access}");
    match use_store(&disk).await {
        Ok(text) => report!("disk {address}: {text}"),
        Err(text) => report!("disk {address}: no store: {text}"),
    }
}

/// Opens the disk's store and counts this start in it. A disk that holds something else is left alone.
async fn use_store(disk: &Disk<Machine>) -> Result<String, String> {
    let opened = open(&StoreDisk(disk)).await;
    let mut store = match opened.map_err(|error: OpenError<_>| error.to_string())? {
        Opened::Existing(store) => store,
        Opened::Blank(store) => store,
    };
    if disk.is_read_only() {
        return Ok(describe(&store));
    }
    let starts = store.get(STARTS).and_then(|bytes| bytes.first_chunk());
    let starts = u64::from_le_bytes(starts.copied().unwrap_or_default()).saturating_add(1);
    let put = store.put(STARTS, starts.to_le_bytes().to_vec());
    put.map_err(|error| error.to_string())?;
    save(disk, &mut store)
        .await
        .map_err(|error| error.to_string())?;
    Ok(format!("{}, start {starts}", describe(&store)))
}

fn describe(store: &Store) -> String {
    let (entries, commits) = (store.len(), store.generation());
    format!("store with {entries} entries after {commits} commits")
}

/// Makes all changes durable.
async fn save(disk: &Disk<Machine>, store: &mut Store) -> Result<(), VirtioError> {
    let Some(commit) = store.begin() else {
        return Ok(());
    };
    for step in commit.steps() {
        match step {
            Step::Write { sector, data } => disk.write(*sector, data).await?,
            Step::Flush => disk.flush().await?,
        }
    }
    store.finish(commit);
    Ok(())
}

/// The disk as the store reads it.
struct StoreDisk<'a>(&'a Disk<Machine>);

impl Sectors for StoreDisk<'_> {
    type Error = VirtioError;

    fn sectors(&self) -> u64 {
        self.0.sectors()
    }

    async fn read(&self, sector: u64, into: &mut [u8]) -> Result<(), VirtioError> {
        self.0.read(sector, into).await
    }
}
