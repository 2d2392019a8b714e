//! A partition's state leaves as bytes and comes back: what the hypercalls PartitionSave and PartitionRestore do.
//!
//! The owners of the vCPUs save and load them, asked by hazards, as nobody else may touch a record; the board is saved under its lock. A
//! state is of one moment all the same: it counts only where nothing has reached a vCPU after it was saved and before the
//! board was. Else, and while a vCPU waits for the answer to a device access, whoever asks is told to ask again.
//!
//! A restore is checked as a whole before anything changes. Every instant in it is moved by the time between save and restore,
//! so that all clocks of the guest, the TSC included, go on from what they showed; where the CPUs here can scale the TSC, also at the
//! rate that it had.

use alloc::vec::Vec;

use bulkhead_abi::host::PartitionState;

use crate::addr::Gpa;
use crate::exit::clock;
use crate::exit::deliver::Woken;
use crate::fault::ResourceError;
use crate::guest_tsc::{GuestTsc, TscScale};
use crate::host::Host;
use crate::lifecycle::{tell_management, wake_all};
use crate::local_apic::{LapicFeatures, StateError};
use crate::partition::Partition;
use crate::saved_state::{BadState, Limits, SavedPartition, SavedTime, SavedVcpu, Shape};
use crate::shared_vcpu::Hazard;
use crate::time::Instant;
use crate::vcpu::Vcpu;
use crate::vcpu_record::{Activity, Duty, VcpuRecord, Work};

/// Heap that a state takes at most for each vCPU, with all that goes on until it is made.
const HEAP_VCPU: usize = 12 << 10;
/// Heap for the rest of it.
const HEAP_BASE: usize = 16 << 10;
/// CPUID leaf 1 ECX: x2APIC, TSC deadline.
const X2APIC: u32 = 1 << 21;
const TSC_DEADLINE: u32 = 1 << 24;

/// A vCPU that its owner has saved.
#[derive(Debug)]
struct Collected {
    /// How often the owner had looked up in the pause when it saved it ([`crate::shared_vcpu::SharedVcpu::looks`]).
    looks: u32,
    vcpu: SavedVcpu,
}

/// What is on its way out of a partition or into it.
#[derive(Debug, Default)]
pub struct Transfer {
    /// What owners have saved.
    collected: Vec<Collected>,
    /// An owner had no memory for it.
    exhausted: bool,
    /// The state as a whole, handed out in pieces.
    out: Vec<u8>,
    /// The pieces that came in.
    incoming: Vec<u8>,
    /// What owners are to load.
    loading: Vec<SavedVcpu>,
    /// How the guest's time goes on.
    resumption: Resumption,
}

/// When a restored guest goes on, on a clock that may run at another rate than the one before.
#[derive(Clone, Copy, Debug)]
struct Resumption {
    /// When it was saved, in ticks of the guest's rate.
    saved: Instant,
    /// When it goes on.
    now: Instant,
    /// From the host's ticks to the guest's.
    scale: TscScale,
}

impl Default for Resumption {
    fn default() -> Self {
        Self {
            saved: Instant(0),
            now: Instant(0),
            scale: TscScale::UNIT,
        }
    }
}

impl Resumption {
    /// The instant here that is as long before the restore as `at` was before the save.
    fn instant(&self, at: Instant) -> Instant {
        let before = self.scale.ticks_for(self.saved.0.wrapping_sub(at.0));
        Instant(self.now.0.wrapping_sub(before.0))
    }

    /// The TSC that goes on from what it showed when it was saved.
    fn tsc(&self, offset: u64) -> GuestTsc {
        let scale = self.scale;
        GuestTsc { scale, offset: 0 }.set_to(self.saved.0.wrapping_add(offset), self.now)
    }
}

impl Transfer {
    /// The partition runs on, or has ended: what was saved is its past.
    pub fn forget_saved(&mut self) {
        self.collected = Vec::new();
        self.out = Vec::new();
        self.exhausted = false;
    }
}

/// Why a state cannot be saved or restored now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransferError {
    /// The partition is in no state for that.
    State,
    /// Not yet: ask again soon.
    Busy,
    /// There is no such piece.
    Piece,
    /// The caller's memory is not there.
    Address,
    /// No memory is left.
    Resource(ResourceError),
    /// The bytes are not a state for this partition.
    Bad(BadState),
}

impl From<ResourceError> for TransferError {
    fn from(error: ResourceError) -> Self {
        TransferError::Resource(error)
    }
}

impl From<BadState> for TransferError {
    fn from(error: BadState) -> Self {
        TransferError::Bad(error)
    }
}

/// A state could not be saved; a vCPU of this CPU may have been woken to change that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SaveError {
    /// Why.
    pub error: TransferError,
    /// Who was woken.
    pub woken: Woken,
}

impl<E: Into<TransferError>> From<E> for SaveError {
    fn from(error: E) -> Self {
        SaveError {
            error: error.into(),
            woken: Woken::Elsewhere,
        }
    }
}

fn shape(partition: &Partition) -> Shape {
    Shape {
        ram: partition.memory.bytes(),
        vcpus: partition.vcpus.len() as u16,
    }
}

fn check_heap<H: Host>(partition: &Partition, host: &H) -> Result<(), ResourceError> {
    let vcpus = partition.vcpus.len().saturating_mul(HEAP_VCPU);
    host.check_heap(vcpus.saturating_add(HEAP_BASE))
}

/// Gives the state of a paused partition from byte `offset` on to `copy`. The length of all of it. At offset 0 the state is
/// taken anew.
///
/// # Errors
/// [`SaveError`]. Where it is [`TransferError::Busy`], the owners of vCPUs were asked to save them.
pub fn save<H: Host>(
    partition: &Partition,
    host: &mut H,
    offset: u64,
    copy: impl FnOnce(&mut H, &[u8]) -> Result<(), TransferError>,
) -> Result<u64, SaveError> {
    if partition.state() != PartitionState::Paused {
        return Err(TransferError::State.into());
    }
    if offset == 0 {
        collect(partition, host)?;
    }
    let transfer = partition.transfer.lock();
    let start = usize::try_from(offset).map_err(|_| TransferError::Piece)?;
    let rest = transfer.out.get(start..).filter(|rest| !rest.is_empty());
    copy(host, rest.ok_or(TransferError::Piece)?)?;
    Ok(transfer.out.len() as u64)
}

/// Makes the bytes, where all vCPUs were saved and nothing has reached them since.
fn collect<H: Host>(partition: &Partition, host: &mut H) -> Result<(), SaveError> {
    if !partition.is_settled() {
        return Err(TransferError::Busy.into());
    }
    check_heap(partition, host)?;
    // Devices reach vCPUs under their lock only.
    let mut devices = partition.devices.lock();
    let mut transfer = partition.transfer.lock();
    if core::mem::take(&mut transfer.exhausted) {
        return Err(ResourceError::HypervisorMemory.into());
    }
    transfer.collected.retain(|collected| {
        partition
            .vcpu(collected.vcpu.id)
            // In this order: whoever takes something out of the mailbox has counted it as a look before.
            .is_some_and(|vcpu| vcpu.is_quiet() && vcpu.looks() == collected.looks)
    });
    if transfer.collected.len() < partition.vcpus.len() {
        drop(transfer);
        drop(devices);
        return Err(SaveError {
            error: TransferError::Busy,
            woken: ask(partition, host),
        });
    }
    let now = host.now();
    let mut collected = core::mem::take(&mut transfer.collected);
    collected.sort_unstable_by_key(|collected| collected.vcpu.id.0);
    let mut vcpus = Vec::new();
    vcpus
        .try_reserve_exact(collected.len())
        .map_err(|_| ResourceError::HypervisorMemory)?;
    vcpus.extend(collected.into_iter().map(|collected| collected.vcpu));
    let base = devices.clock_base();
    let scale = base.scale();
    let state = SavedPartition {
        shape: shape(partition),
        time: SavedTime {
            tsc: base.guest_tsc,
            at: Instant(scale.apply(now.0)),
            elapsed: scale.apply(now.0.wrapping_sub(base.origin.0)),
            seconds: base.seconds,
        },
        board: devices.save(now),
        vcpus,
    };
    transfer.out = state.save()?;
    Ok(())
}

/// Asks the owners of vCPUs that are not saved yet.
fn ask<H: Host>(partition: &Partition, host: &H) -> Woken {
    for vcpu in &partition.vcpus {
        let transfer = partition.transfer.lock();
        let has = |collected: &Collected| collected.vcpu.id == vcpu.id;
        if !transfer.collected.iter().any(has) {
            vcpu.raise(Hazard::SAVE);
        }
    }
    wake_all(partition, host)
}

/// The owner saves a vCPU of a paused partition; not one that waits for an answer, whose instruction is half done.
#[inline(never)]
pub fn save_vcpu<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) {
    if vcpu.duty != Duty::Paused || vcpu.pending_io.is_some() {
        return;
    }
    let partition = vcpu.partition.clone();
    let saved = saved(vcpu, host);
    let mut transfer = partition.transfer.lock();
    let looks = vcpu.shared.looks();
    let id = vcpu.id();
    transfer
        .collected
        .retain(|collected| collected.vcpu.id != id);
    match saved {
        Ok(saved) if transfer.collected.try_reserve(1).is_ok() => {
            transfer.collected.push(Collected { looks, vcpu: saved });
        }
        _ => transfer.exhausted = true,
    }
}

fn saved<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
) -> Result<SavedVcpu, ResourceError> {
    let at = host.now();
    vcpu.reclaim();
    let priority = vcpu.hw.cr8();
    if priority != vcpu.apic.cr8() {
        vcpu.apic.set_cr8(priority);
    }
    let mut registers = vcpu.hw.registers();
    if registers.uses_page_pointers() && registers.page_pointers.is_none() {
        registers.page_pointers = Some(read_pointers(vcpu, host, registers.cr3));
    }
    let GuestTsc { scale, offset } = vcpu.apic.guest_tsc();
    let mut clock = vcpu.clock.save();
    clock.stolen = scale.apply(clock.stolen);
    Ok(SavedVcpu {
        id: vcpu.id(),
        at: Instant(scale.apply(at.0)),
        tsc_offset: offset,
        activity: vcpu.activity,
        nmi: vcpu.work.contains(Work::NMI),
        ext_int: vcpu.work.contains(Work::EXT_INT),
        registers,
        extended: vcpu.hw.extended()?,
        apic: vcpu.apic.save(at),
        bank: vcpu.bank.save(),
        clock,
    })
}

/// The page-directory pointers that CR3 leads to, for CPUs that keep them. Those that would fault are not there.
fn read_pointers<V: Vcpu, H: Host>(vcpu: &VcpuRecord<V>, host: &mut H, cr3: u64) -> [u64; 4] {
    const ADDRESS: u64 = 0xffff_ffe0;
    const RESERVED: u64 = 0x1e6;
    let mut bytes = [0; 32];
    if vcpu
        .partition
        .memory
        .read(host, Gpa::new(cr3 & ADDRESS), &mut bytes)
        .is_err()
    {
        return [0; 4];
    }
    let mut pointers = [0; 4];
    for (pointer, bytes) in pointers.iter_mut().zip(bytes.as_chunks().0) {
        let value = u64::from_le_bytes(*bytes);
        let above = value.checked_shr(u32::from(host.physical_bits()));
        if value & RESERVED == 0 && above.unwrap_or(0) == 0 {
            *pointer = value;
        }
    }
    pointers
}

/// Takes the piece at `offset` of a state of `total` bytes, `largest` bytes or what is left, from `copy`; offset 0 begins anew. Where
/// to go on: with [`restore`], where that is `total`.
///
/// # Errors
/// [`TransferError`]; the partition is as it was.
pub fn accept<H: Host>(
    partition: &Partition,
    host: &mut H,
    offset: u64,
    total: u64,
    largest: u64,
    copy: impl FnOnce(&mut H, &mut [u8]) -> Result<(), TransferError>,
) -> Result<u64, TransferError> {
    check_readiness(partition)?;
    let left = total.checked_sub(offset).filter(|left| *left != 0);
    let length = left.ok_or(TransferError::Piece)?.min(largest) as usize;
    if total > SavedPartition::most_bytes(partition.vcpus.len() as u16) {
        return Err(TransferError::Piece);
    }
    check_heap(partition, host)?;
    let mut transfer = partition.transfer.lock();
    if offset == 0 {
        transfer.incoming = Vec::new();
    }
    let start = transfer.incoming.len();
    if offset != start as u64 {
        return Err(TransferError::Piece);
    }
    transfer
        .incoming
        .try_reserve_exact(length)
        .map_err(|_| ResourceError::HypervisorMemory)?;
    let end = start.saturating_add(length);
    transfer.incoming.resize(end, 0);
    let place = transfer.incoming.get_mut(start..).unwrap_or_default();
    if let Err(error) = copy(host, place) {
        transfer.incoming.truncate(start);
        return Err(error);
    }
    Ok(end as u64)
}

/// Whether a partition can go on from a saved state: paused, or at rest with nothing of former owners in its RAM.
fn check_readiness(partition: &Partition) -> Result<(), TransferError> {
    match partition.state() {
        PartitionState::Running => Err(TransferError::State),
        PartitionState::Paused if !partition.is_settled() => Err(TransferError::Busy),
        _ if !partition.is_clear() => Err(TransferError::State),
        _ => Ok(()),
    }
}

/// Brings a partition into the state that [`accept`] took, and leaves it paused; all of it is looked at before anything changes.
///
/// # Errors
/// [`TransferError`]; the partition is as it was.
#[inline(never)]
pub fn restore<V: Vcpu, H: Host>(
    partition: &Partition,
    host: &mut H,
) -> Result<Woken, TransferError> {
    check_readiness(partition)?;
    let bytes = core::mem::take(&mut partition.transfer.lock().incoming);
    let state = SavedPartition::load(&bytes, &shape(partition))?;
    check::<V, H>(partition, host, &state)?;
    let paused = partition.state() == PartitionState::Paused;
    if !paused && !partition.claim() {
        return Err(TransferError::Busy);
    }
    let now = host.now();
    let restored = partition
        .devices
        .lock()
        .restore(&state, now, partition, host);
    let scale = partition.devices.lock().clock_base().scale();
    if let Err(error) = restored {
        if !paused {
            partition.rest();
        }
        return Err(error.into());
    }
    {
        let mut transfer = partition.transfer.lock();
        transfer.forget_saved();
        transfer.resumption = Resumption {
            saved: state.time.at,
            now,
            scale,
        };
        transfer.loading = state.vcpus;
    }
    let hazards = if paused {
        partition.pause_anew();
        Hazard::LOAD | Hazard::PAUSE
    } else {
        partition.run_paused();
        for (owner, adoption) in partition.take_parked() {
            host.machine().hand_over(owner, adoption);
        }
        Hazard::RESET | Hazard::LOAD
    };
    for vcpu in &partition.vcpus {
        vcpu.raise(hazards);
    }
    Ok(wake_all(partition, host).or(tell_management(partition, host)))
}

fn check<V: Vcpu, H: Host>(
    partition: &Partition,
    host: &H,
    state: &SavedPartition,
) -> Result<(), BadState> {
    let features = partition.cpuid.feature_words().leaf1_ecx;
    let mut lapic = LapicFeatures::empty();
    lapic.set(LapicFeatures::X2APIC, features & X2APIC != 0);
    lapic.set(LapicFeatures::TSC_DEADLINE, features & TSC_DEADLINE != 0);
    for (saved, vcpu) in state.vcpus.iter().zip(&partition.vcpus) {
        saved.check(&Limits {
            rules: &partition.rules,
            physical_bits: host.physical_bits(),
            lapic,
            apic_id: vcpu.apic_id,
        })?;
        V::check_extended(&saved.extended).map_err(BadState::Extended)?;
        if !vcpu.is_present() && saved.activity != Activity::WaitForStartUp {
            return Err(StateError::MissingFeature("a vCPU that is absent").into());
        }
    }
    Ok(())
}

/// The owner brings a vCPU into the state that waits for it; `false` where there is none, or it cannot be in it after all.
#[inline(never)]
#[must_use]
pub fn load_vcpu<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> bool {
    let partition = vcpu.partition.clone();
    let mut transfer = partition.transfer.lock();
    let resumption = transfer.resumption;
    let id = vcpu.id();
    let place = transfer.loading.iter().position(|saved| saved.id == id);
    let Some(saved) = place.map(|place| transfer.loading.swap_remove(place)) else {
        return false;
    };
    if transfer.loading.is_empty() {
        transfer.loading = Vec::new();
    }
    drop(transfer);
    vcpu.drop_request();
    vcpu.forget_lent();
    let at = resumption.instant(saved.at);
    vcpu.hw.set_registers(&saved.registers);
    vcpu.hw.set_extended(&saved.extended);
    vcpu.apic.power_up_reset();
    vcpu.set_guest_tsc(resumption.tsc(saved.tsc_offset), at);
    let fits = vcpu.apic.restore(&saved.apic, at).is_ok() && vcpu.bank.restore(&saved.bank).is_ok();
    vcpu.hw.set_cr8(vcpu.apic.cr8());
    vcpu.shared.set_identity(vcpu.apic.identity());
    vcpu.activity = match vcpu.shared.is_present() {
        true => saved.activity,
        // It went after the state was looked at.
        false => Activity::WaitForStartUp,
    };
    vcpu.work = vcpu.work & Work::MOVE | Work::EVENT | Work::TAG;
    vcpu.work.set(Work::NMI, saved.nmi);
    vcpu.work.set(Work::EXT_INT, saved.ext_int);
    let mut state = saved.clock;
    state.stolen = resumption.scale.ticks_for(state.stolen).0;
    vcpu.clock.restore(&state);
    clock::refresh_all(vcpu, host);
    fits
}
