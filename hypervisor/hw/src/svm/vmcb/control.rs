//! The control area: intercepts, maps, tags, virtual interrupts, why the guest exited.

use bulkhead_core::addr::Hpa;
use bulkhead_core::vcpu::Watch;

use super::event::{Event, EventKind};
use super::layout::{Vmcb, clean};

/// `V_IRQ`: a virtual interrupt waits (APM 2 15.21.4).
const V_IRQ: u64 = 1 << 8;
/// `V_INTR_PRIO` 15 and `V_IGN_TPR`: it comes before all others.
const V_FIRST: u64 = 0xf << 16 | 1 << 20;
/// The first bit of `V_INTR_VECTOR`.
const V_VECTOR: u32 = 32;
/// The intercept of virtual interrupts, in the word at offset 0xc.
const VINTR: u32 = 1 << 4;
/// The intercept of IRET, in the same word.
const IRET: u32 = 1 << 20;

/// Whether the guest has taken an interrupt that was offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It has begun with it.
    Yes,
    /// It still waits.
    No,
}

/// `TLB_CONTROL` (APM 2 15.16.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TlbControl {
    /// Flush nothing.
    Keep = 0,
    /// Flush every tag's entries.
    All = 1,
    /// Flush this tag's entries (needs FlushByAsid).
    ThisTag = 3,
}

/// The groups of intercepts that are fixed for a vCPU's life.
#[derive(Clone, Copy, Debug)]
pub struct Intercepts {
    /// Exception vectors, a bit each.
    pub exceptions: u32,
    /// The word at offset 0xc.
    pub first: u32,
    /// The word at offset 0x10.
    pub second: u32,
    /// Writes to control registers, a bit each.
    pub control_writes: u16,
}

impl Vmcb {
    /// Sets the intercepts.
    pub fn set_intercepts(&mut self, intercepts: Intercepts) {
        self.control.intercept_exceptions = intercepts.exceptions;
        self.control.intercept_1 = intercepts.first;
        self.control.intercept_2 = intercepts.second;
        self.control.intercept_cr_writes = intercepts.control_writes;
        self.control.clean &= !clean::INTERCEPTS;
    }

    /// Sets or clears the bits `mask` of the control-register write intercepts.
    pub fn set_control_write_intercept(&mut self, mask: u16, on: Watch) {
        let old = self.control.intercept_cr_writes;
        let new = match on {
            Watch::On => old | mask,
            Watch::Off => old & !mask,
        };
        if new != old {
            self.control.intercept_cr_writes = new;
            self.control.clean &= !clean::INTERCEPTS;
        }
    }

    /// Sets the permission maps.
    pub fn set_permission_maps(&mut self, ports: Hpa, msrs: Hpa) {
        self.control.iopm_base = ports.as_u64();
        self.control.msrpm_base = msrs.as_u64();
        self.control.clean &= !clean::MAPS;
    }

    /// Sets the TSC offset.
    pub fn set_tsc_offset(&mut self, offset: u64) {
        self.control.tsc_offset = offset;
        self.control.clean &= !clean::INTERCEPTS;
    }

    /// Sets the TLB tag (ASID) if it differs.
    pub fn set_tag(&mut self, tag: u32) {
        if self.control.tag != tag {
            self.control.tag = tag;
            self.control.clean &= !clean::TAG;
        }
    }

    /// Sets what the next entry flushes.
    #[inline]
    pub fn set_tlb_control(&mut self, control: TlbControl) {
        self.control.tlb_control = control as u32;
    }

    /// What the next entry flushes.
    pub fn tlb_control(&self) -> TlbControl {
        match self.control.tlb_control {
            0 => TlbControl::Keep,
            3 => TlbControl::ThisTag,
            _ => TlbControl::All,
        }
    }

    /// Turns on nested paging with these tables.
    pub fn set_nested_root(&mut self, root: Hpa) {
        if self.control.nested_cr3 != root.as_u64() || self.control.nested_enable != 1 {
            self.control.nested_enable = 1;
            self.control.nested_cr3 = root.as_u64();
            self.control.clean &= !clean::NESTED;
        }
    }

    /// The guest's task priority (CR8).
    #[inline]
    pub fn task_priority(&self) -> u8 {
        self.control.virtual_interrupt as u8 & 15
    }

    /// Sets the guest's task priority.
    #[inline]
    pub fn set_task_priority(&mut self, priority: u8) {
        let old = self.control.virtual_interrupt;
        let new = old & !15 | (priority & 15) as u64;
        if new != old {
            self.control.virtual_interrupt = new;
            self.control.clean &= !clean::TPR;
        }
    }

    /// Masks physical interrupts by the host's IF instead of the guest's (`V_INTR_MASKING`).
    pub fn mask_host_interrupts(&mut self) {
        self.control.virtual_interrupt |= 1 << 24;
        self.control.clean &= !clean::TPR;
    }

    /// Raises or drops a virtual interrupt whose only use is the VINTR exit once the guest can take it.
    pub fn set_window(&mut self, on: Watch) {
        match on {
            Watch::On => {
                self.control.virtual_interrupt |= V_IRQ | V_FIRST;
                self.control.intercept_1 |= VINTR;
            }
            Watch::Off => {
                self.control.virtual_interrupt &= !(V_IRQ | V_FIRST);
                self.control.intercept_1 &= !VINTR;
            }
        }
        self.control.clean &= !(clean::TPR | clean::INTERCEPTS);
    }

    /// Whether there is an exit once the guest can take an interrupt.
    #[inline]
    pub fn window(&self) -> Watch {
        if self.control.intercept_1 & VINTR != 0 {
            Watch::On
        } else {
            Watch::Off
        }
    }

    /// Makes a virtual interrupt of the external interrupt that waits for injection, where the window does not use that already.
    pub fn offer_interrupt(&mut self) -> Option<Event> {
        let event = self
            .injection()
            .filter(|event| event.kind() == EventKind::Interrupt)?;
        if self.window() == Watch::On {
            return None;
        }
        self.set_injection(None);
        let vector = u64::from(event.vector()) << V_VECTOR;
        self.control.virtual_interrupt |= V_IRQ | V_FIRST | vector;
        self.control.clean &= !clean::TPR;
        Some(event)
    }

    /// Takes back what [`Vmcb::offer_interrupt`] offered; whether the guest has taken it.
    pub fn withdraw_interrupt(&mut self) -> Taken {
        let waits = self.control.virtual_interrupt & V_IRQ != 0;
        self.control.virtual_interrupt &= !(V_IRQ | V_FIRST | 0xff << V_VECTOR);
        self.control.clean &= !clean::TPR;
        if waits { Taken::No } else { Taken::Yes }
    }

    /// Says that an NMI's handler runs, or not. While it does, its IRET exits: without virtual NMIs the CPU does not tell otherwise
    /// when the next NMI may come.
    pub fn set_nmi_blocked(&mut self, on: Watch) {
        match on {
            Watch::On => self.control.intercept_1 |= IRET,
            Watch::Off => self.control.intercept_1 &= !IRET,
        }
        self.control.clean &= !clean::INTERCEPTS;
    }

    /// Whether an NMI's handler runs.
    #[inline]
    pub fn nmi_blocked(&self) -> bool {
        self.control.intercept_1 & IRET != 0
    }

    /// Whether the guest is in the shadow of STI or MOV SS.
    #[inline]
    pub fn in_shadow(&self) -> bool {
        self.control.interrupt_shadow & 1 != 0
    }

    /// Ends the shadow.
    #[inline]
    pub fn end_shadow(&mut self) {
        self.control.interrupt_shadow = 0;
    }

    /// Why the guest exited; the low 32 bits, since emulators differ in the others.
    #[inline]
    pub fn exit_code(&self) -> u32 {
        self.control.exit_code as u32
    }

    /// EXITINFO1.
    #[inline]
    pub fn exit_info_1(&self) -> u64 {
        self.control.exit_info_1
    }

    /// EXITINFO2.
    #[inline]
    pub fn exit_info_2(&self) -> u64 {
        self.control.exit_info_2
    }

    /// The event whose delivery the exit interrupted.
    #[inline]
    pub fn interrupted_event(&self) -> Option<Event> {
        Event::from_bits(self.control.exit_int_info)
    }

    /// The event to be injected at the next entry.
    #[inline]
    pub fn injection(&self) -> Option<Event> {
        Event::from_bits(self.control.event_injection)
    }

    /// Sets or clears the event to be injected at the next entry.
    #[inline]
    pub fn set_injection(&mut self, event: Option<Event>) {
        self.control.event_injection = match event {
            Some(event) => event.bits(),
            None => 0,
        };
    }

    /// The next instruction's RIP, 0 where the CPU does not report it.
    #[inline]
    pub fn next_rip(&self) -> u64 {
        self.control.next_rip
    }

    /// Declares that the CPU's copy of the state is up to date, right after an exit.
    #[inline]
    pub fn set_clean(&mut self) {
        self.control.clean = clean::ALL;
    }

    /// Declares that the CPU has no copy of the state: a first entry, or another CPU.
    pub fn set_dirty(&mut self) {
        self.control.clean = 0;
    }
}
