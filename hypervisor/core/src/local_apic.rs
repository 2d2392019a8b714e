//! The virtual local APIC of one vCPU: xAPIC and x2APIC as a pure state machine.
//!
//! The exit loop calls it for APIC register accesses, before entry ([`LocalApic::next_vector`],
//! [`LocalApic::acknowledge`]) and when its timer is due ([`LocalApic::expire`]). Other CPUs never touch it:
//! they post into the vCPU's [`Mailbox`], which the owner drains. Sources: SDM 3A chapter 10, APM 2 chapter 16.
//!
//! Invariants: no vector below 16 is ever in IRR or ISR; `threshold` is the priority class a vector must exceed
//! (15 while the APIC is disabled or lent to the CPU, so that nothing can); every write that can change it recomputes it.

mod access;
mod destination;
mod lending;
mod lvt;
mod mailbox;
mod message;
pub mod registers;
mod state;
mod timer;
mod vectors;

#[cfg(test)]
mod tests;

pub use destination::{Destination, DestinationMode, Identity, IdentityMode, lowest_priority};
pub use lending::{changes_held, shows_held};
pub use lvt::{LocalDelivery, LvtEntry};
pub use mailbox::{Drained, Mailbox, WasEmpty};
pub use message::{DeliveryMode, ExtendedDestination, IpiRequest, Message, Shorthand, Trigger};
pub use state::{LapicState, StateError};
pub use vectors::VectorBits;

use crate::addr::Gpa;
use crate::fault::GuestFault;
use crate::guest_tsc::GuestTsc;
use crate::id::{ApicId, Vector};
use crate::time::{Hertz, Instant};
use registers::{BASE_BSP, BASE_ENABLE, BASE_X2APIC, DEFAULT_BASE};
use timer::{Timer, TimerClock};
use vectors::VectorSet;

bitflags::bitflags! {
    /// What the guest's CPUID says the local APIC can do; the two must agree.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct LapicFeatures: u8 {
        /// x2APIC mode.
        const X2APIC = 1;
        /// The timer's TSC-deadline mode.
        const TSC_DEADLINE = 2;
        /// EOI broadcasts can be suppressed (needs I/O APICs with an EOI register).
        const EOI_SUPPRESSION = 4;
    }
}

/// What all local APICs of a partition have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LapicConfig {
    /// Rate of the timer's input clock, before the divider.
    pub timer_hz: Hertz,
    /// Rate of the host's TSC, the unit of [`Instant`].
    pub tsc_hz: Hertz,
    /// Width of the guest's physical addresses in bits, for the check of APIC_BASE.
    pub physical_bits: u8,
    /// The optional features.
    pub features: LapicFeatures,
}

/// Which processor of the partition this is, as the BSP flag of APIC_BASE shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessorRole {
    /// The one that starts the system.
    Bootstrap,
    /// Any other: waits for INIT and SIPI.
    Application,
}

/// The mode that APIC_BASE selects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApicMode {
    /// Globally disabled: the CPU has no local APIC.
    Disabled,
    /// Registers in memory.
    XApic,
    /// Registers are MSRs.
    X2Apic,
}

/// What the caller has to do after a register write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Effect {
    /// Nothing, beyond asking [`LocalApic::next_vector`] before entry as always.
    None,
    /// Deliver an IPI to other vCPUs (and to this one where it matches).
    Ipi(IpiRequest),
    /// [`LocalApic::deadline`] may have changed.
    TimerChanged,
    /// Tell the I/O APICs that a level-triggered vector was ended.
    EoiBroadcast(Vector),
    /// LINT0 is open, and was not in this way before: the 8259A's output may be high already.
    Lint0Opened,
    /// The identity changed ([`LocalApic::identity`]): logical id, or destination format.
    IdentityChanged,
    /// The mode or the register page changed: MSR intercepts, MMIO page and identity follow.
    ModeChanged,
}

/// What became of a vector given to [`LocalApic::accept`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acceptance {
    /// It is pending now and was not before.
    New,
    /// It was pending already: the two are one interrupt.
    Coalesced,
    /// The APIC is disabled, or the vector is illegal: it is lost.
    Refused,
}

/// One virtual local APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalApic {
    irr: VectorSet,
    isr: VectorSet,
    tmr: VectorBits,
    tpr: u8,
    /// A pending vector is deliverable where its class (high nibble) exceeds this one.
    threshold: u8,
    /// The threshold without what is in service: the class of the task priority, or 15 while disabled or lent.
    floor: u8,
    mode: ApicMode,
    features: LapicFeatures,
    svr: u32,
    /// Indexed by [`LvtEntry`].
    lvt: [u32; 6],
    timer: Timer,
    /// The guest's TSC, which deadlines are told in.
    guest_tsc: GuestTsc,
    icr: u64,
    id: ApicId,
    ldr: u32,
    dfr: u32,
    /// Errors as last latched by a write of the ESR.
    esr: u32,
    /// Errors since then.
    errors: u32,
    base: u64,
    physical_bits: u8,
    /// The CPU holds `isr` and `tpr` and what was in `irr`, which collects what arrives meanwhile.
    lent: bool,
}

impl LocalApic {
    /// The local APIC after power-up: xAPIC mode, software-disabled.
    pub fn new(id: ApicId, role: ProcessorRole, config: &LapicConfig) -> Self {
        let bsp = match role {
            ProcessorRole::Bootstrap => BASE_BSP,
            ProcessorRole::Application => 0,
        };
        let mut apic = Self {
            irr: VectorSet::default(),
            isr: VectorSet::default(),
            tmr: VectorBits::EMPTY,
            tpr: 0,
            threshold: 0xf0,
            floor: 0xf0,
            mode: ApicMode::XApic,
            features: config.features,
            svr: 0,
            lvt: [0; 6],
            timer: Timer::new(TimerClock::new(config.timer_hz, config.tsc_hz)),
            guest_tsc: GuestTsc::HOST,
            icr: 0,
            id,
            ldr: 0,
            dfr: 0,
            esr: 0,
            errors: 0,
            base: DEFAULT_BASE | BASE_ENABLE | bsp,
            physical_bits: config.physical_bits,
            lent: false,
        };
        apic.init_reset();
        apic
    }

    /// Power-up reset: as new, at the default base and in xAPIC mode.
    pub fn power_up_reset(&mut self) {
        self.base = DEFAULT_BASE | BASE_ENABLE | (self.base & BASE_BSP);
        self.mode = ApicMode::XApic;
        self.init_reset();
    }

    /// What INIT does: all registers but the id and APIC_BASE go to their power-up values (SDM 3A 10.4.7.3).
    pub fn init_reset(&mut self) {
        self.irr = VectorSet::default();
        self.isr = VectorSet::default();
        self.tmr = VectorBits::EMPTY;
        self.tpr = 0;
        self.svr = 0xff;
        self.lvt = [registers::LVT_MASKED; 6];
        self.timer = self.timer.reset();
        self.icr = 0;
        self.ldr = 0;
        self.dfr = u32::MAX;
        self.esr = 0;
        self.errors = 0;
        self.update_threshold();
    }

    /// Leaves the bootstrap processor's APIC as PC firmware does: enabled, with the 8259A wired through LINT0
    /// and NMI on LINT1, for guests that are started without firmware.
    pub fn wire_like_firmware(&mut self) {
        self.svr = 0xff | registers::SVR_ENABLE;
        self.set_lvt(LvtEntry::Lint0, 0x700);
        self.set_lvt(LvtEntry::Lint1, 0x400);
        self.update_threshold();
    }

    /// The APIC's id.
    #[inline]
    pub const fn id(&self) -> ApicId {
        self.id
    }

    /// The mode.
    #[inline]
    pub const fn mode(&self) -> ApicMode {
        self.mode
    }

    /// What the APIC answers to; `None` while it is globally disabled.
    pub const fn identity(&self) -> Option<Identity> {
        Identity::of(self.mode, self.id, self.ldr, self.dfr)
    }

    /// The page of the MMIO registers, in xAPIC mode.
    pub const fn mmio_page(&self) -> Option<Gpa> {
        match self.mode {
            ApicMode::XApic => Some(Gpa::new(self.base & !0xfff)),
            ApicMode::Disabled | ApicMode::X2Apic => None,
        }
    }

    /// The APIC_BASE MSR.
    pub const fn apic_base(&self) -> u64 {
        self.base
    }

    /// A write of the APIC_BASE MSR.
    ///
    /// # Errors
    /// #GP on reserved bits and on the transitions that SDM 3A 10.12.5 forbids.
    pub fn set_apic_base(&mut self, value: u64) -> Result<Effect, GuestFault> {
        if value == self.base {
            return Ok(Effect::None);
        }
        let page_mask = 1u64
            .checked_shl(u32::from(self.physical_bits))
            .map_or(u64::MAX, |bit| bit.wrapping_sub(1))
            & !0xfff;
        let mut legal = page_mask | BASE_BSP | BASE_ENABLE;
        if self.features.contains(LapicFeatures::X2APIC) {
            legal |= BASE_X2APIC;
        }
        if value & !legal != 0 {
            return Err(GuestFault::GP0);
        }
        let next = match value & (BASE_ENABLE | BASE_X2APIC) {
            0 => ApicMode::Disabled,
            BASE_ENABLE => ApicMode::XApic,
            BASE_X2APIC => return Err(GuestFault::GP0),
            _ => ApicMode::X2Apic,
        };
        match (self.mode, next) {
            (ApicMode::X2Apic, ApicMode::XApic) | (ApicMode::Disabled, ApicMode::X2Apic) => {
                return Err(GuestFault::GP0);
            }
            _ => {}
        }
        self.base = value;
        let previous = core::mem::replace(&mut self.mode, next);
        if previous != next && next == ApicMode::Disabled {
            self.init_reset();
        }
        if previous != next && next == ApicMode::X2Apic {
            // The high half is a destination of another width now (SDM 3A 10.12.5.1).
            self.icr &= 0xffff_ffff;
        }
        self.update_threshold();
        Ok(Effect::ModeChanged)
    }

    /// The highest vector that can be delivered now: pending, and above the processor's priority.
    #[inline]
    pub const fn next_vector(&self) -> Option<Vector> {
        let top = self.irr.top();
        if top & 0xf0 > self.threshold {
            Some(Vector(top))
        } else {
            None
        }
    }

    /// The highest pending vector whatever the priority; also while the APIC is disabled by software.
    #[inline]
    pub const fn highest_pending(&self) -> Option<Vector> {
        match self.irr.top() {
            0 => None,
            top => Some(Vector(top)),
        }
    }

    /// The vector, which [`LocalApic::next_vector`] gave, is being delivered: from pending to in service.
    #[inline]
    pub fn acknowledge(&mut self, vector: Vector) {
        self.irr.remove(vector);
        self.isr.insert(vector);
        self.service_changed();
    }

    /// An interrupt with this vector arrives.
    #[inline]
    pub fn accept(&mut self, vector: Vector, trigger: Trigger) -> Acceptance {
        if vector.0 < 16 {
            return self.refuse_illegal();
        }
        if !self.accepts() {
            return Acceptance::Refused;
        }
        let acceptance = if self.irr.contains(vector) {
            Acceptance::Coalesced
        } else {
            Acceptance::New
        };
        self.irr.insert(vector);
        match trigger {
            Trigger::Edge => self.tmr.remove(vector),
            Trigger::Level => self.tmr.insert(vector),
        }
        acceptance
    }

    /// An edge-triggered interrupt that is delivered as it arrives: accepted and acknowledged in one. `false`, and nothing
    /// has changed, where something in service or pending comes first.
    #[inline]
    #[must_use]
    pub fn take_at_once(&mut self, vector: Vector) -> bool {
        // A disabled APIC has the highest threshold, and no vector is in a class above it.
        let free = vector.0 & 0xf0 > self.threshold && vector.0 > self.irr.top();
        if free {
            self.tmr.remove(vector);
            self.isr.insert(vector);
            self.service_changed();
        }
        free
    }

    /// End of interrupt: the highest vector in service is done.
    #[inline]
    pub fn eoi(&mut self) -> Effect {
        let vector = Vector(self.isr.top());
        if vector.0 == 0 {
            return Effect::None;
        }
        self.isr.remove(vector);
        self.service_changed();
        if self.tmr.contains(vector) && self.svr & registers::SVR_SUPPRESS_EOI == 0 {
            Effect::EoiBroadcast(vector)
        } else {
            Effect::None
        }
    }

    /// A self-IPI, by the SELF_IPI register or by the shorthand.
    #[inline]
    pub fn self_ipi(&mut self, vector: Vector) {
        if vector.0 < 16 {
            self.record(registers::ESR_SEND_ILLEGAL);
        }
        let _ = self.accept(vector, Trigger::Edge);
    }

    /// The task priority register.
    #[inline]
    pub const fn tpr(&self) -> u8 {
        self.tpr
    }

    /// A write of the task priority register.
    #[inline]
    pub fn set_tpr(&mut self, value: u8) {
        self.tpr = value;
        self.update_threshold();
    }

    /// CR8: the task priority class.
    #[inline]
    pub const fn cr8(&self) -> u8 {
        self.tpr >> 4
    }

    /// A write of CR8 with a value that was checked to be below 16.
    #[inline]
    pub fn set_cr8(&mut self, class: u8) {
        self.set_tpr(class << 4);
    }

    /// The processor priority register (SDM 3A 10.8.3.1).
    #[inline]
    pub const fn ppr(&self) -> u8 {
        let in_service = self.isr.top() & 0xf0;
        if self.tpr & 0xf0 >= in_service {
            self.tpr
        } else {
            in_service
        }
    }

    /// When [`LocalApic::expire`] must be called; [`Instant::NEVER`] while the timer is unarmed or masked.
    #[inline]
    pub const fn deadline(&self) -> Instant {
        let [timer_entry, ..] = self.lvt;
        if timer_entry & registers::LVT_MASKED != 0 {
            Instant::NEVER
        } else {
            self.timer.deadline()
        }
    }

    /// Delivers the timer's interrupt if it is due at `now`, and re-arms a periodic timer.
    #[inline]
    pub fn expire(&mut self, now: Instant) {
        if self.timer.advance(now) {
            let _ = self.deliver_local(LvtEntry::Timer);
        }
    }

    /// What was due before a write to the timer is not taken back by it.
    #[inline]
    fn expire_before_write(&mut self, now: Instant) {
        if self.timer.deadline() <= now {
            self.expire_late(now);
        }
    }

    #[cold]
    #[inline(never)]
    fn expire_late(&mut self, now: Instant) {
        self.expire(now);
    }

    /// The guest's TSC, as it was set last.
    pub const fn guest_tsc(&self) -> GuestTsc {
        self.guest_tsc
    }

    /// The guest's TSC was set: an armed TSC deadline moves with it.
    pub fn set_guest_tsc(&mut self, tsc: GuestTsc, now: Instant) {
        self.guest_tsc = tsc;
        self.timer.set_target(self.timer.target(), tsc, now);
    }

    /// A write of the TSC-deadline MSR; without effect unless the timer is in that mode.
    #[inline]
    pub fn set_tsc_deadline(&mut self, target: u64, now: Instant) {
        self.expire_before_write(now);
        self.timer.set_target(target, self.guest_tsc, now);
    }

    /// A write of the timer's initial count: starts it, or stops it with 0.
    #[inline]
    pub fn set_timer_initial(&mut self, count: u32, now: Instant) {
        self.expire_before_write(now);
        self.timer.set_initial(count, now);
    }

    /// Whether fixed interrupts are accepted: globally and by software enabled.
    #[inline]
    const fn accepts(&self) -> bool {
        self.svr & registers::SVR_ENABLE != 0 && !matches!(self.mode, ApicMode::Disabled)
    }

    #[inline]
    fn update_threshold(&mut self) {
        self.floor = if self.accepts() && !self.lent {
            self.tpr & 0xf0
        } else {
            0xf0
        };
        self.service_changed();
    }

    /// The vectors in service changed, and nothing else that the threshold depends on.
    #[inline]
    fn service_changed(&mut self) {
        self.threshold = self.floor.max(self.isr.top() & 0xf0);
    }

    #[cold]
    fn refuse_illegal(&mut self) -> Acceptance {
        self.record(registers::ESR_RECEIVE_ILLEGAL);
        Acceptance::Refused
    }

    /// Notes errors and raises the error interrupt.
    #[cold]
    fn record(&mut self, errors: u32) {
        let fresh = errors & !self.errors;
        self.errors |= errors;
        // Only a new error raises the interrupt, which also ends the recursion of an illegal error vector.
        if fresh != 0 {
            let _ = self.deliver_local(LvtEntry::Error);
        }
    }
}
