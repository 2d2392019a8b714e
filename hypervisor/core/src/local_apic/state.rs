//! Saving and restoring a local APIC, independent of the host's clock.

use super::lvt::{LvtEntry, lvt_legal};
use super::registers::{BASE_BSP, BASE_ENABLE, BASE_X2APIC, LVT_MASKED, SVR_ENABLE};
use super::vectors::{VectorBits, VectorSet};
use super::{ApicMode, Identity, LapicFeatures, LocalApic};
use crate::id::ApicId;
use crate::time::Instant;

/// The full state of a local APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LapicState {
    /// APIC_BASE.
    pub base: u64,
    /// The APIC id.
    pub id: ApicId,
    /// Task priority.
    pub tpr: u8,
    /// Spurious-interrupt vector register.
    pub svr: u32,
    /// Logical destination register.
    pub ldr: u32,
    /// Destination format register.
    pub dfr: u32,
    /// Error status as latched.
    pub esr: u32,
    /// Errors not yet latched.
    pub errors: u32,
    /// Interrupt command register.
    pub icr: u64,
    /// The local vector table: timer, thermal, performance, LINT0, LINT1, error.
    pub lvt: [u32; 6],
    /// Vectors pending.
    pub irr: VectorBits,
    /// Vectors in service.
    pub isr: VectorBits,
    /// Vectors that are level-triggered.
    pub tmr: VectorBits,
    /// Initial count of the timer.
    pub timer_initial: u32,
    /// Divide configuration.
    pub timer_divide: u32,
    /// Undivided counts to the timer's next interrupt, 0 where it is stopped or in TSC-deadline mode.
    pub timer_remaining: u64,
    /// The guest's TSC at which the timer fires in TSC-deadline mode, 0 where it is not armed.
    pub tsc_deadline: u64,
}

/// Why a saved state cannot be restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateError {
    /// A value that the device can never have; the name says which.
    Impossible(&'static str),
    /// A state that needs a feature which this partition does not have.
    MissingFeature(&'static str),
}

/// The entries of the local vector table in the order of their numbers.
const ENTRIES: [LvtEntry; 6] = [
    LvtEntry::Timer,
    LvtEntry::Thermal,
    LvtEntry::Performance,
    LvtEntry::Lint0,
    LvtEntry::Lint1,
    LvtEntry::Error,
];
/// What of the spurious-interrupt register can be written.
const SVR_BITS: u32 = 0x13ff;

impl LapicState {
    /// Checks it against what the local APICs of the partition can be in.
    ///
    /// # Errors
    /// Where the state is none that such an APIC could be in.
    pub fn check(&self, features: LapicFeatures, physical_bits: u8) -> Result<(), StateError> {
        let mode = self.mode()?;
        if mode == ApicMode::X2Apic && !features.contains(LapicFeatures::X2APIC) {
            return Err(StateError::MissingFeature("x2APIC"));
        }
        let address_limit = 1u64
            .checked_shl(u32::from(physical_bits))
            .map_or(u64::MAX, |bit| bit.wrapping_sub(1));
        let flags = BASE_ENABLE | BASE_X2APIC | BASE_BSP;
        if self.base & !flags & 0xfff != 0 || self.base & !address_limit != 0 {
            return Err(StateError::Impossible("APIC_BASE"));
        }
        let [irr_low, ..] = self.irr.0;
        let [isr_low, ..] = self.isr.0;
        if (irr_low | isr_low) & 0xffff != 0 {
            return Err(StateError::Impossible("IRR or ISR"));
        }
        if self.svr & !SVR_BITS != 0 || (self.esr | self.errors) & !0xff != 0 {
            return Err(StateError::Impossible("a register of the local APIC"));
        }
        for (entry, value) in ENTRIES.into_iter().zip(self.lvt) {
            let unmasked_while_off = self.svr & SVR_ENABLE == 0 && value & LVT_MASKED == 0;
            if !lvt_legal(features, entry, value) || unmasked_while_off {
                return Err(StateError::Impossible("the local vector table"));
            }
        }
        let longest = u64::from(self.timer_initial) << 7;
        if self.timer_divide & !0b1011 != 0 || self.timer_remaining > longest {
            return Err(StateError::Impossible("the timer"));
        }
        Ok(())
    }

    /// What an APIC in this state answers to; `None` while it is globally disabled.
    pub fn identity(&self) -> Option<Identity> {
        Identity::of(self.mode().ok()?, self.id, self.ldr, self.dfr)
    }

    fn mode(&self) -> Result<ApicMode, StateError> {
        match self.base & (BASE_ENABLE | BASE_X2APIC) {
            0 => Ok(ApicMode::Disabled),
            BASE_ENABLE => Ok(ApicMode::XApic),
            BASE_X2APIC => Err(StateError::Impossible("APIC_BASE")),
            _ => Ok(ApicMode::X2Apic),
        }
    }
}

impl core::fmt::Display for StateError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StateError::Impossible(what) => {
                write!(
                    f,
                    "the saved state is damaged: {what} cannot have that value"
                )
            }
            StateError::MissingFeature(feature) => {
                write!(
                    f,
                    "the saved state needs {feature}, which this partition does not have"
                )
            }
        }
    }
}

impl LocalApic {
    /// The state at `now`.
    pub fn save(&mut self, now: Instant) -> LapicState {
        // What is due goes into the IRR, so that the counts below are to an interrupt ahead.
        self.expire(now);
        LapicState {
            base: self.base,
            id: self.id,
            tpr: self.tpr,
            svr: self.svr,
            ldr: self.ldr,
            dfr: self.dfr,
            esr: self.esr,
            errors: self.errors,
            icr: self.icr,
            lvt: self.lvt,
            irr: *self.irr.bits(),
            isr: *self.isr.bits(),
            tmr: self.tmr,
            timer_initial: self.timer.initial(),
            timer_divide: self.timer.divide(),
            timer_remaining: self.timer.remaining(now),
            tsc_deadline: self.timer.target(),
        }
    }

    /// Takes over a saved state; the guest's TSC must be set before, as the TSC deadline depends on it.
    ///
    /// # Errors
    /// Where the state is none that this APIC could be in; the APIC is unchanged then.
    pub fn restore(&mut self, state: &LapicState, now: Instant) -> Result<(), StateError> {
        state.check(self.features, self.physical_bits)?;
        let mode = state.mode()?;
        self.base = state.base;
        self.mode = mode;
        self.id = state.id;
        self.tpr = state.tpr;
        self.svr = state.svr;
        self.ldr = state.ldr;
        self.dfr = state.dfr;
        self.esr = state.esr;
        self.errors = state.errors;
        self.icr = state.icr;
        self.irr = VectorSet::new(state.irr);
        self.isr = VectorSet::new(state.isr);
        self.tmr = state.tmr;
        self.timer = self.timer.reset();
        for (entry, value) in ENTRIES.into_iter().zip(state.lvt) {
            self.set_lvt(entry, value);
        }
        self.timer.restore(
            state.timer_initial,
            state.timer_divide,
            state.timer_remaining,
            now,
        );
        self.timer
            .set_target(state.tsc_deadline, self.guest_tsc, now);
        self.update_threshold();
        Ok(())
    }
}
