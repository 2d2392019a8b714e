//! Register accesses: the MMIO page of the xAPIC and the MSRs of the x2APIC.

use super::destination::{Destination, DestinationMode};
use super::lvt::LvtEntry;
use super::message::{DeliveryMode, IpiRequest, Message, Shorthand, Trigger};
use super::registers::{self as reg, MSR_APIC_BASE, MSR_TSC_DEADLINE, X2APIC_MSR_FIRST};
use super::{ApicMode, Effect, LapicFeatures, LocalApic};
use crate::fault::GuestFault;
use crate::id::Vector;
use crate::time::Instant;

/// ICR bits that are reserved in x2APIC mode: 13, 16-17 and 20-31 (bit 12 was the delivery status).
const ICR_RESERVED: u64 = 0xfff3_2000;
/// The bits of the ICR's low half that are kept.
const ICR_KEPT: u32 = 0x000c_cfff;

/// Whether a pin is open that was masked before, or of another delivery mode.
const fn lint_opened(before: u32, after: u32) -> bool {
    after & reg::LVT_MASKED == 0 && (before ^ after) & (reg::LVT_MASKED | 0x700) != 0
}

impl LocalApic {
    /// Reads APIC_BASE (0x1b), TSC_DEADLINE (0x6e0) or a register of the x2APIC (0x800 to 0x8ff).
    ///
    /// # Errors
    /// #GP where the register does not exist, is write-only, or the APIC is not in x2APIC mode.
    pub fn read_msr(&self, msr: u32, now: Instant) -> Result<u64, GuestFault> {
        match msr {
            MSR_APIC_BASE => return Ok(self.base),
            MSR_TSC_DEADLINE if self.features.contains(LapicFeatures::TSC_DEADLINE) => {
                return Ok(if now < self.timer.deadline() {
                    self.timer.target()
                } else {
                    0
                });
            }
            _ => {}
        }
        let Some(register) = self.x2apic_register(msr) else {
            return Err(GuestFault::GP0);
        };
        match register {
            reg::ID => Ok(u64::from(self.id.0)),
            reg::LDR => {
                let id = u64::from(self.id.0);
                Ok((id & 0xf_fff0) << 12 | 1 << (id & 15))
            }
            reg::ICR_LOW => Ok(self.icr),
            reg::APR | reg::EOI | reg::RRD | reg::DFR | reg::ICR_HIGH | reg::SELF_IPI => {
                Err(GuestFault::GP0)
            }
            _ => match self.read_register(register, now) {
                Some(value) => Ok(u64::from(value)),
                None => Err(GuestFault::GP0),
            },
        }
    }

    /// Writes one of the MSRs that [`LocalApic::read_msr`] reads.
    ///
    /// # Errors
    /// #GP where the register does not exist or is read-only, on reserved bits, on forbidden transitions of
    /// APIC_BASE, and for x2APIC registers in another mode.
    pub fn write_msr(&mut self, msr: u32, value: u64, now: Instant) -> Result<Effect, GuestFault> {
        match msr {
            MSR_TSC_DEADLINE if self.features.contains(LapicFeatures::TSC_DEADLINE) => {
                self.set_tsc_deadline(value, now);
                return Ok(Effect::TimerChanged);
            }
            MSR_APIC_BASE => return self.set_apic_base(value),
            _ => {}
        }
        let Some(register) = self.x2apic_register(msr) else {
            return Err(GuestFault::GP0);
        };
        if register == reg::ICR_LOW {
            if value & ICR_RESERVED != 0 {
                return Err(GuestFault::GP0);
            }
            self.icr = value & (0xffff_ffff_0000_0000 | ICR_KEPT as u64);
            return Ok(self.send(value as u32, (value >> 32) as u32));
        }
        let Ok(low) = u32::try_from(value) else {
            return Err(GuestFault::GP0);
        };
        let legal = match register {
            reg::TPR => low <= 0xff,
            reg::EOI | reg::ESR => low == 0,
            reg::SVR => low & !self.svr_writable() == 0,
            reg::LVT_FIRST..=reg::LVT_LAST => {
                LvtEntry::from_index(register.wrapping_sub(reg::LVT_FIRST))
                    .is_some_and(|entry| self.lvt_legal(entry, low))
            }
            reg::TIMER_INITIAL => true,
            reg::TIMER_DIVIDE => low & !0b1011 == 0,
            reg::SELF_IPI => {
                if low > 0xff {
                    return Err(GuestFault::GP0);
                }
                self.self_ipi(Vector(low as u8));
                return Ok(Effect::None);
            }
            _ => false,
        };
        if !legal {
            return Err(GuestFault::GP0);
        }
        match self.write_register(register, low, now) {
            Some(effect) => Ok(effect),
            None => Err(GuestFault::GP0),
        }
    }

    /// Reads the MMIO page at `offset` (below 4096). Registers are the first four bytes of each 16; a read
    /// inside them shows their upper bytes, and the rest reads as zero.
    pub fn read_mmio(&mut self, offset: u16, now: Instant) -> u32 {
        if offset & 0xc != 0 {
            return 0;
        }
        let register = (offset >> 4) as u8;
        let value = match register {
            reg::ID => Some(self.id.0 << 24),
            reg::APR => Some(u32::from(self.apr())),
            // Remote reads do not exist on CPUs with an x2APIC; write-only registers read as zero.
            reg::RRD | reg::EOI => Some(0),
            reg::LDR => Some(self.ldr),
            reg::DFR => Some(self.dfr),
            reg::ICR_LOW => Some(self.icr as u32),
            reg::ICR_HIGH => Some((self.icr >> 32) as u32),
            _ if offset > 0x3ff => None,
            _ => self.read_register(register, now),
        };
        match value {
            Some(value) => value >> (8 * u32::from(offset & 3)),
            None => {
                self.record(reg::ESR_ILLEGAL_REGISTER);
                0
            }
        }
    }

    /// Writes the MMIO page at `offset` (below 4096); writes that are not at a register's first byte are lost.
    pub fn write_mmio(&mut self, offset: u16, value: u32, now: Instant) -> Effect {
        if offset & 0xf != 0 {
            return Effect::None;
        }
        match (offset >> 4) as u8 {
            _ if offset > 0x3ff => {}
            reg::LDR => {
                self.ldr = value & 0xff00_0000;
                return Effect::IdentityChanged;
            }
            reg::DFR => {
                self.dfr = value | 0x0fff_ffff;
                return Effect::IdentityChanged;
            }
            reg::ICR_LOW => {
                self.icr = self.icr & 0xffff_ffff_0000_0000 | u64::from(value & ICR_KEPT);
                let field = (self.icr >> 56) as u32;
                return self.send(value, field);
            }
            reg::ICR_HIGH => {
                self.icr = self.icr & 0xffff_ffff | u64::from(value & 0xff00_0000) << 32;
                return Effect::None;
            }
            // Read-only registers ignore writes (SDM 3A 10.4.1 leaves the error to the model).
            reg::ID | reg::VERSION | reg::APR | reg::PPR | reg::RRD | reg::TIMER_CURRENT => {
                return Effect::None;
            }
            reg::ISR..=reg::IRR_LAST => return Effect::None,
            reg::SELF_IPI => {}
            register => {
                if let Some(effect) = self.write_register(register, value, now) {
                    return effect;
                }
            }
        }
        self.record(reg::ESR_ILLEGAL_REGISTER);
        Effect::None
    }

    /// The register of an x2APIC MSR, where the mode lets it be reached.
    #[inline]
    fn x2apic_register(&self, msr: u32) -> Option<u8> {
        let register = msr.wrapping_sub(X2APIC_MSR_FIRST);
        if self.mode == ApicMode::X2Apic && register <= u32::from(reg::SELF_IPI) {
            Some(register as u8)
        } else {
            None
        }
    }

    /// The registers that both modes read alike.
    fn read_register(&self, register: u8, now: Instant) -> Option<u32> {
        Some(match register {
            reg::VERSION => {
                if self.features.contains(LapicFeatures::EOI_SUPPRESSION) {
                    reg::VERSION_VALUE | reg::VERSION_SUPPRESS_EOI
                } else {
                    reg::VERSION_VALUE
                }
            }
            reg::TPR => u32::from(self.tpr),
            reg::PPR => u32::from(self.ppr()),
            reg::SVR => self.svr,
            reg::ISR..=reg::ISR_LAST => self.isr.bits().register(register & 7),
            reg::TMR..=reg::TMR_LAST => self.tmr.register(register & 7),
            reg::IRR..=reg::IRR_LAST => self.irr.bits().register(register & 7),
            reg::ESR => self.esr,
            reg::LVT_FIRST..=reg::LVT_LAST => {
                self.lvt(LvtEntry::from_index(register.wrapping_sub(reg::LVT_FIRST))?)
            }
            reg::TIMER_INITIAL => self.timer.initial(),
            reg::TIMER_CURRENT => self.timer.current_count(now),
            reg::TIMER_DIVIDE => self.timer.divide(),
            _ => return None,
        })
    }

    /// The registers that both modes write alike.
    #[inline]
    fn write_register(&mut self, register: u8, value: u32, now: Instant) -> Option<Effect> {
        match register {
            reg::TIMER_INITIAL => {
                self.set_timer_initial(value, now);
                return Some(Effect::TimerChanged);
            }
            reg::TPR => self.set_tpr(value as u8),
            reg::EOI => return Some(self.eoi()),
            reg::SVR => self.write_svr(value),
            reg::ESR => self.esr = core::mem::take(&mut self.errors),
            reg::LVT_FIRST..=reg::LVT_LAST => {
                let entry = LvtEntry::from_index(register.wrapping_sub(reg::LVT_FIRST))?;
                let before = self.lvt(entry);
                self.write_lvt(entry, value, now);
                if entry == LvtEntry::Timer {
                    return Some(Effect::TimerChanged);
                }
                if entry == LvtEntry::Lint0 && lint_opened(before, self.lvt(entry)) {
                    return Some(Effect::Lint0Opened);
                }
            }
            reg::TIMER_DIVIDE => {
                self.expire_before_write(now);
                self.timer.set_divide(value, now);
                return Some(Effect::TimerChanged);
            }
            _ => return None,
        }
        Some(Effect::None)
    }

    const fn svr_writable(&self) -> u32 {
        let mut bits = 0xff | reg::SVR_ENABLE | reg::SVR_FOCUS_OFF;
        if self.features.contains(LapicFeatures::EOI_SUPPRESSION) {
            bits |= reg::SVR_SUPPRESS_EOI;
        }
        bits
    }

    fn write_svr(&mut self, value: u32) {
        self.svr = value & self.svr_writable();
        if self.svr & reg::SVR_ENABLE == 0 {
            self.mask_all();
        }
        self.update_threshold();
    }

    /// The arbitration priority (SDM 3A 10.6.2.4).
    const fn apr(&self) -> u8 {
        let (task, pending, service) = (
            self.tpr & 0xf0,
            self.irr.top() & 0xf0,
            self.isr.top() & 0xf0,
        );
        if task >= pending && task > service {
            return self.tpr;
        }
        let both = task & service;
        if both > pending { both } else { pending }
    }

    /// A write of the ICR's low half sends an IPI; those to this APIC alone are delivered at once.
    #[inline]
    fn send(&mut self, low: u32, field: u32) -> Effect {
        let Some(delivery) = DeliveryMode::from_code(low >> 8) else {
            return Effect::None;
        };
        let vector = Vector(low as u8);
        let shorthand = match low >> 18 & 3 {
            0 => Shorthand::Explicit,
            1 => Shorthand::ToSelf,
            2 => Shorthand::All,
            _ => Shorthand::AllButSelf,
        };
        let mode = if low & 1 << 11 != 0 {
            DestinationMode::Logical
        } else {
            DestinationMode::Physical
        };
        let destination = match self.mode {
            ApicMode::X2Apic => Destination::wide(field, mode),
            ApicMode::XApic | ApicMode::Disabled => Destination::narrow(field as u8, mode),
        };
        match delivery {
            DeliveryMode::Fixed | DeliveryMode::LowestPriority => {
                if shorthand == Shorthand::ToSelf
                    || shorthand == Shorthand::Explicit && destination.single() == Some(self.id)
                {
                    self.self_ipi(vector);
                    return Effect::None;
                }
                if vector.0 < 16 {
                    self.record(reg::ESR_SEND_ILLEGAL);
                    return Effect::None;
                }
            }
            // The INIT level de-assert synchronised arbitration ids before the Pentium 4 (SDM 3A 10.6.1).
            DeliveryMode::Init if low & (1 << 15 | 1 << 14) == 1 << 15 => return Effect::None,
            // Not to be sent by an IPI, and there is no system management mode to enter.
            DeliveryMode::ExtInt | DeliveryMode::Smi => return Effect::None,
            DeliveryMode::Nmi | DeliveryMode::Init | DeliveryMode::Startup => {}
        }
        Effect::Ipi(IpiRequest {
            shorthand,
            message: Message {
                destination,
                delivery,
                vector,
                // IPIs are edges whatever the trigger bit says (SDM 3A 10.6.1, Trigger Mode).
                trigger: Trigger::Edge,
            },
        })
    }
}
