//! Lending the state of interrupts to a CPU that delivers them by itself ([`crate::interrupt_delivery`]).

use super::vectors::VectorSet;
use super::{ApicMode, Effect, LocalApic, VectorBits, registers};
use crate::id::Vector;
use crate::interrupt_delivery::HeldInterrupts;

impl LocalApic {
    /// Whether the CPU holds the state.
    #[inline(always)]
    pub const fn is_lent(&self) -> bool {
        self.lent
    }

    /// Whether the CPU may hold it: in x2APIC mode, with interrupts accepted.
    #[inline]
    pub const fn can_be_lent(&self) -> bool {
        matches!(self.mode, ApicMode::X2Apic) && self.accepts()
    }

    /// Gives the state away.
    pub fn lend(&mut self) -> HeldInterrupts {
        let held = HeldInterrupts {
            requested: *self.irr.bits(),
            in_service: *self.isr.bits(),
            task_priority: self.tpr,
        };
        self.irr = VectorSet::default();
        self.isr = VectorSet::default();
        self.lent = true;
        self.update_threshold();
        held
    }

    /// What has arrived since the state was given away.
    #[inline]
    pub fn take_arrivals(&mut self) -> Option<VectorBits> {
        if self.irr.top() == 0 {
            return None;
        }
        Some(*core::mem::take(&mut self.irr).bits())
    }

    /// Takes the state back; what has arrived meanwhile comes to it.
    pub fn take_back(&mut self, held: &HeldInterrupts) {
        let HeldInterrupts {
            requested: VectorBits(mut requested),
            in_service,
            task_priority,
        } = *held;
        let VectorBits(arrived) = *self.irr.bits();
        for (word, arrived) in requested.iter_mut().zip(arrived) {
            *word |= arrived;
        }
        self.irr = VectorSet::new(VectorBits(requested));
        self.isr = VectorSet::new(in_service);
        self.tpr = task_priority;
        self.forget_lent();
    }

    /// The state that the CPU holds counts no more.
    pub fn forget_lent(&mut self) {
        self.lent = false;
        self.update_threshold();
    }

    /// The vectors that were level-triggered when they last arrived.
    pub const fn level_vectors(&self) -> &VectorBits {
        &self.tmr
    }

    /// The CPU has ended this vector.
    pub fn ended(&self, vector: Vector) -> Effect {
        if self.tmr.contains(vector) && self.svr & registers::SVR_SUPPRESS_EOI == 0 {
            Effect::EoiBroadcast(vector)
        } else {
            Effect::None
        }
    }
}

/// Whether reads of this MSR of the x2APIC show what the CPU may hold.
pub const fn shows_held(msr: u32) -> bool {
    match msr.wrapping_sub(registers::X2APIC_MSR_FIRST) {
        register if register <= registers::IRR_LAST as u32 => {
            let register = register as u8;
            register == registers::TPR || register == registers::PPR || register >= registers::ISR
        }
        _ => false,
    }
}

/// Whether writes of this MSR of the x2APIC change what the CPU may hold, or whether it may.
pub const fn changes_held(msr: u32) -> bool {
    matches!(
        msr.wrapping_sub(registers::X2APIC_MSR_FIRST) as u8,
        registers::TPR | registers::EOI | registers::SVR
    )
}
