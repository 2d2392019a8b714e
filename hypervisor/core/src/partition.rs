//! A partition: what its vCPUs share, and what the hypervisor knows of it.
//!
//! Immutable after construction except behind atomics and locks. Lock order: `space`, `devices`, `transfer`, `io`, `line`, `crash`;
//! none of them is taken on the way of the exits that need to be fast.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, SeqCst},
};

use bulkhead_abi::crash::CrashRecord;
use bulkhead_abi::host::{PartitionOrigin, PartitionState};
use bulkhead_abi::partition::BootState;
use spin::Mutex;

use crate::addr::{Gpa, Hpa};
use crate::boot_image::BootImage;
use crate::config::Role;
use crate::cpuid::CpuidTable;
use crate::device_windows::DeviceWindows;
use crate::doorbell::DoorbellTable;
use crate::event_page::{EventPage, EventPort};
use crate::guest_memory::GuestMemory;
use crate::host::SharedPage;
use crate::id::{CpuId, PartitionId, VcpuId};
use crate::lifecycle::transfer::Transfer;
use crate::line::LineBuffer;
use crate::machine::Adoption;
use crate::msr::ControlRules;
use crate::nested_space::NestedSpace;
use crate::paging::Flush;
use crate::platform_devices::PlatformDevices;
use crate::sched::placement::Load;
use crate::sched::{Entitlement, System};
use crate::shared_vcpu::{Hazard, SharedVcpu};
use crate::time::Hertz;
use crate::vcpu::StartState;
use crate::window_area::WindowRange;

/// Where the partition's unanswered accesses and its life-cycle changes are reported.
#[derive(Default)]
pub struct IoRoute {
    /// The I/O page, and the event port of its first slot.
    pub requests: Option<(SharedPage, EventPort)>,
    /// The port for life-cycle changes.
    pub lifecycle: Option<EventPort>,
    /// Its own event page, if it manages.
    pub events: Option<EventPage>,
    /// The doorbells; replaced as a whole.
    pub doorbells: Arc<DoorbellTable>,
    /// Whoever served it is gone, and nobody does so yet.
    pub orphaned: bool,
}

/// What becomes of accesses that nobody answers just now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unserved {
    /// They are what they are on a bus without a device.
    Nobody,
    /// They wait for the management partition, which starts again.
    Wait,
}

impl IoRoute {
    /// Whether requests go to this page.
    pub fn is_served_by(&self, page: SharedPage) -> bool {
        self.requests
            .is_some_and(|(current, _)| core::ptr::eq(current, page))
    }

    /// Whoever served the partition is gone, and what it had registered with it.
    pub fn abandon(&mut self) {
        *self = Self {
            orphaned: self.orphaned || self.requests.is_some(),
            ..Self::default()
        };
    }
}

/// Where the management partition sees the partition's RAM.
#[derive(Default)]
pub struct Window {
    /// The slots; `None` while it is not shown.
    pub range: Option<WindowRange>,
    /// Whether all of the RAM is mapped there.
    pub complete: bool,
    /// What closing it left to flush in the management partition's tables.
    pub debt: Option<Flush>,
}

/// What a partition is made of.
pub struct PartitionParts {
    /// Its id.
    pub id: PartitionId,
    /// Its name.
    pub name: String,
    /// Its rights.
    pub role: Role,
    /// Who made it.
    pub origin: PartitionOrigin,
    /// What its maker knows it by.
    pub cookie: [u8; 16],
    /// What it is loaded from at each start; `None`: management fills its memory and says where it starts.
    pub boot: Option<BootImage>,
    /// Its RAM.
    pub memory: GuestMemory,
    /// The device memory it may reach.
    pub windows: DeviceWindows,
    /// Its nested tables, with all RAM mapped.
    pub space: Box<dyn NestedSpace>,
    /// What CPUID tells its vCPUs.
    pub cpuid: CpuidTable,
    /// The interrupt controllers and timers that its vCPUs share.
    pub devices: PlatformDevices,
    /// What it gets of the physical CPUs.
    pub entitlement: Entitlement,
    /// The shared parts of its vCPUs, in the order of their ids; those that are present come first.
    pub vcpus: Vec<Arc<SharedVcpu>>,
}

/// A partition.
pub struct Partition {
    /// Its id.
    pub id: PartitionId,
    /// Its name.
    pub name: String,
    /// Its rights.
    pub role: Role,
    /// Who made it.
    pub origin: PartitionOrigin,
    /// What its maker knows it by.
    pub cookie: [u8; 16],
    /// What it is loaded from at each start; `None`: management fills its memory and says where it starts.
    pub boot: Option<BootImage>,
    /// What CPUID tells its vCPUs.
    pub cpuid: CpuidTable,
    /// The rate of the host's TSC.
    pub tsc: Hertz,
    /// What its vCPUs may write to control registers.
    pub rules: ControlRules,
    /// Its RAM.
    pub memory: GuestMemory,
    /// The device memory it may reach.
    pub windows: DeviceWindows,
    /// The shared parts of its vCPUs, the absent ones included: they are there for whatever all vCPUs have to obey.
    pub vcpus: Vec<Arc<SharedVcpu>>,
    /// What the schedulers of its vCPUs know of it.
    pub system: Arc<System>,
    /// The root of the nested tables.
    pub root: Hpa,
    /// The nested tables.
    pub space: Mutex<Box<dyn NestedSpace>>,
    /// Interrupt controllers and timers shared by the vCPUs.
    pub devices: Mutex<PlatformDevices>,
    /// When the shared timers need attention, as a TSC value; looked at by the owner of vCPU 0.
    pub device_deadline: AtomicU64,
    /// Routes to the management partition.
    pub io: Mutex<IoRoute>,
    /// The line being printed.
    pub line: Mutex<LineBuffer>,
    /// Where the management partition sees its RAM; taken after the lock of the machine's works.
    pub window: Mutex<Window>,
    /// Its vCPUs until the first start, each with the CPU that gets it. They refer to the partition: whoever removes it takes them
    /// away.
    parked: Mutex<Vec<(CpuId, Adoption)>>,
    /// What management keeps here over its own restarts.
    pub kept: Mutex<Vec<u8>>,
    /// Its state, on its way out or in; taken after the lock of the devices.
    pub transfer: Mutex<Transfer>,
    crash: Mutex<CrashRecord>,
    start: Mutex<Option<StartState>>,
    boot_state: Mutex<Option<BootState>>,
    /// All RAM below this guest-physical address was cleared since the partition was made.
    cleared: AtomicU64,
    state: AtomicU32,
    /// The number of the last pause.
    pause: AtomicU32,
    /// It is being removed: CPUs drop its vCPUs.
    doomed: AtomicBool,
    /// Index of the vCPU after the one that took the last lowest-priority message.
    pub(crate) next_receiver: AtomicUsize,
    /// Counts changes of the nested tables that need a TLB flush.
    epoch: AtomicU64,
    /// vCPUs that their CPU may still enter, and one for whoever starts or ends the partition; 0 at rest.
    active: AtomicU32,
    starts: AtomicU32,
    /// It asked to be started again when it has stopped.
    restart_wanted: AtomicBool,
}

impl Partition {
    /// A partition in state stopped.
    pub fn new(parts: PartitionParts) -> Self {
        Self {
            id: parts.id,
            name: parts.name,
            role: parts.role,
            origin: parts.origin,
            cookie: parts.cookie,
            boot: parts.boot,
            tsc: parts.devices.clock_base().tsc,
            rules: ControlRules::new(&parts.cpuid),
            cpuid: parts.cpuid,
            memory: parts.memory,
            windows: parts.windows,
            system: {
                let present = parts.vcpus.iter().filter(|vcpu| vcpu.is_present());
                Arc::new(System::new(present.count() as u32, parts.entitlement))
            },
            vcpus: parts.vcpus,
            root: parts.space.root(),
            space: Mutex::new(parts.space),
            devices: Mutex::new(parts.devices),
            device_deadline: AtomicU64::new(u64::MAX),
            io: Mutex::new(IoRoute::default()),
            line: Mutex::new(LineBuffer::new()),
            window: Mutex::new(Window::default()),
            parked: Mutex::new(Vec::new()),
            kept: Mutex::new(Vec::new()),
            transfer: Mutex::new(Transfer::default()),
            crash: Mutex::new(CrashRecord::default()),
            start: Mutex::new(None),
            boot_state: Mutex::new(None),
            cleared: AtomicU64::new(0),
            state: AtomicU32::new(PartitionState::Stopped as u32),
            pause: AtomicU32::new(0),
            doomed: AtomicBool::new(false),
            next_receiver: AtomicUsize::new(0),
            epoch: AtomicU64::new(1),
            active: AtomicU32::new(0),
            starts: AtomicU32::new(0),
            restart_wanted: AtomicBool::new(false),
        }
    }

    /// Its state.
    pub fn state(&self) -> PartitionState {
        match self.state.load(SeqCst) {
            1 => PartitionState::Running,
            3 => PartitionState::Crashed,
            4 => PartitionState::Paused,
            5 => PartitionState::Reset,
            _ => PartitionState::Stopped,
        }
    }

    /// Whether it has been started and has not ended: running or paused.
    pub fn is_live(&self) -> bool {
        matches!(
            self.state(),
            PartitionState::Running | PartitionState::Paused
        )
    }

    /// Leaves state running or paused for good; `false` where it was in neither (someone else was faster).
    pub fn stop(&self, next: PartitionState) -> bool {
        const LIVE: [u32; 2] = [
            PartitionState::Running as u32,
            PartitionState::Paused as u32,
        ];
        let first = self
            .state
            .fetch_update(SeqCst, SeqCst, |state| {
                LIVE.contains(&state).then_some(next as u32)
            })
            .is_ok();
        if first {
            for vcpu in &self.vcpus {
                vcpu.raise(Hazard::STOP);
            }
        }
        first
    }

    /// From running to paused: the vCPUs shall leave guest mode. `false` where it is not running.
    pub fn pause(&self) -> bool {
        let paused = self.exchange(PartitionState::Running, PartitionState::Paused);
        if paused {
            self.pause.fetch_add(1, SeqCst);
            for vcpu in &self.vcpus {
                vcpu.raise(Hazard::PAUSE);
            }
        }
        paused
    }

    /// From paused to running. `false` where it is not paused.
    pub fn resume(&self) -> bool {
        let resumed = self.exchange(PartitionState::Paused, PartitionState::Running);
        if resumed {
            self.transfer.lock().forget_saved();
            for vcpu in &self.vcpus {
                vcpu.raise(Hazard::PAUSE);
            }
        }
        resumed
    }

    /// It stays paused, but its vCPUs have to say anew that they are out of guest mode; the caller raises the hazard.
    pub fn pause_anew(&self) {
        self.pause.fetch_add(1, SeqCst);
    }

    fn exchange(&self, from: PartitionState, to: PartitionState) -> bool {
        self.state
            .compare_exchange(from as u32, to as u32, SeqCst, SeqCst)
            .is_ok()
    }

    /// A vCPU stays out of guest mode from now on; `true` where that holds for all of them.
    pub fn obey_pause(&self, vcpu: &SharedVcpu) -> bool {
        vcpu.obey_pause(self.pause.load(SeqCst));
        self.is_settled()
    }

    /// Whether no vCPU is in guest mode and none will be before somebody acts on the partition.
    pub fn is_settled(&self) -> bool {
        match self.state() {
            PartitionState::Running => false,
            PartitionState::Paused => {
                let pause = self.pause.load(SeqCst);
                self.vcpus.iter().all(|vcpu| vcpu.obeyed_pause() == pause)
            }
            PartitionState::Stopped | PartitionState::Crashed | PartitionState::Reset => {
                !self.is_active()
            }
        }
    }

    /// Stops with a crash record; the first failure is kept.
    pub fn crash(&self, record: CrashRecord) -> bool {
        // The record is in place before anybody sees the state.
        let mut slot = self.crash.lock();
        let first = self.stop(PartitionState::Crashed);
        if first {
            *slot = record;
        }
        first
    }

    /// Where vCPU 0 starts from now on.
    pub fn set_start(&self, start: StartState) {
        *self.start.lock() = Some(start);
    }

    /// Where vCPU 0 starts; `None` before the partition was loaded.
    pub fn start(&self) -> Option<StartState> {
        *self.start.lock()
    }

    /// Keeps the vCPUs until the first start.
    pub fn park(&self, vcpus: Vec<(CpuId, Adoption)>) {
        *self.parked.lock() = vcpus;
    }

    /// The vCPUs that no CPU has got yet.
    pub fn take_parked(&self) -> Vec<(CpuId, Adoption)> {
        core::mem::take(&mut *self.parked.lock())
    }

    /// Takes the state that vCPU 0 starts in from the next start on.
    pub fn set_boot_state(&self, state: BootState) {
        *self.boot_state.lock() = Some(state);
    }

    /// What [`Partition::set_boot_state`] was told.
    pub fn boot_state(&self) -> Option<BootState> {
        *self.boot_state.lock()
    }

    /// The RAM from `from` to `to` was cleared. Counts only where all below was cleared before.
    pub fn note_cleared(&self, from: Gpa, to: Gpa) {
        let _ = self.cleared.fetch_update(SeqCst, SeqCst, |cleared| {
            (from.as_u64() <= cleared && cleared < to.as_u64()).then_some(to.as_u64())
        });
    }

    /// Whether nothing of former owners is left in its RAM.
    pub fn is_clear(&self) -> bool {
        self.cleared.load(SeqCst) >= self.memory.end().as_u64()
    }

    /// It is being removed; whoever says so has claimed it and keeps it.
    pub fn doom(&self) {
        self.doomed.store(true, SeqCst);
    }

    /// Whether it is being removed.
    pub fn is_doomed(&self) -> bool {
        self.doomed.load(SeqCst)
    }

    /// Its nested tables changed such that what CPUs have cached of them is wrong: its vCPUs flush before their next entry.
    /// The caller wakes their owners.
    pub fn demand_flush(&self) {
        // Release: partner of `epoch`, after the change of the tables.
        self.epoch.fetch_add(1, SeqCst);
        for vcpu in &self.vcpus {
            vcpu.raise(Hazard::FLUSH);
        }
    }

    /// Claims a partition at rest for a start; `false` where it runs, or where somebody else starts or ends it.
    /// Whoever has it goes on with [`Partition::run`] or [`Partition::rest`].
    #[must_use]
    pub fn claim(&self) -> bool {
        let claimed = (self.vcpus.len() as u32).saturating_add(1);
        self.active
            .compare_exchange(0, claimed, SeqCst, SeqCst)
            .is_ok()
    }

    /// Gives back what [`Partition::claim`] or the last [`Partition::retire_vcpu`] gave: the partition rests.
    pub fn rest(&self) {
        self.transfer.lock().forget_saved();
        self.active.store(0, SeqCst);
    }

    /// Enters state running; the caller has the partition by [`Partition::claim`] or the last [`Partition::retire_vcpu`].
    pub fn run(&self) {
        *self.crash.lock() = CrashRecord::default();
        self.restart_wanted.store(false, SeqCst);
        self.starts.fetch_add(1, Relaxed);
        self.active
            .store((self.vcpus.len() as u32).saturating_add(1), SeqCst);
        self.state.store(PartitionState::Running as u32, SeqCst);
    }

    /// Enters state paused, for a partition that goes on from a saved state; the caller has the partition by [`Partition::claim`].
    pub fn run_paused(&self) {
        *self.crash.lock() = CrashRecord::default();
        self.restart_wanted.store(false, SeqCst);
        self.starts.fetch_add(1, Relaxed);
        self.active
            .store((self.vcpus.len() as u32).saturating_add(1), SeqCst);
        self.pause_anew();
        self.state.store(PartitionState::Paused as u32, SeqCst);
    }

    /// It shall be started again once it has stopped.
    pub fn want_restart(&self) {
        self.restart_wanted.store(true, SeqCst);
    }

    /// Whether it shall be started again; asked once.
    pub fn take_restart_wish(&self) -> bool {
        self.restart_wanted.swap(false, SeqCst)
    }

    /// How often it was started so far.
    pub fn starts(&self) -> u32 {
        self.starts.load(Relaxed)
    }

    /// Starts after the first.
    pub fn restarts(&self) -> u32 {
        self.starts().saturating_sub(1)
    }

    /// The crash record; all zero where there is none.
    pub fn crash_record(&self) -> CrashRecord {
        *self.crash.lock()
    }

    /// What becomes of accesses while no page is registered. A virtual system that management made has devices that are there
    /// as long as it is: it must not notice that management starts again.
    pub fn unserved(&self, io: &IoRoute) -> Unserved {
        match self.origin {
            PartitionOrigin::Management if io.orphaned => Unserved::Wait,
            _ => Unserved::Nobody,
        }
    }

    /// Whether a CPU may still enter one of its vCPUs, or somebody starts or ends it just now.
    pub fn is_active(&self) -> bool {
        self.active.load(SeqCst) != 0
    }

    /// One more vCPU will not be entered any more; `true` for the last, whose caller has the partition then.
    pub fn retire_vcpu(&self) -> bool {
        self.active.fetch_sub(1, SeqCst) == 2
    }

    /// The TLB epoch of the nested tables.
    pub fn epoch(&self) -> u64 {
        // Acquire: partner of whoever changes the tables and then adds one.
        self.epoch.load(Acquire)
    }

    /// The shared part of a vCPU.
    pub fn vcpu(&self, id: VcpuId) -> Option<&Arc<SharedVcpu>> {
        self.vcpus.get(usize::from(id.0))
    }

    /// The vCPUs that are present, which have a place on their physical CPU; changes under the lock of the works.
    pub fn present(&self) -> &[Arc<SharedVcpu>] {
        let count = self.system.vcpus() as usize;
        self.vcpus.get(..count).unwrap_or(&self.vcpus)
    }

    /// What each vCPU counts for on its physical CPU.
    pub fn load_of_vcpu(&self) -> Load {
        Load::of_vcpu(self.system.entitlement(), self.system.vcpus())
    }

    /// Exits and TSC ticks of all vCPUs.
    pub fn usage(&self) -> (u64, u64) {
        self.vcpus
            .iter()
            .map(|vcpu| vcpu.usage())
            .fold((0, 0), |(exits, ticks), (e, t)| {
                (exits.saturating_add(e), ticks.saturating_add(t))
            })
    }
}
