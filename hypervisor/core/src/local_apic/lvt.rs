//! The local vector table: interrupts that arise at this CPU (SDM 3A 10.5.1).

use super::message::{DeliveryMode, Trigger};
use super::registers::{LVT_LEVEL, LVT_MASKED, LVT_READ_ONLY, SVR_ENABLE};
use super::timer::TimerMode;
use super::{Acceptance, ApicMode, LapicFeatures, LocalApic};
use crate::id::Vector;
use crate::time::Instant;

/// An entry of the local vector table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum LvtEntry {
    /// The APIC timer.
    Timer = 0,
    /// The thermal sensor.
    Thermal = 1,
    /// Performance counters.
    Performance = 2,
    /// The LINT0 pin: the 8259A's output on PCs.
    Lint0 = 3,
    /// The LINT1 pin: NMI on PCs.
    Lint1 = 4,
    /// APIC errors.
    Error = 5,
}

impl LvtEntry {
    /// The entry with this index of the table.
    pub(super) const fn from_index(index: u8) -> Option<Self> {
        match index {
            0 => Some(LvtEntry::Timer),
            1 => Some(LvtEntry::Thermal),
            2 => Some(LvtEntry::Performance),
            3 => Some(LvtEntry::Lint0),
            4 => Some(LvtEntry::Lint1),
            5 => Some(LvtEntry::Error),
            _ => None,
        }
    }
}

/// What a local interrupt source did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum LocalDelivery {
    /// Masked, or a mode that this APIC ignores.
    Ignored,
    /// A vector was handled as by [`LocalApic::accept`].
    Fixed(Acceptance),
    /// Deliver an NMI to this CPU.
    Nmi,
    /// Deliver INIT to this CPU.
    Init,
    /// The CPU takes the vector from the 8259A.
    ExtInt,
}

/// The bits software can write where there are these features.
const fn lvt_writable(features: LapicFeatures, entry: LvtEntry) -> u32 {
    match entry {
        LvtEntry::Timer if features.contains(LapicFeatures::TSC_DEADLINE) => 0x0007_00ff,
        LvtEntry::Timer => 0x0003_00ff,
        LvtEntry::Thermal | LvtEntry::Performance => 0x0001_07ff,
        LvtEntry::Lint0 | LvtEntry::Lint1 => 0x0001_a7ff,
        LvtEntry::Error => 0x0001_00ff,
    }
}

/// Whether a value is free of reserved bits where there are these features.
pub(super) const fn lvt_legal(features: LapicFeatures, entry: LvtEntry, value: u32) -> bool {
    value & !(lvt_writable(features, entry) | LVT_READ_ONLY) == 0
}

impl LocalApic {
    /// An entry of the local vector table, as read.
    pub const fn lvt(&self, entry: LvtEntry) -> u32 {
        let [timer, thermal, performance, lint0, lint1, error] = self.lvt;
        match entry {
            LvtEntry::Timer => timer,
            LvtEntry::Thermal => thermal,
            LvtEntry::Performance => performance,
            LvtEntry::Lint0 => lint0,
            LvtEntry::Lint1 => lint1,
            LvtEntry::Error => error,
        }
    }

    /// The interrupt source of this entry fires once: the timer, an error, or an edge on a LINT pin.
    #[inline]
    pub fn deliver_local(&mut self, entry: LvtEntry) -> LocalDelivery {
        let value = self.lvt(entry);
        if value & LVT_MASKED != 0 || self.mode == ApicMode::Disabled {
            return LocalDelivery::Ignored;
        }
        let vector = Vector(value as u8);
        if matches!(entry, LvtEntry::Timer | LvtEntry::Error) {
            return LocalDelivery::Fixed(self.accept(vector, Trigger::Edge));
        }
        match DeliveryMode::from_code(value >> 8) {
            Some(DeliveryMode::Fixed) => {
                let trigger = if value & LVT_LEVEL != 0 && entry == LvtEntry::Lint0 {
                    Trigger::Level
                } else {
                    Trigger::Edge
                };
                LocalDelivery::Fixed(self.accept(vector, trigger))
            }
            Some(DeliveryMode::Nmi) => LocalDelivery::Nmi,
            Some(DeliveryMode::Init) => LocalDelivery::Init,
            Some(DeliveryMode::ExtInt) => LocalDelivery::ExtInt,
            _ => LocalDelivery::Ignored,
        }
    }

    /// Whether the 8259A's interrupts reach the CPU: through LINT0 in ExtINT mode, or because there is no APIC.
    #[inline]
    pub const fn passes_ext_int(&self) -> bool {
        let lint0 = self.lvt(LvtEntry::Lint0);
        matches!(self.mode, ApicMode::Disabled) || lint0 & (LVT_MASKED | 0x700) == 0x700
    }

    /// The bits software can write.
    pub(super) const fn lvt_writable(&self, entry: LvtEntry) -> u32 {
        lvt_writable(self.features, entry)
    }

    /// Whether a write of this value is free of reserved bits.
    pub(super) const fn lvt_legal(&self, entry: LvtEntry, value: u32) -> bool {
        lvt_legal(self.features, entry, value)
    }

    /// A write of an entry by software.
    pub(super) fn write_lvt(&mut self, entry: LvtEntry, value: u32, now: Instant) {
        if entry == LvtEntry::Timer {
            self.expire_before_write(now);
        }
        let mut value = value & self.lvt_writable(entry);
        if self.svr & SVR_ENABLE == 0 {
            value |= LVT_MASKED;
        }
        self.set_lvt(entry, value);
    }

    /// Stores an entry; the timer follows its mode.
    pub(super) fn set_lvt(&mut self, entry: LvtEntry, value: u32) {
        if let Some(slot) = self.lvt.get_mut(entry as usize) {
            *slot = value;
        }
        if entry == LvtEntry::Timer {
            self.timer.set_mode(match value >> 17 & 3 {
                0 => TimerMode::OneShot,
                1 => TimerMode::Periodic,
                // 3 is reserved; it behaves as 2, as its high bit says.
                _ => TimerMode::TscDeadline,
            });
        }
    }

    /// Software disable: every entry is masked.
    pub(super) fn mask_all(&mut self) {
        for entry in &mut self.lvt {
            *entry |= LVT_MASKED;
        }
    }
}
