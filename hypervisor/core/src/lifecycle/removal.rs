//! Removing partitions that management made: everything comes back, and nothing before the last user has let it go.
//!
//! The first call dooms the partition: nobody starts it any more, its window is closed, the CPUs are told to drop its vCPUs. CPUs and
//! their TLBs answer in their own time; until then the calls are answered as busy, and the last one takes all apart. A partition that was
//! never started nor shown is removed at once.

use alloc::sync::Arc;

use bulkhead_abi::host::PartitionOrigin;

use super::{wake_all, windows};
use crate::exit::deliver;
use crate::frames::Owner;
use crate::host::Host;
use crate::id::PartitionId;
use crate::machine::Works;
use crate::paging::Flushed;
use crate::partition::Partition;
use crate::shared_vcpu::Hazard;
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

/// The partition is not removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemoveError {
    /// There is none of this id.
    Missing,
    /// It belongs to the boot configuration.
    Configured,
    /// It runs or is paused.
    Live,
    /// A CPU still holds something of it, or somebody else makes or removes a partition just now.
    Busy,
}

/// Removes a partition; `vcpu` is the management partition's that asks.
///
/// # Errors
/// [`RemoveError`].
#[inline(never)]
pub fn remove<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    id: PartitionId,
) -> Result<(), RemoveError> {
    let machine = host.machine();
    let mut works = machine.try_works().ok_or(RemoveError::Busy)?;
    let subject = machine.partition(id).ok_or(RemoveError::Missing)?;
    if subject.origin == PartitionOrigin::Configuration {
        return Err(RemoveError::Configured);
    }
    if !subject.is_doomed() {
        if subject.is_live() {
            return Err(RemoveError::Live);
        }
        // Kept for ever: there is no start any more.
        if !subject.claim() {
            return Err(RemoveError::Busy);
        }
        subject.doom();
        subject.io.lock().abandon();
        // Those that no CPU has got yet are nobody's but ours.
        drop(subject.take_parked());
        let mut woken = windows::close(&vcpu.partition, &subject, host);
        for other in &subject.vcpus {
            other.raise(Hazard::STOP);
        }
        woken = woken.or(wake_all(&subject, host));
        deliver::note(vcpu, woken);
    }
    if subject.window.lock().debt.is_some() && may_be_stale(vcpu) {
        return Err(RemoveError::Busy);
    }
    drop(subject);
    // The records of its vCPUs refer to it: with the last reference, no CPU has anything of it.
    let mut partition = machine.take_unshared(id).ok_or(RemoveError::Busy)?;
    let load = partition.load_of_vcpu();
    for vcpu in partition.present() {
        machine.leave_place(vcpu.home(), load);
    }
    let owner = Owner::Partition(id);
    for range in partition.memory.ranges() {
        if let Err(error) = works.frames.free(owner, range.machine) {
            host.report(format_args!("partition {}: {error}", partition.name));
        }
    }
    if let Some(partition) = Arc::get_mut(&mut partition) {
        dismantle(partition, &mut works, Some(&vcpu.partition));
    }
    Ok(())
}

/// Whether a vCPU of the management partition may still use translations of a window that was closed: one that has not taken
/// its demand for a flush. The caller itself is not in guest mode, and meets the demand before it is.
fn may_be_stale<V: Vcpu>(vcpu: &VcpuRecord<V>) -> bool {
    vcpu.partition
        .vcpus
        .iter()
        .any(|other| !Arc::ptr_eq(other, &vcpu.shared) && other.has(Hazard::FLUSH))
}

/// Gives back the tables and the window of a partition that nobody refers to; its RAM is the caller's. `manager` is the management
/// partition, whose vCPUs have all flushed the window.
pub(super) fn dismantle(
    partition: &mut Partition,
    works: &mut Works,
    manager: Option<&Arc<Partition>>,
) {
    let window = partition.window.get_mut();
    if let (Some(debt), Some(manager)) = (window.debt.take(), manager) {
        manager.space.lock().release(debt, Flushed::attest());
    }
    if let Some(range) = window.range.take() {
        works.windows.give(range);
    }
    // Its vCPUs are gone, and their tags are not used again before a flush of all.
    partition.space.get_mut().destroy(Flushed::attest());
}
