//! A vCPU as the CPU that owns it sees it: hardware state, local APIC, and what waits.
//!
//! Owned by one CPU's run queue; nobody else has a reference, so nothing here needs a lock.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;

use bulkhead_abi::io::{STATE_FREE, Space};

use crate::doorbell::DoorbellTable;
use crate::guest_tsc::GuestTsc;
use crate::host::SharedPage;
use crate::id::VcpuId;
use crate::local_apic::LocalApic;
use crate::msr::Bank;
use crate::paravirtual_clock::ParavirtualClock;
use crate::partition::Partition;
use crate::shared_vcpu::SharedVcpu;
use crate::time::Instant;
use crate::vcpu::{Direction, Exit, PortAccess, Vcpu};

bitflags::bitflags! {
    /// What the owner itself has to look at before the next entry.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Work: u32 {
        /// An interrupt may be deliverable.
        const EVENT = 1;
        /// The TLB tag must be taken anew.
        const TAG = 2;
        /// Another vCPU of this CPU was woken that can wait for some microseconds.
        const YIELD_SOON = 4;
        /// An NMI is pending.
        const NMI = 8;
        /// The 8259A asserts its output.
        const EXT_INT = 16;
        /// Another vCPU of this CPU was woken, or the console has something to show.
        const YIELD = 32;
        /// Another CPU is to own the vCPU; the run loop hands it on when it has left.
        const MOVE = 64;
        /// What needs a look before the next entry. The other bits wait for an event to come, however long.
        const NOW = Self::EVENT.bits() | Self::TAG.bits() | Self::YIELD.bits() | Self::YIELD_SOON.bits();
    }
}

/// What a vCPU does besides running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// It runs instructions.
    Running,
    /// HLT: until an interrupt is delivered.
    Halted,
    /// After INIT: until a start-up IPI.
    WaitForStartUp,
}

/// Whether the vCPU is to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duty {
    /// Its partition does not run, or does not count on this vCPU any more.
    Off,
    /// Its partition is paused.
    Paused,
    /// Its partition runs, and counts on this vCPU.
    On,
}

/// A request that the management partition has not answered yet.
#[derive(Clone, Copy, Debug)]
pub struct PendingIo {
    /// Where its slot is; `None` while it waits for a management partition that starts again.
    pub page: Option<SharedPage>,
    /// What is asked.
    pub request: Request,
    /// What becomes of the answer.
    pub access: PendingAccess,
}

/// An access for the management partition.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Ports or memory.
    pub space: Space,
    /// Read or write.
    pub direction: Direction,
    /// Bytes.
    pub size: u8,
    /// Port or GPA.
    pub address: u64,
    /// The value of a write.
    pub data: u64,
}

/// The instruction behind a pending request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PendingAccess {
    /// IN or OUT: the instruction is done once the value is in the accumulator.
    Port(PortAccess),
    /// An access of an instruction that is emulated again with this answer.
    Emulated(Emulated),
}

/// Why an instruction is emulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Emulated {
    /// It met a device's memory.
    Memory,
    /// It is the INS or OUTS of this access.
    StringPort(PortAccess),
}

/// The vCPU's record. What every exit touches comes first.
#[repr(C)]
pub struct VcpuRecord<V> {
    /// The hardware's side.
    pub hw: V,
    /// What to look at before the next entry.
    pub work: Work,
    /// Running, halted, or waiting for start-up.
    pub activity: Activity,
    /// The part that others may touch.
    pub shared: Arc<SharedVcpu>,
    /// The partition.
    pub partition: Arc<Partition>,
    /// The local APIC.
    pub apic: LocalApic,
    /// The MSRs that nothing else owns.
    pub bank: Bank,
    /// The paravirtual clock.
    pub clock: ParavirtualClock,
    /// Exits by kind.
    pub exits: [u64; Exit::KINDS],
    /// The doorbells as last looked up.
    pub doorbells: Arc<DoorbellTable>,
    /// The unanswered request.
    pub pending_io: Option<PendingIo>,
    /// The answers to the device accesses of the instruction that is being emulated.
    pub io_log: heapless::Vec<u64, 8>,
    /// Whether it is to run.
    pub duty: Duty,
}

impl<V: Vcpu> VcpuRecord<V> {
    /// The record of a vCPU in the state that a reset gives.
    pub fn new(
        hw: V,
        shared: Arc<SharedVcpu>,
        partition: Arc<Partition>,
        apic: LocalApic,
        bank: Bank,
    ) -> Self {
        let mut record = Self {
            hw,
            work: Work::empty(),
            activity: Activity::Running,
            shared,
            partition,
            apic,
            bank,
            clock: ParavirtualClock::default(),
            exits: [0; Exit::KINDS],
            doorbells: Arc::default(),
            pending_io: None,
            io_log: heapless::Vec::new(),
            duty: Duty::Off,
        };
        record.reset();
        record
    }

    /// Power-up: vCPU 0 at its start, the others waiting for a start-up IPI.
    pub fn reset(&mut self) {
        self.forget_lent();
        self.apic.power_up_reset();
        self.bank.reset();
        self.clock = ParavirtualClock::default();
        self.set_guest_tsc(GuestTsc::HOST, Instant(0));
        // The mailbox stays: what came since the partition was started is for this life.
        self.work = Work::TAG;
        self.drop_request();
        self.activity = Activity::WaitForStartUp;
        if self.id() == VcpuId(0)
            && let Some(start) = self.partition.start()
        {
            self.apic.wire_like_firmware();
            self.hw.reset(start);
            self.activity = Activity::Running;
        }
        self.shared.set_identity(self.apic.identity());
        self.doorbells = self.partition.io.lock().doorbells.clone();
    }

    /// Sets the guest's TSC, in the CPU and for deadlines.
    pub fn set_guest_tsc(&mut self, tsc: GuestTsc, now: Instant) {
        self.hw.set_guest_tsc(tsc);
        self.apic.set_guest_tsc(tsc, now);
    }

    /// As at power-up, but in the time of the partition, which goes on; for any vCPU but the first.
    pub fn renew(&mut self, now: Instant) {
        let moves = self.work & Work::MOVE;
        let tsc = self.apic.guest_tsc();
        self.reset();
        self.set_guest_tsc(tsc, now);
        self.work |= moves;
    }

    /// Takes back what the CPU holds of the local APIC, for whoever looks at it or changes it.
    #[inline(always)]
    pub fn reclaim(&mut self) {
        if V::POSSIBLE && self.apic.is_lent() {
            self.take_back();
        }
    }

    #[inline(never)]
    fn take_back(&mut self) {
        let held = self.hw.give_back();
        self.apic.take_back(&held);
        self.work |= Work::EVENT;
    }

    /// What the CPU holds of the local APIC is of no interest any more.
    pub fn forget_lent(&mut self) {
        if V::POSSIBLE && self.apic.is_lent() {
            let _ = self.hw.give_back();
            self.apic.forget_lent();
        }
    }

    /// Nobody waits for the answer to the request any more, nor for the rest of its instruction.
    pub fn drop_request(&mut self) {
        if let Some(pending) = self.pending_io.take() {
            // Under the lock: a page that is not registered any more may be in other use.
            let io = self.partition.io.lock();
            if let Some(page) = pending.page
                && io.is_served_by(page)
                && let Some(state) = page.get(usize::from(self.id().0) * 8)
            {
                // Relaxed: a late answer is refused from now on, or finds no request.
                state.store(u64::from(STATE_FREE), Relaxed);
            }
        }
        self.io_log.clear();
    }

    /// Its id.
    pub fn id(&self) -> VcpuId {
        self.shared.id
    }

    /// Whether something must be looked at before the next entry.
    #[inline(always)]
    pub fn has_work(&self) -> bool {
        self.work.intersects(Work::NOW) || !self.shared.is_quiet()
    }

    /// Whether nobody else wants something of the vCPU, and it may be entered.
    #[inline(always)]
    pub fn can_go_on(&self) -> bool {
        self.may_run() && self.activity == Activity::Running && self.shared.is_quiet()
    }

    /// Whether it takes events at all: its partition runs, and it waits for no answer.
    #[inline(always)]
    fn may_run(&self) -> bool {
        self.duty == Duty::On && self.pending_io.is_none()
    }

    /// Whether a sleeping vCPU has a reason to be looked at: others want something, or an event can end its halt.
    pub fn should_wake(&self) -> bool {
        let waits_for_event = self.may_run() && self.activity != Activity::WaitForStartUp;
        !self.shared.is_quiet() || waits_for_event && self.work.contains(Work::EVENT)
    }

    /// Whether nothing of its own making can end its halt: it waits for a start-up IPI, or halted with interrupts off.
    pub fn rests(&self) -> bool {
        match self.activity {
            Activity::Running => false,
            Activity::WaitForStartUp => true,
            Activity::Halted => {
                !self.hw.system().takes_interrupts() && !self.work.contains(Work::NMI)
            }
        }
    }

    /// Total exits.
    pub fn total_exits(&self) -> u64 {
        self.exits
            .iter()
            .fold(0, |sum, &count| sum.wrapping_add(count))
    }
}
