//! A vCPU: registers, extended state, local APIC, MSRs, clock, and what it does besides running.

use alloc::vec::Vec;

use super::bytes::{Coded, coded, coded_choice, impossible};
use super::{BadState, Kind, Reader, Sections, Writer};
use crate::cpu_state::{
    Component, CpuState, EventKind, ExtendedImage, PendingEvent, SegmentRegister, Shadow,
    TableRegister,
};
use crate::fault::ResourceError;
use crate::id::{ApicId, VcpuId};
use crate::local_apic::{LapicFeatures, LapicState, StateError, VectorBits};
use crate::msr::{BankState, ControlRules, MtrrState};
use crate::paravirtual_clock::ClockState;
use crate::time::Instant;
use crate::vcpu_record::Activity;

/// A vCPU as its owner has found it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedVcpu {
    /// Its id.
    pub id: VcpuId,
    /// When it was saved.
    pub at: Instant,
    /// The guest's TSC minus the host's, the latter in ticks of the former.
    pub tsc_offset: u64,
    /// Running, halted, or waiting for start-up.
    pub activity: Activity,
    /// An NMI is pending.
    pub nmi: bool,
    /// The 8259A asserts its output.
    pub ext_int: bool,
    /// The registers.
    pub registers: CpuState,
    /// The extended state.
    pub extended: ExtendedImage,
    /// The local APIC.
    pub apic: LapicState,
    /// The emulated MSRs.
    pub bank: BankState,
    /// The paravirtual clock.
    pub clock: ClockState,
}

/// What the partition of a vCPU lets it be.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// What it may set in control registers.
    pub rules: &'a ControlRules,
    /// Width of its physical addresses.
    pub physical_bits: u8,
    /// What its local APIC can do.
    pub lapic: LapicFeatures,
    /// Its APIC id.
    pub apic_id: ApicId,
}

impl SavedVcpu {
    /// Checks that a vCPU of the partition can be in this state.
    ///
    /// # Errors
    /// The first thing that it cannot be or have.
    pub fn check(&self, limits: &Limits<'_>) -> Result<(), StateError> {
        self.registers.check(limits.rules, limits.physical_bits)?;
        self.extended.check(limits.rules)?;
        self.apic.check(limits.lapic, limits.physical_bits)?;
        if self.apic.id != limits.apic_id {
            return Err(StateError::Impossible("the APIC id"));
        }
        self.bank
            .check(limits.physical_bits)
            .map_err(|_| StateError::Impossible("an emulated MSR"))?;
        self.clock.check()
    }

    /// Adds its sections.
    pub(super) fn save(&self, to: &mut Writer) {
        to.section(Kind::Vcpu, VERSION, |to| {
            self.id.0.save(to);
            self.at.0.save(to);
            self.tsc_offset.save(to);
            self.activity.save(to);
            self.nmi.save(to);
            self.ext_int.save(to);
        });
        to.section(Kind::Registers, VERSION, |to| self.registers.save(to));
        to.section(Kind::Extended, VERSION, |to| {
            save_extended(&self.extended, to)
        });
        to.section(Kind::LocalApic, VERSION, |to| self.apic.save(to));
        to.section(Kind::Bank, VERSION, |to| self.bank.save(to));
        to.section(Kind::Clock, VERSION, |to| self.clock.save(to));
    }

    /// Takes its sections.
    pub(super) fn load(from: &mut Sections<'_>) -> Result<Self, BadState> {
        let (id, at, tsc_offset, activity, nmi, ext_int) =
            from.section(Kind::Vcpu, VERSION, |from| {
                Ok((
                    VcpuId(u16::load(from)?),
                    Instant(u64::load(from)?),
                    u64::load(from)?,
                    Activity::load(from)?,
                    bool::load(from)?,
                    bool::load(from)?,
                ))
            })?;
        Ok(Self {
            id,
            at,
            tsc_offset,
            activity,
            nmi,
            ext_int,
            registers: from.section(Kind::Registers, VERSION, Coded::load)?,
            extended: from.section(Kind::Extended, VERSION, load_extended)?,
            apic: from.section(Kind::LocalApic, VERSION, Coded::load)?,
            bank: from.section(Kind::Bank, VERSION, Coded::load)?,
            clock: from.section(Kind::Clock, VERSION, Coded::load)?,
        })
    }
}

/// The version of each of these sections; there is no other.
const VERSION: u16 = 1;

coded_choice! {
    Activity, "what a vCPU does" { Running = 0, Halted = 1, WaitForStartUp = 2 }
    Shadow, "what holds interrupts back" { None = 0, Sti = 1, MovSs = 2 }
    EventKind, "the kind of an event" { Interrupt = 0, Nmi = 2, Exception = 3 }
}

coded! {
    SegmentRegister { selector, attributes, limit, base }
    TableRegister { base, limit }
    PendingEvent { kind, vector, error_code }
    CpuState {
        registers, rip, rflags, cr0, cr2, cr3, cr4, efer, page_pointers, privilege, segments, ldtr, tr, gdtr, idtr,
        breakpoints, dr6, dr7, sysenter, syscall, kernel_gs_base, pat, tsc_aux, shadow, nmi_blocked, pending_debug,
        event, deferred,
    }
    LapicState {
        base, id, tpr, svr, ldr, dfr, esr, errors, icr, lvt, irr, isr, tmr, timer_initial, timer_divide,
        timer_remaining, tsc_deadline,
    }
    MtrrState { default_type, fixed, variable }
    BankState { mtrr, fast_strings, machine_check_status, hardware_configuration }
    ClockState { wall_clock, system_time, steal_time, system_version, steal_version, stolen }
}

impl Coded for ApicId {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, BadState> {
        Ok(ApicId(u32::load(from)?))
    }
}

impl Coded for VectorBits {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, BadState> {
        Ok(VectorBits(Coded::load(from)?))
    }
}

fn save_extended(image: &ExtendedImage, to: &mut Writer) {
    image.xcr0.save(to);
    image.in_use.save(to);
    to.put(&image.legacy);
    (image.components.len() as u8).save(to);
    for component in &image.components {
        component.number.save(to);
        (component.bytes.len() as u32).save(to);
        to.put(&component.bytes);
    }
}

fn load_extended(from: &mut Reader<'_>) -> Result<ExtendedImage, BadState> {
    let mut image = ExtendedImage {
        xcr0: u64::load(from)?,
        in_use: u64::load(from)?,
        legacy: from.take()?,
        components: Vec::new(),
    };
    let count = u8::load(from)?;
    if count > ExtendedImage::MOST {
        return Err(impossible("the number of components"));
    }
    for _ in 0..count {
        let number = u8::load(from)?;
        let length = usize::try_from(u32::load(from)?).unwrap_or(usize::MAX);
        if length > ExtendedImage::LARGEST {
            return Err(impossible("the length of a component"));
        }
        let content = from.bytes(length)?;
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(length)
            .and_then(|()| image.components.try_reserve(1))
            .map_err(|_| BadState::Resource(ResourceError::HypervisorMemory))?;
        bytes.extend_from_slice(content);
        image.components.push(Component { number, bytes });
    }
    Ok(image)
}
