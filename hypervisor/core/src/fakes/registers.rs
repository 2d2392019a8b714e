//! The scripted vCPU's state as a whole.

use super::script::{Queued, Scripted};
use crate::cpu_state::{
    ArchitecturalState, CpuState, EventKind, ExtendedImage, PendingEvent, SegmentRegister, Shadow,
    segment,
};
use crate::fault::{Exception, ResourceError};
use crate::vcpu::{SystemState, Vcpu, Watch};

/// What the CPU is in that scripts say nothing of.
pub fn rest() -> CpuState {
    let mut state = CpuState {
        rflags: 2,
        dr6: 0xffff_0ff0,
        dr7: 0x400,
        pat: 0x0007_0406_0007_0406,
        ..CpuState::default()
    };
    let segment = |attributes| SegmentRegister {
        selector: 0,
        attributes,
        limit: u32::MAX,
        base: 0,
    };
    state.segments = [segment(0xc93); 6];
    state.segments[segment::CS] = segment(0xc9b);
    state.tr = segment(0x8b);
    state.tr.limit = 0xffff;
    state
}

/// The extended state after reset.
pub fn initial() -> ExtendedImage {
    let mut legacy = [0; 512];
    legacy[0..2].copy_from_slice(&0x37f_u16.to_le_bytes());
    legacy[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
    ExtendedImage {
        xcr0: 1,
        in_use: 0,
        legacy,
        components: Vec::new(),
    }
}

impl ArchitecturalState for Scripted {
    fn registers(&mut self) -> CpuState {
        let mut state = self.rest;
        state.registers = self.gprs;
        state.rip = self.rip;
        state.rflags = self.system.rflags;
        state.cr0 = self.system.cr0;
        state.cr2 = self.system.cr2;
        state.cr3 = self.system.cr3;
        state.cr4 = self.system.cr4;
        state.efer = self.system.efer;
        state.privilege = self.system.cpl;
        let code = &mut state.segments[segment::CS];
        code.selector = self.system.cs_selector;
        code.base = self.system.cs_base;
        if self.system.code_64 {
            code.attributes = 0xa9b;
        }
        state.shadow = match (self.shadow, self.system.takes_interrupts()) {
            (false, _) => Shadow::None,
            (true, true) => Shadow::Sti,
            (true, false) => Shadow::MovSs,
        };
        state.event = self.queued.map(|queued| match queued {
            Queued::Interrupt(vector) => PendingEvent {
                kind: EventKind::Interrupt,
                vector,
                error_code: None,
            },
            Queued::Nmi => PendingEvent {
                kind: EventKind::Nmi,
                vector: 2,
                error_code: None,
            },
            Queued::Exception(exception) => PendingEvent {
                kind: EventKind::Exception,
                vector: exception.vector,
                error_code: exception.error_code,
            },
        });
        state
    }

    fn set_registers(&mut self, state: &CpuState) {
        self.rest = *state;
        self.gprs = state.registers;
        self.rip = state.rip;
        let code = state.segments[segment::CS];
        self.system = SystemState {
            cr0: state.cr0,
            cr2: state.cr2,
            cr3: state.cr3,
            cr4: state.cr4,
            efer: state.efer,
            rflags: state.rflags,
            cpl: state.privilege,
            cs_base: code.base,
            cs_selector: code.selector,
            code_64: code.attributes & 1 << 9 != 0 && state.efer & 1 << 10 != 0,
            code_32: code.attributes & 1 << 10 != 0,
        };
        self.shadow = state.shadow != Shadow::None;
        self.window = Watch::Off;
        self.cr8_watch = Watch::Off;
        self.learned.clear();
        self.queued = state.event.map(|event| match event.kind {
            EventKind::Interrupt => Queued::Interrupt(event.vector),
            EventKind::Nmi => Queued::Nmi,
            EventKind::Exception => Queued::Exception(Exception {
                vector: event.vector,
                error_code: event.error_code,
            }),
        });
    }

    fn extended(&mut self) -> Result<ExtendedImage, ResourceError> {
        let mut image = self.extended.clone();
        image.xcr0 = self.xcr0();
        Ok(image)
    }

    fn check_extended(image: &ExtendedImage) -> Result<(), &'static str> {
        match image.components.iter().all(|one| one.bytes.len() == 256) {
            true => Ok(()),
            false => Err("a component has another size here"),
        }
    }

    fn set_extended(&mut self, image: &ExtendedImage) {
        self.xcr0 = image.xcr0;
        self.extended = image.clone();
    }
}
