//! The vCPU's state as a whole, for core to save and restore.

use bulkhead_core::cpu_state::{
    ArchitecturalState, CpuState, EventKind as Kind, ExtendedImage, PendingEvent, Shadow,
};
use bulkhead_core::fault::ResourceError;
use bulkhead_core::vcpu::{Gpr, Vcpu, Watch};

use super::{CR8, Loaded, RFLAGS_IF, SvmVcpu};
use crate::svm::vmcb::{Event, EventKind};
use crate::virtualization::extended_state;

/// CR0.PE.
const CR0_PE: u64 = 1;
/// #DB, and the bits of DR6 that pending debug exceptions have at the same places.
const DEBUG: u8 = 1;
const DR6_CAUSES: u64 = 0x400f;

impl ArchitecturalState for SvmVcpu {
    fn registers(&mut self) -> CpuState {
        self.settle();
        let mut state = self.block.vmcb.read_registers();
        state.registers = Gpr::ALL.map(|register| self.gpr(register));
        let vmcb = &self.block.vmcb;
        state.breakpoints = self.extended.breakpoints();
        state.tsc_aux = self.extended.tsc_aux();
        state.shadow = match (vmcb.in_shadow(), vmcb.rflags() & RFLAGS_IF != 0) {
            (false, _) => Shadow::None,
            (true, true) => Shadow::Sti,
            (true, false) => Shadow::MovSs,
        };
        state.nmi_blocked = vmcb.nmi_blocked();
        state.event = vmcb.injection().and_then(pending);
        state.deferred = self.deferred.map(Event::vector);
        state
    }

    fn set_registers(&mut self, state: &CpuState) {
        self.block.lengths.clear();
        self.tags.invalidate();
        let vmcb = &mut self.block.vmcb;
        vmcb.write_registers(state);
        vmcb.set_window(Watch::Off);
        vmcb.set_nmi_blocked(match state.nmi_blocked {
            true => Watch::On,
            false => Watch::Off,
        });
        vmcb.set_control_write_intercept(CR8, Watch::Off);
        match state.shadow {
            Shadow::None => vmcb.end_shadow(),
            Shadow::Sti | Shadow::MovSs => vmcb.begin_shadow(),
        }
        let event = match state.event {
            Some(event) => Some(injected(&event, state.cr0)),
            // Here they do not wait for the end of a shadow: what they are for is done already.
            None if state.pending_debug != 0 => {
                let causes = state.dr6 & !0xf | state.pending_debug & DR6_CAUSES;
                vmcb.set_debug(causes, state.dr7);
                vmcb.end_shadow();
                Some(Event::exception(DEBUG, None))
            }
            None => None,
        };
        vmcb.set_injection(None);
        if let Some(event) = event {
            self.inject(event);
        }
        for (register, value) in Gpr::ALL.into_iter().zip(state.registers) {
            self.set_gpr(register, value);
        }
        self.deferred = state.deferred.map(Event::interrupt);
        if self.deferred.is_some() {
            self.request_window();
        }
        self.extended.set_breakpoints(state.breakpoints);
        self.extended.set_tsc_aux(state.tsc_aux);
        if self.loaded == Loaded::Guest {
            // VMRUN does not load these, and the next VMSAVE would bring the old ones back.
            self.load();
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
        EventKind::Software | EventKind::Reserved => return None,
    };
    Some(PendingEvent {
        kind,
        vector: event.vector(),
        error_code: event.error_code(),
    })
}

fn injected(event: &PendingEvent, cr0: u64) -> Event {
    match event.kind {
        Kind::Interrupt => Event::interrupt(event.vector),
        Kind::Nmi => Event::nmi(),
        Kind::Exception => {
            // Real mode pushes none.
            let code = event.error_code.filter(|_| cr0 & CR0_PE != 0);
            Event::exception(event.vector, code)
        }
    }
}
