//! What all CPUs share: the partitions, the CPUs' inboxes, and where device interrupts go.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::{Mutex, Once};

use crate::fault::ResourceError;
use crate::host::DEVICE_VECTORS;
use crate::id::{CpuId, PartitionId, VcpuId, Vector};
use crate::partition::Partition;
use crate::shared_vcpu::SharedVcpu;

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

/// A vCPU that a CPU shall run from now on.
#[derive(Clone)]
pub struct Adoption {
    /// Its partition.
    pub partition: Arc<Partition>,
    /// Which of its vCPUs.
    pub vcpu: VcpuId,
}

/// What other CPUs may touch of a CPU.
struct CpuShared {
    inbox: Mutex<VecDeque<Adoption>>,
    routes: Mutex<[Option<InterruptRoute>; 256]>,
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
    partitions: Mutex<Vec<Arc<Partition>>>,
    management: Once<Arc<Partition>>,
    cpus: Vec<CpuShared>,
    when_done: WhenDone,
}

impl Machine {
    /// A machine of `cpus` CPUs without partitions.
    pub fn new(cpus: u16, when_done: WhenDone) -> Self {
        let cpu = |_| CpuShared {
            inbox: Mutex::new(VecDeque::new()),
            routes: Mutex::new([const { None }; 256]),
        };
        Self {
            partitions: Mutex::new(Vec::new()),
            management: Once::new(),
            cpus: (0..cpus).map(cpu).collect(),
            when_done,
        }
    }

    /// How many CPUs run partitions.
    pub fn cpus(&self) -> u16 {
        self.cpus.len() as u16
    }

    /// What becomes of the machine when its guests have ended.
    pub fn when_done(&self) -> WhenDone {
        self.when_done
    }

    /// The id that the next partition gets.
    pub fn next_id(&self) -> PartitionId {
        PartitionId(self.partitions.lock().len() as u16)
    }

    /// Adds a partition whose id is [`Machine::next_id`].
    ///
    /// # Errors
    /// The table is full.
    pub fn add(&self, partition: Arc<Partition>) -> Result<(), ResourceError> {
        let mut partitions = self.partitions.lock();
        if partitions.len() >= MAX_PARTITIONS {
            return Err(ResourceError::TableFull("partitions"));
        }
        partitions
            .try_reserve(1)
            .map_err(|_| ResourceError::HypervisorMemory)?;
        partitions.push(partition);
        Ok(())
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
        self.partitions.lock().get(usize::from(id.0)).cloned()
    }

    /// How many partitions there are; ids are dense from 0.
    pub fn partition_count(&self) -> u16 {
        self.partitions.lock().len() as u16
    }

    /// Whether this holds for any partition.
    pub fn any_partition(&self, holds: impl Fn(&Partition) -> bool) -> bool {
        self.partitions
            .lock()
            .iter()
            .any(|partition| holds(partition))
    }

    /// Gives a CPU a vCPU to run; the caller kicks the CPU.
    pub fn hand_over(&self, cpu: CpuId, adoption: Adoption) {
        if let Some(cpu) = self.cpus.get(usize::from(cpu.0)) {
            cpu.inbox.lock().push_back(adoption);
        }
    }

    /// The next vCPU that was handed to this CPU.
    pub fn receive(&self, cpu: CpuId) -> Option<Adoption> {
        self.cpus.get(usize::from(cpu.0))?.inbox.lock().pop_front()
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
