//! The disk task: what the machine's disks hold.

use alloc::vec;

use mgmt_executor::Signal;
use mgmt_pci::Address;
use mgmt_virtio::{Block, Disk, SECTOR_BYTES, VirtioError};

use crate::devices::Attached;
use crate::dma::Machine;
use crate::report;
use crate::root::Root;

/// Sectors read at the start.
const FIRST_SECTORS: usize = 16;

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
    if let Err(error) = describe(&disk, address).await {
        report!("disk {address}: {error}");
    }
}

async fn describe(disk: &Disk<Machine>, address: Address) -> Result<(), VirtioError> {
    let sectors = usize::try_from(disk.sectors()).unwrap_or(usize::MAX);
    let mut first = vec![0; sectors.min(FIRST_SECTORS) * SECTOR_BYTES];
    disk.read(0, &mut first).await?;
    let access = match disk.is_read_only() {
        true => "read-only",
        false => "writable",
    };
    let content = match first.iter().all(|&byte| byte == 0) {
        true => "blank",
        false => "with data",
    };
    report!(
        "disk {address}: {} MiB, {access}, {content}",
        sectors / (1024 * 1024 / SECTOR_BYTES)
    );
    Ok(())
}
