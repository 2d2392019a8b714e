//! The vCPU's state as a whole, for core to save and restore.

use bulkhead_core::cpu_state::{
    ArchitecturalState, CpuState, EventKind as Kind, ExtendedImage, PendingEvent, Shadow,
    TableRegister,
};
use bulkhead_core::fault::ResourceError;
use bulkhead_core::vcpu::{Gpr, Vcpu, Watch};

use super::{IN_NMI, SHADOWS, VmxVcpu, segments};
use crate::probe::vmx::bit;
use crate::virtualization::extended_state;
use crate::vmx::access::VmcsAccess;
use crate::vmx::event::{Event, EventKind};
use crate::vmx::field::Field;
use crate::vmx::plain_length::PlainLengths;
use crate::vmx::resident::Values;

/// Interruptibility: the shadow of STI, that of MOV SS.
const STI: u64 = 1;
const MOV_SS: u64 = 1 << 1;
/// RFLAGS.TF.
const RFLAGS_TF: u64 = 1 << 8;
/// Pending debug exceptions: single step.
const SINGLE_STEP: u64 = 1 << 14;

const POINTERS: [Field; 4] = [Field::Pdpte0, Field::Pdpte1, Field::Pdpte2, Field::Pdpte3];

impl<A: VmcsAccess> VmxVcpu<A> {
    fn table(&self, base: Field, limit: Field) -> TableRegister {
        TableRegister {
            base: self.vmcs.get(base),
            limit: self.vmcs.get(limit) as u16,
        }
    }
}

impl<A: VmcsAccess> ArchitecturalState for VmxVcpu<A> {
    fn registers(&mut self) -> CpuState {
        let system = self.system();
        let Values { cr2, dr6, msrs } = self.resident.values();
        let [star, lstar, cstar, mask, kernel_gs_base] = msrs;
        let interruptibility = self.vmcs.get(Field::Interruptibility);
        let shadow = match interruptibility & SHADOWS {
            _ if self.shadow_over => Shadow::None,
            0 => Shadow::None,
            STI => Shadow::Sti,
            _ => Shadow::MovSs,
        };
        let mut state = CpuState {
            registers: Gpr::ALL.map(|register| self.gpr(register)),
            rip: self.vmcs.get(Field::Rip),
            rflags: system.rflags,
            cr0: system.cr0,
            cr2,
            cr3: system.cr3,
            cr4: system.cr4,
            efer: system.efer,
            page_pointers: None,
            privilege: system.cpl,
            segments: segments::ALL.map(|fields| self.segment(fields)),
            ldtr: self.segment(segments::LDTR),
            tr: self.segment(segments::TR),
            gdtr: self.table(Field::GdtrBase, Field::GdtrLimit),
            idtr: self.table(Field::IdtrBase, Field::IdtrLimit),
            breakpoints: self.extended.breakpoints(),
            dr6: dr6 & 0xffff_ffff,
            dr7: self.vmcs.get(Field::Dr7) & 0xffff_ffff,
            sysenter: [
                self.vmcs.get(Field::SysenterCs),
                self.vmcs.get(Field::SysenterEsp),
                self.vmcs.get(Field::SysenterEip),
            ],
            syscall: [star, lstar, cstar, mask & 0xffff_ffff],
            kernel_gs_base,
            pat: self.vmcs.get(Field::GuestPat),
            tsc_aux: self.extended.tsc_aux(),
            shadow,
            nmi_blocked: interruptibility & IN_NMI != 0,
            pending_debug: self.vmcs.get(Field::PendingDebug) & 0x500f,
            event: self.injection.and_then(pending),
            deferred: self.deferred.map(Event::vector),
        };
        if state.uses_page_pointers() {
            state.page_pointers = Some(POINTERS.map(|field| self.vmcs.get(field)));
        }
        state
    }

    fn set_registers(&mut self, state: &CpuState) {
        for (register, value) in Gpr::ALL.into_iter().zip(state.registers) {
            self.set_gpr(register, value);
        }
        self.injection = None;
        self.deferred = None;
        self.shadow_over = false;
        self.refusal = None;
        self.reason = 0;
        self.plain = PlainLengths::new();
        self.tags.invalidate();
        for (fields, register) in segments::ALL.into_iter().zip(&state.segments) {
            self.put_segment(fields, register);
        }
        self.put_segment(segments::LDTR, &state.ldtr);
        self.put_segment(segments::TR, &state.tr);
        self.set_control_registers(state.cr0, state.cr3, state.cr4, state.efer);
        for (field, pointer) in POINTERS
            .into_iter()
            .zip(state.page_pointers.unwrap_or_default())
        {
            self.vmcs.set(field, pointer);
        }
        let [cs, esp, eip] = state.sysenter;
        let nmi = if state.nmi_blocked { IN_NMI } else { 0 };
        let shadow = match state.shadow {
            Shadow::None => 0,
            Shadow::Sti => STI,
            Shadow::MovSs => MOV_SS,
        };
        // In a shadow, the CPU insists that a single step is pending where TF is set, and nowhere else (SDM 3C 26.3.1.5).
        let debug = match (state.shadow, state.rflags & RFLAGS_TF != 0) {
            (Shadow::None, _) => state.pending_debug,
            (_, true) => state.pending_debug | SINGLE_STEP,
            (_, false) => state.pending_debug & !SINGLE_STEP,
        };
        for (field, value) in [
            (Field::EntryEvent, 0),
            (Field::Rip, state.rip),
            (Field::Rflags, state.rflags),
            (Field::Dr7, state.dr7),
            (Field::GdtrBase, state.gdtr.base),
            (Field::GdtrLimit, u64::from(state.gdtr.limit)),
            (Field::IdtrBase, state.idtr.base),
            (Field::IdtrLimit, u64::from(state.idtr.limit)),
            (Field::SysenterCs, cs),
            (Field::SysenterEsp, esp),
            (Field::SysenterEip, eip),
            (Field::GuestPat, state.pat),
            (Field::DebugControl, 0),
            (Field::Activity, 0),
            (Field::Interruptibility, shadow | nmi),
            (Field::PendingDebug, debug),
        ] {
            self.vmcs.set(field, value);
        }
        self.control(bit::WINDOW | bit::NMI_WINDOW | bit::CR8_LOAD, Watch::Off);
        let [star, lstar, cstar, mask] = state.syscall;
        self.resident.set_values(&Values {
            cr2: state.cr2,
            dr6: state.dr6,
            msrs: [star, lstar, cstar, mask, state.kernel_gs_base],
        });
        self.extended.set_breakpoints(state.breakpoints);
        self.extended.set_tsc_aux(state.tsc_aux);
        if let Some(event) = &state.event {
            self.inject(injected(event));
        }
        if let Some(vector) = state.deferred {
            self.deferred = Some(Event::interrupt(vector));
            self.request_window();
        }
    }

    fn extended(&mut self) -> Result<ExtendedImage, ResourceError> {
        self.extended.image()
    }

    fn check_extended(image: &ExtendedImage) -> Result<(), &'static str> {
        extended_state::check(image)
    }

    fn set_extended(&mut self, image: &ExtendedImage) {
        self.extended.set_image(image);
    }
}

/// What is injected, in core's terms. Software interrupts never wait here: they run again.
fn pending(event: Event) -> Option<PendingEvent> {
    let kind = match event.kind() {
        EventKind::Interrupt => Kind::Interrupt,
        EventKind::Nmi => Kind::Nmi,
        EventKind::Exception => Kind::Exception,
        EventKind::Software => return None,
    };
    Some(PendingEvent {
        kind,
        vector: event.vector(),
        error_code: event.error_code(),
    })
}

fn injected(event: &PendingEvent) -> Event {
    match event.kind {
        Kind::Interrupt => Event::interrupt(event.vector),
        Kind::Nmi => Event::nmi(),
        Kind::Exception => Event::exception(event.vector, event.error_code),
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_core::cpu_state::SegmentRegister;

    use super::*;

    fn state() -> CpuState {
        let usable = |attributes| SegmentRegister {
            selector: 0x33,
            attributes,
            limit: 0xffff_ffff,
            base: 0x1234_5000,
        };
        let mut state = CpuState {
            registers: core::array::from_fn(|number| 0x1000 + number as u64),
            rip: 0xffff_ffff_8000_0000,
            rflags: 0x302,
            cr0: 0x8005_0033,
            cr2: 4,
            cr3: 0x5000,
            cr4: 0x6a0,
            efer: 0xd01,
            segments: [usable(0xc93); 6],
            ldtr: usable(0x82),
            tr: usable(0x8b),
            gdtr: TableRegister { base: 7, limit: 8 },
            idtr: TableRegister { base: 9, limit: 10 },
            breakpoints: [1, 2, 3, 4],
            dr6: 0xffff_0ff0,
            dr7: 0x455,
            sysenter: [13, 14, 15],
            syscall: [16, 17, 18, 19],
            kernel_gs_base: 20,
            pat: 0x0007_0406_0007_0406,
            tsc_aux: 22,
            shadow: Shadow::Sti,
            nmi_blocked: true,
            pending_debug: SINGLE_STEP,
            event: Some(PendingEvent {
                kind: Kind::Exception,
                vector: 14,
                error_code: Some(2),
            }),
            deferred: Some(0x51),
            ..CpuState::default()
        };
        state.segments[1].attributes = 0xa9b;
        state.segments[3] = SegmentRegister::default();
        state
    }

    #[test]
    fn a_state_comes_back_as_it_was_set() {
        let mut vcpu = crate::vmx::vcpu::tests::vcpu();
        let state = state();
        vcpu.set_registers(&state);
        assert_eq!(vcpu.registers(), state);
        // All of it is on its way into the VMCS.
        vcpu.vmcs.flush();
        vcpu.vmcs.forget();
        assert_eq!(vcpu.registers(), state);
        let mut paged = state;
        paged.efer = 0;
        paged.segments[1].attributes = 0xc9b;
        paged.page_pointers = Some([0x1001, 0x2001, 0, 0x3001]);
        vcpu.set_registers(&paged);
        assert_eq!(vcpu.registers(), paged);
    }

    #[test]
    fn a_shadow_has_a_single_step_pending_where_the_cpu_insists() {
        let mut vcpu = crate::vmx::vcpu::tests::vcpu();
        for (shadow, rflags, given, pending) in [
            (Shadow::MovSs, 0x102, 0, SINGLE_STEP),
            (Shadow::MovSs, 2, SINGLE_STEP | 1, 1),
            (Shadow::None, 2, SINGLE_STEP, SINGLE_STEP),
        ] {
            vcpu.set_registers(&CpuState {
                shadow,
                rflags,
                pending_debug: given,
                event: None,
                ..state()
            });
            assert_eq!(vcpu.registers().pending_debug, pending);
        }
    }
}
