//! Windows: the RAM of partitions that management made, shown in the management partition's own guest-physical space.
//!
//! Devices do not reach windows: without an IOMMU they use machine addresses, and with one only the management partition's own RAM is
//! open to them.

use super::creation::tables_for;
use super::wake_all;
use crate::addr::Gpa;
use crate::exit::deliver::Woken;
use crate::fault::ResourceError;
use crate::host::Host;
use crate::machine::Works;
use crate::nested_space::Content;
use crate::paging::Flushed;
use crate::partition::Partition;

/// Shows all RAM of `subject` to `manager`: where its address 0 would be.
///
/// # Errors
/// Something is exhausted. What is mapped by then stays until the next attempt, or the partition's end.
pub fn open<H: Host>(
    manager: &Partition,
    subject: &Partition,
    works: &mut Works,
    host: &mut H,
) -> Result<Gpa, ResourceError> {
    let mut window = subject.window.lock();
    let range = match window.range {
        Some(range) => range,
        None => works.windows.take(subject.memory.end().as_u64())?,
    };
    window.range = Some(range);
    if window.complete {
        return Ok(range.base);
    }
    // Besides the tables of its own, the window may need the higher ones above it.
    let tables = tables_for(&subject.memory).saturating_add(2);
    host.grow_tables(tables, &mut works.frames)?;
    let mut space = manager.space.lock();
    for ram in subject.memory.ranges() {
        let at = range.base.wrapping_add(ram.gpa.as_u64());
        space
            .map(at, ram.machine, Content::Window)
            .map_err(|_| ResourceError::HypervisorMemory)?;
    }
    window.complete = true;
    Ok(range.base)
}

/// Takes the window of a partition away. What it leaves to flush is kept with the partition.
pub(super) fn close<H: Host>(manager: &Partition, subject: &Partition, host: &H) -> Woken {
    let mut window = subject.window.lock();
    let Some(range) = window.range.filter(|_| window.debt.is_none()) else {
        return Woken::Elsewhere;
    };
    window.complete = false;
    // Whole slots: nothing is split, so that nothing can run out.
    if let Ok(debt) = manager.space.lock().unmap(range.base, range.bytes) {
        window.debt = Some(debt);
    }
    manager.demand_flush();
    wake_all(manager, host)
}

/// Takes all windows away: the management partition has ended, and none of its vCPUs is in guest mode before it starts anew.
pub(super) fn forget_all<H: Host>(manager: &Partition, host: &H) {
    let machine = host.machine();
    let mut works = machine.works();
    for id in 0..machine.partition_count() {
        let Some(subject) = machine.partition(crate::id::PartitionId(id)) else {
            continue;
        };
        let _ = close(manager, &subject, host);
        let mut window = subject.window.lock();
        if let Some(debt) = window.debt.take() {
            // The flush that `close` demands comes before any entry.
            manager.space.lock().release(debt, Flushed::attest());
        }
        if let Some(range) = window.range.take() {
            works.windows.give(range);
        }
    }
}
