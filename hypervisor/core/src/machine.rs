//! What all CPUs share: the partitions, the CPUs' inboxes, where device interrupts go, and what partitions are made of.
//!
//! Lock order: `works`, then the table of partitions, then a partition's own locks. `works` is for making and removing partitions;
//! nothing that runs guests takes it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bulkhead_abi::partition::MAX_VCPUS;
use spin::{Mutex, MutexGuard, Once};

use crate::fault::ResourceError;
use crate::frames::FrameAllocator;
use crate::host::DEVICE_VECTORS;
use crate::id::{CpuId, PartitionId, Vector};
use crate::partition::Partition;
use crate::sched::placement::{self, Load};
use crate::shared_vcpu::SharedVcpu;
use crate::time::Instant;
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;
use crate::window_area::WindowArea;

/// Most partitions.
pub const MAX_PARTITIONS: usize = 1024;

/// Where a device's interrupt goes.
#[derive(Clone, Debug)]
pub struct InterruptRoute {
    /// The vCPU.
    pub vcpu: Arc<SharedVcpu>,
    /// The vector there.
    pub vector: Vector,
}

/// Places in a CPU's inbox, and for its vCPUs, that exist from the beginning: so many cost no further memory.
pub const VCPU_PLACES: usize = 64;

/// A vCPU on its way to the CPU that will run it; which backend it is of, only the two ends know.
pub struct Adoption {
    record: Box<dyn Any + Send>,
    /// Since when it has been ready to run, if it is.
    ready: Option<Instant>,
}

impl Adoption {
    /// The vCPU of this record, which does not run.
    pub fn new<V: Vcpu>(record: Box<VcpuRecord<V>>) -> Self {
        let ready = None;
        Self { record, ready }
    }

    /// The same, ready to run since then.
    #[must_use]
    pub fn ready(mut self, since: Instant) -> Self {
        self.ready = Some(since);
        self
    }

    /// The record, and since when it has been ready to run, if it is; `None` where it is of another backend.
    pub fn into_record<V: Vcpu>(self) -> Option<(Box<VcpuRecord<V>>, Option<Instant>)> {
        Some((self.record.downcast().ok()?, self.ready))
    }
}

/// What other CPUs may touch of a CPU.
struct CpuShared {
    inbox: Mutex<VecDeque<Adoption>>,
    /// Whether something may be in the inbox.
    mail: AtomicBool,
    routes: Mutex<[Option<InterruptRoute>; 256]>,
    /// What its vCPUs count for; changed under the lock of the works.
    load: Mutex<Load>,
}

impl CpuShared {
    #[inline(never)]
    fn take_mail(&self) -> Option<Adoption> {
        let mut inbox = self.inbox.lock();
        let adoption = inbox.pop_front();
        self.mail.store(!inbox.is_empty(), Ordering::Release);
        adoption
    }
}

/// What partitions are made of.
pub struct Works {
    /// The memory.
    pub frames: FrameAllocator<'static>,
    /// Where the management partition sees the memory of others.
    pub windows: WindowArea,
}

/// What becomes of the machine when its guests have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenDone {
    /// It waits for the management partition.
    Stay,
    /// It powers off once no partition but the management partition runs.
    PowerOff,
}

/// What all CPUs share.
pub struct Machine {
    partitions: Mutex<Vec<Option<Arc<Partition>>>>,
    management: Once<Arc<Partition>>,
    cpus: Vec<CpuShared>,
    shares_version: AtomicU64,
    when_done: WhenDone,
    works: Mutex<Works>,
}

impl Machine {
    /// A machine of `cpus` CPUs and this memory, without partitions.
    pub fn new(cpus: u16, when_done: WhenDone, frames: FrameAllocator<'static>) -> Self {
        let cpu = |_| CpuShared {
            inbox: Mutex::new(VecDeque::with_capacity(VCPU_PLACES)),
            mail: AtomicBool::new(false),
            routes: Mutex::new([const { None }; 256]),
            load: Mutex::default(),
        };
        Self {
            partitions: Mutex::new(Vec::with_capacity(MAX_PARTITIONS)),
            management: Once::new(),
            cpus: (0..cpus).map(cpu).collect(),
            shares_version: AtomicU64::new(0),
            when_done,
            works: Mutex::new(Works {
                frames,
                windows: WindowArea::default(),
            }),
        }
    }

    /// What partitions are made of; waits for whoever makes or removes one.
    pub fn works(&self) -> MutexGuard<'_, Works> {
        self.works.lock()
    }

    /// The same; `None` where somebody makes or removes a partition just now.
    pub fn try_works(&self) -> Option<MutexGuard<'_, Works>> {
        self.works.try_lock()
    }

    /// How many CPUs run partitions.
    pub fn cpus(&self) -> u16 {
        self.cpus.len() as u16
    }

    /// What becomes of the machine when its guests have ended.
    pub fn when_done(&self) -> WhenDone {
        self.when_done
    }

    /// The lowest id that no partition has.
    ///
    /// # Errors
    /// The table is full.
    pub fn free_id(&self) -> Result<PartitionId, ResourceError> {
        let partitions = self.partitions.lock();
        let free = partitions.iter().position(Option::is_none);
        let id = free.unwrap_or(partitions.len());
        if id >= MAX_PARTITIONS {
            return Err(ResourceError::TableFull("partitions"));
        }
        Ok(PartitionId(id as u16))
    }

    /// Adds a partition whose id is [`Machine::free_id`].
    ///
    /// # Errors
    /// The table is full, or the id is in use.
    pub fn add(&self, partition: Arc<Partition>) -> Result<(), ResourceError> {
        const FULL: ResourceError = ResourceError::TableFull("partitions");
        let mut partitions = self.partitions.lock();
        let index = usize::from(partition.id.0);
        if index >= MAX_PARTITIONS {
            return Err(FULL);
        }
        // The table's memory is there from the beginning.
        let length = partitions.len().max(index.saturating_add(1));
        partitions.resize(length, None);
        match partitions.get_mut(index) {
            Some(slot @ None) => *slot = Some(partition),
            _ => return Err(FULL),
        }
        Ok(())
    }

    /// Takes a partition out of the table, if nobody else has a reference to it.
    pub fn take_unshared(&self, id: PartitionId) -> Option<Arc<Partition>> {
        let mut partitions = self.partitions.lock();
        let slot = partitions.get_mut(usize::from(id.0))?;
        // References come from this table, under its lock, or from another one: the last one stays the last.
        let last = |partition: &mut Arc<Partition>| Arc::strong_count(partition) == 1;
        let partition = slot.take_if(last)?;
        while let Some(None) = partitions.last() {
            partitions.pop();
        }
        Some(partition)
    }

    /// Names the management partition.
    pub fn set_management(&self, partition: Arc<Partition>) {
        self.management.call_once(|| partition);
    }

    /// The management partition.
    pub fn management(&self) -> Option<&Arc<Partition>> {
        self.management.get()
    }

    /// The partition of this id.
    pub fn partition(&self, id: PartitionId) -> Option<Arc<Partition>> {
        self.partitions
            .lock()
            .get(usize::from(id.0))
            .cloned()
            .flatten()
    }

    /// One more than the largest id in use.
    pub fn partition_count(&self) -> u16 {
        self.partitions.lock().len() as u16
    }

    /// Whether this holds for any partition.
    pub fn any_partition(&self, holds: impl Fn(&Partition) -> bool) -> bool {
        self.partitions
            .lock()
            .iter()
            .flatten()
            .any(|partition| holds(partition))
    }

    /// The CPU for a vCPU that brings `more`, of those that are `allowed`; it has taken it on. `None` where none has room.
    pub fn take_place(&self, allowed: impl Fn(CpuId) -> bool, more: Load) -> Option<CpuId> {
        let cpus = (0u16..)
            .zip(&self.cpus)
            .filter(|(number, _)| allowed(CpuId(*number)))
            .map(|(number, cpu)| (CpuId(number), *cpu.load.lock()));
        let (number, load) = placement::choose(cpus, more)?;
        *self.cpus.get(usize::from(number.0))?.load.lock() = load;
        Some(number)
    }

    /// The CPU does not have the vCPU any more that brought `less`.
    pub fn leave_place(&self, cpu: CpuId, less: Load) {
        self.change_load(cpu, |load| Some(load.without(less)));
    }

    /// Gives those of the vCPUs whose CPU is not `allowed` homes that are, for what each brings; the caller holds the lock of the
    /// works and tells whoever is not at home. `false` where there is no room for all; they have the homes that they had then.
    #[must_use]
    pub fn resettle(
        &self,
        vcpus: &[Arc<SharedVcpu>],
        allowed: impl Fn(CpuId) -> bool,
        load: Load,
    ) -> bool {
        let mut former = [CpuId(0); MAX_VCPUS as usize];
        for (done, (vcpu, slot)) in vcpus.iter().zip(&mut former).enumerate() {
            *slot = vcpu.home();
            if allowed(*slot) {
                continue;
            }
            if let Some(cpu) = self.take_place(&allowed, load) {
                self.leave_place(*slot, load);
                vcpu.set_home(cpu);
                continue;
            }
            for (vcpu, home) in vcpus.iter().zip(former).take(done) {
                self.leave_place(vcpu.home(), load);
                self.change_load(home, |before| Some(before.and(load)));
                vcpu.set_home(home);
            }
            return false;
        }
        true
    }

    /// Each of these vCPUs, by their CPUs, counts for `to` instead of `from`. `false` where a CPU has no room for that; nothing has
    /// changed then.
    #[must_use]
    pub fn change_places(&self, vcpus: &[Arc<SharedVcpu>], from: Load, to: Load) -> bool {
        for (done, vcpu) in vcpus.iter().enumerate() {
            if !self.change_load(vcpu.home(), |load| load.without(from).with(to)) {
                for vcpu in vcpus.iter().take(done) {
                    self.change_load(vcpu.home(), |load| Some(load.without(to).and(from)));
                }
                return false;
            }
        }
        true
    }

    /// Gives homes to vCPUs that come, on CPUs that are `allowed`, for what each brings. `false` where there is no room for all; nothing
    /// has changed then but the homes of vCPUs that have no place.
    #[must_use]
    pub fn take_places(
        &self,
        vcpus: &[Arc<SharedVcpu>],
        allowed: impl Fn(CpuId) -> bool,
        load: Load,
    ) -> bool {
        for (done, vcpu) in vcpus.iter().enumerate() {
            let Some(cpu) = self.take_place(&allowed, load) else {
                self.leave_places(vcpus.get(..done).unwrap_or_default(), load);
                return false;
            };
            vcpu.set_home(cpu);
        }
        true
    }

    /// The CPUs of these vCPUs do not have what each has brought any more.
    pub fn leave_places(&self, vcpus: &[Arc<SharedVcpu>], load: Load) {
        for vcpu in vcpus {
            self.leave_place(vcpu.home(), load);
        }
    }

    /// Undoes [`Machine::leave_places`].
    pub fn return_to_places(&self, vcpus: &[Arc<SharedVcpu>], load: Load) {
        for vcpu in vcpus {
            self.change_load(vcpu.home(), |before| Some(before.and(load)));
        }
    }

    /// Changes with what partitions are entitled to: run loops compare it with what they know.
    #[inline]
    pub fn shares_version(&self) -> u64 {
        // Acquire: partner of `note_shares`.
        self.shares_version.load(Ordering::Acquire)
    }

    /// A partition is entitled to something else now; the caller kicks the CPUs of its vCPUs.
    pub fn note_shares(&self) {
        // Release: who sees the version sees what was changed before.
        self.shares_version.fetch_add(1, Ordering::Release);
    }

    /// `false` where `change` refuses.
    fn change_load(&self, cpu: CpuId, change: impl Fn(Load) -> Option<Load>) -> bool {
        let Some(cpu) = self.cpus.get(usize::from(cpu.0)) else {
            return false;
        };
        let mut load = cpu.load.lock();
        let changed = change(*load);
        *load = changed.unwrap_or(*load);
        changed.is_some()
    }

    /// Gives a CPU a vCPU to run; the caller kicks the CPU.
    pub fn hand_over(&self, cpu: CpuId, adoption: Adoption) {
        if let Some(cpu) = self.cpus.get(usize::from(cpu.0)) {
            let mut inbox = cpu.inbox.lock();
            inbox.push_back(adoption);
            // Under the lock, so that whoever clears it sees what is there.
            cpu.mail.store(true, Ordering::Release);
        }
    }

    /// The next vCPU that was handed to this CPU.
    #[inline]
    pub fn receive(&self, cpu: CpuId) -> Option<Adoption> {
        let cpu = self.cpus.get(usize::from(cpu.0))?;
        // Acquire: partner of `hand_over`. The CPU is kicked after that, so that it looks again.
        if !cpu.mail.load(Ordering::Acquire) {
            return None;
        }
        cpu.take_mail()
    }

    /// Binds a free device vector of `cpu`.
    pub fn bind(&self, cpu: CpuId, route: InterruptRoute) -> Option<Vector> {
        let mut routes = self.cpus.get(usize::from(cpu.0))?.routes.lock();
        for vector in DEVICE_VECTORS {
            let slot = routes.get_mut(usize::from(vector))?;
            if slot.is_none() {
                *slot = Some(route);
                return Some(Vector(vector));
            }
        }
        None
    }

    /// Frees a device vector that is bound to a route for which `mine` holds; `false` where there is none.
    pub fn unbind(
        &self,
        cpu: CpuId,
        vector: Vector,
        mine: impl Fn(&InterruptRoute) -> bool,
    ) -> bool {
        let Some(cpu) = self.cpus.get(usize::from(cpu.0)) else {
            return false;
        };
        match cpu.routes.lock().get_mut(usize::from(vector.0)) {
            Some(slot) if slot.as_ref().is_some_and(mine) => {
                *slot = None;
                true
            }
            _ => false,
        }
    }

    /// Frees all device vectors bound to vCPUs of this partition.
    pub fn unbind_all(&self, partition: &Partition) {
        for cpu in &self.cpus {
            for slot in cpu.routes.lock().iter_mut() {
                let mine = |route: &InterruptRoute| {
                    partition
                        .vcpus
                        .iter()
                        .any(|vcpu| Arc::ptr_eq(vcpu, &route.vcpu))
                };
                if slot.as_ref().is_some_and(mine) {
                    *slot = None;
                }
            }
        }
    }

    /// Where a device vector of `cpu` goes.
    pub fn route(&self, cpu: CpuId, vector: Vector) -> Option<InterruptRoute> {
        self.cpus
            .get(usize::from(cpu.0))?
            .routes
            .lock()
            .get(usize::from(vector.0))?
            .clone()
    }
}
