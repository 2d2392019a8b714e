//! All registers of the state save area at once, in terms that core shares with other backends.

use bulkhead_core::cpu_state::{CpuState, SegmentRegister, TableRegister, segment};

use super::layout::{Segment, Vmcb};
use super::state::EFER_SVME;

/// Attributes: accessed, S, DPL, P; busy of a task-state segment.
const ACCESSED: u16 = 1;
const BUSY: u16 = 1 << 1;
const S: u16 = 1 << 4;
const DPL: u16 = 3 << 5;
const PRESENT: u16 = 1 << 7;
/// What registers of 32 bits hold: SYSENTER_CS, SFMASK.
const LOW: u64 = 0xffff_ffff;

/// A code or data segment: one that is in use has been accessed, also where the CPU did not note it.
const fn read(from: &Segment) -> SegmentRegister {
    let attributes = from.attributes & 0xfff;
    let in_use = attributes & (S | PRESENT) == S | PRESENT;
    SegmentRegister {
        selector: from.selector,
        attributes: if in_use {
            attributes | ACCESSED
        } else {
            attributes
        },
        limit: from.limit,
        base: from.base,
    }
}

const fn write(from: &SegmentRegister) -> Segment {
    Segment {
        selector: from.selector,
        attributes: from.attributes,
        limit: from.limit,
        base: from.base,
    }
}

const fn table(from: &Segment) -> TableRegister {
    TableRegister {
        base: from.base,
        limit: from.limit as u16,
    }
}

const fn to_table(from: &TableRegister) -> Segment {
    Segment {
        selector: 0,
        attributes: 0,
        limit: from.limit as u32,
        base: from.base,
    }
}

impl Vmcb {
    /// The registers of the save area; RAX and RSP are among the general-purpose ones.
    pub fn read_registers(&self) -> CpuState {
        let save = &self.save;
        let mut state = CpuState {
            rip: save.rip,
            rflags: save.rflags,
            cr0: save.cr0,
            cr2: save.cr2,
            cr3: save.cr3,
            cr4: save.cr4,
            efer: save.efer & !EFER_SVME,
            privilege: save.cpl,
            segments: [&save.es, &save.cs, &save.ss, &save.ds, &save.fs, &save.gs].map(read),
            ldtr: read(&save.ldtr),
            tr: read(&save.tr),
            gdtr: table(&save.gdtr),
            idtr: table(&save.idtr),
            dr6: save.dr6 & LOW,
            dr7: save.dr7 & LOW,
            sysenter: [save.sysenter_cs & LOW, save.sysenter_esp, save.sysenter_eip],
            syscall: [save.star, save.lstar, save.cstar, save.sfmask & LOW],
            kernel_gs_base: save.kernel_gs_base,
            pat: save.pat,
            ..CpuState::default()
        };
        // The privilege level has a field of its own; elsewhere it is the DPL of SS.
        let [_, _, stack, ..] = &mut state.segments;
        stack.attributes = stack.attributes & !DPL | u16::from(save.cpl & 3) << 5;
        // A task-state segment that is in TR is busy.
        state.tr.attributes |= BUSY;
        state
    }

    /// Sets the registers of the save area, with all that the CPU keeps of it.
    pub fn write_registers(&mut self, state: &CpuState) {
        let save = &mut self.save;
        save.rip = state.rip;
        save.rflags = state.rflags;
        save.cr0 = state.cr0;
        save.cr2 = state.cr2;
        save.cr3 = state.cr3;
        save.cr4 = state.cr4;
        save.efer = state.efer | EFER_SVME;
        save.cpl = state.privilege;
        for (slot, number) in [
            (&mut save.es, segment::ES),
            (&mut save.cs, segment::CS),
            (&mut save.ss, segment::SS),
            (&mut save.ds, segment::DS),
            (&mut save.fs, segment::FS),
            (&mut save.gs, segment::GS),
        ] {
            *slot = state.segments.get(number).map_or(Segment::default(), write);
        }
        save.ldtr = write(&state.ldtr);
        save.tr = write(&state.tr);
        save.gdtr = to_table(&state.gdtr);
        save.idtr = to_table(&state.idtr);
        save.dr6 = state.dr6;
        save.dr7 = state.dr7;
        let [cs, esp, eip] = state.sysenter;
        (save.sysenter_cs, save.sysenter_esp, save.sysenter_eip) = (cs, esp, eip);
        let [star, lstar, cstar, mask] = state.syscall;
        (save.star, save.lstar, save.cstar, save.sfmask) = (star, lstar, cstar, mask);
        save.kernel_gs_base = state.kernel_gs_base;
        save.pat = state.pat;
        self.set_dirty();
    }

    /// Begins a shadow: interrupts wait for one instruction more.
    pub fn begin_shadow(&mut self) {
        self.control.interrupt_shadow = 1;
    }
}
