//! The power-up state, and the two ways to start from it (APM 2 14.1.3, `bulkhead_abi::start`).

use bulkhead_core::addr::Gpa;
use bulkhead_core::boot_state::{BootSegment, BootState};
use bulkhead_core::msr::ControlRules;
use bulkhead_core::vcpu::{Gpr, StartState, Watch};

use super::{CR8, Loaded, SvmVcpu};
use crate::svm::vmcb::Segment;
use crate::virtualization::register_file::RegisterFile;

/// The MSRs that VMLOAD and VMSAVE move.
const KEPT_BY_VMLOAD: [u32; 10] = [
    0x174,
    0x175,
    0x176,
    0xc000_0081,
    0xc000_0082,
    0xc000_0083,
    0xc000_0084,
    0xc000_0100,
    0xc000_0101,
    0xc000_0102,
];

impl SvmVcpu {
    /// Brings all registers to the power-up values with this start.
    pub(super) fn power_up(&mut self, start: StartState) {
        self.block.registers = RegisterFile::default();
        self.block.lengths.clear();
        self.deferred = None;
        self.offers = false;
        self.tags.invalidate();
        let vmcb = &mut self.block.vmcb;
        vmcb.set_injection(None);
        vmcb.set_window(Watch::Off);
        vmcb.set_nmi_blocked(Watch::Off);
        vmcb.set_control_write_intercept(CR8, Watch::Off);
        vmcb.set_task_priority(0);
        vmcb.end_shadow();
        vmcb.set_rax(0);
        vmcb.set_rflags(2);
        vmcb.set_cr2(0);
        vmcb.set_debug(0xffff_0ff0, 0x400);
        vmcb.set_pat(0x0007_0406_0007_0406);
        for msr in KEPT_BY_VMLOAD {
            if let Some(value) = vmcb.kept_msr(msr) {
                *value = 0;
            }
        }
        let table = Segment {
            limit: 0xffff,
            ..Segment::default()
        };
        match start {
            StartState::StartUp { vector } => {
                let selector = (vector.0 as u16) << 8;
                let code = Segment {
                    selector,
                    attributes: 0x09b,
                    limit: 0xffff,
                    base: (selector as u64) << 4,
                };
                let data = Segment {
                    attributes: 0x093,
                    limit: 0xffff,
                    ..Segment::default()
                };
                vmcb.set_segments(code, data);
                vmcb.set_tables(table, table);
                vmcb.set_control_registers(0x6000_0010, Gpa::new(0), 0);
                vmcb.set_efer(0);
                vmcb.set_rip(0);
                vmcb.set_rsp(0);
            }
            StartState::Direct {
                entry,
                stack,
                argument,
                page_tables,
                gdt,
            } => {
                let code = Segment {
                    selector: 0x8,
                    attributes: 0xa9b,
                    limit: 0xffff_ffff,
                    base: 0,
                };
                let data = Segment {
                    selector: 0x10,
                    attributes: 0xc93,
                    limit: 0xffff_ffff,
                    base: 0,
                };
                vmcb.set_segments(code, data);
                let gdt = Segment {
                    limit: 23,
                    base: gdt.as_u64(),
                    ..Segment::default()
                };
                vmcb.set_tables(gdt, Segment::default());
                // PG, WP, NE, ET, MP, PE; PAE; NXE, LMA, LME.
                vmcb.set_control_registers(0x8001_0033, page_tables, 0x20);
                vmcb.set_efer(0xd00);
                vmcb.set_rip(entry);
                vmcb.set_rsp(stack);
                self.block.registers.set(Gpr::Rdi, argument);
            }
            StartState::Registers(state) => self.take_registers(&state),
        }
        self.extended.reset();
        self.block.vmcb.set_dirty();
        if self.loaded == Loaded::Guest {
            // VMRUN does not load these, and the next VMSAVE would bring the old ones back.
            self.load();
        }
    }

    /// Takes over a state that core has found possible.
    fn take_registers(&mut self, state: &BootState) {
        let [rax, _, _, _, rsp, ..] = state.registers;
        let segment = |segment: &BootSegment| Segment {
            selector: segment.selector,
            attributes: segment.attributes,
            limit: segment.limit,
            base: segment.base,
        };
        let vmcb = &mut self.block.vmcb;
        vmcb.set_segments(segment(&state.cs), segment(&state.data));
        let gdt = Segment {
            limit: state.gdt_limit as u32,
            base: state.gdt_base,
            ..Segment::default()
        };
        // As after INIT, where real mode has its vectors.
        let idt = Segment {
            limit: 0xffff,
            ..Segment::default()
        };
        vmcb.set_tables(gdt, idt);
        // ET is 1 on every CPU.
        vmcb.set_control_registers(state.cr0 | 1 << 4, Gpa::new(state.cr3), state.cr4);
        vmcb.set_efer(ControlRules::efer_with_cr0(state.efer, state.cr0));
        vmcb.set_rip(state.rip);
        vmcb.set_rsp(rsp);
        vmcb.set_rax(rax);
        self.block.registers = RegisterFile::of(&state.registers);
    }
}
