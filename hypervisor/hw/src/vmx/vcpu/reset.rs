//! The power-up state, and the ways to start from it (SDM 3A table 9-1, `bulkhead_abi::start`).

use bulkhead_core::boot_state::{BootSegment, BootState};
use bulkhead_core::cpu_state::SegmentRegister;
use bulkhead_core::msr::ControlRules;
use bulkhead_core::vcpu::{Gpr, StartState, Vcpu, Watch};

use super::{EFER_LMA, VmxVcpu, segments};
use crate::probe::VmxProbe;
use crate::probe::vmx::bit;
use crate::virtualization::register_file::RegisterFile;
use crate::vmx::access::VmcsAccess;
use crate::vmx::field::Field;
use crate::vmx::plain_length::PlainLengths;

/// CR0: PE and PG, which unrestricted guests own.
const CR0_FREE: u64 = 1 | 1 << 31;
/// CR0: NE, NW, CD.
const CR0_HELD: u64 = 1 << 5 | 1 << 29 | 1 << 30;
/// CR0 bits that the guest does not change itself: VMX wants some to be 1, and caches are the host's.
pub(super) const fn owned_cr0(probe: &VmxProbe) -> u64 {
    probe.cr0_ones & !CR0_FREE & 0xffff_ffff | CR0_HELD
}

/// A segment as `abi` describes it: attributes in 12 bits.
const fn segment(selector: u16, attributes: u16, limit: u32, base: u64) -> BootSegment {
    BootSegment {
        selector,
        attributes,
        limit,
        base,
    }
}

impl<A: VmcsAccess> VmxVcpu<A> {
    /// Brings all registers to the power-up values with this start.
    pub(super) fn power_up(&mut self, start: StartState) {
        self.block.rax = 0;
        self.block.registers = RegisterFile::default();
        self.injection = None;
        self.deferred = None;
        self.shadow_over = false;
        self.refusal = None;
        self.reason = 0;
        self.plain = PlainLengths::new();
        self.tags.invalidate();
        // Nothing of what the guest had is of interest any more.
        self.vmcs.forget();
        for field in [
            Field::EntryEvent,
            Field::DebugControl,
            Field::Interruptibility,
            Field::Activity,
            Field::SysenterCs,
            Field::SysenterEsp,
            Field::SysenterEip,
            Field::PendingDebug,
            Field::Pdpte0,
            Field::Pdpte1,
            Field::Pdpte2,
            Field::Pdpte3,
            Field::LdtrSelector,
            Field::LdtrBase,
            Field::TrSelector,
            Field::TrBase,
            Field::Rsp,
            Field::GdtrBase,
            Field::IdtrBase,
        ] {
            self.vmcs.set(field, 0);
        }
        for (field, value) in [
            (Field::Dr7, 0x400),
            (Field::GuestPat, 0x0007_0406_0007_0406),
            (Field::Rflags, 2),
            (Field::LdtrLimit, 0xffff),
            (Field::LdtrRights, segments::UNUSABLE),
            (Field::TrLimit, 0xffff),
            // A busy task-state segment: the CPU knows no other.
            (Field::TrRights, 0x8b),
            (Field::GdtrLimit, 0xffff),
            (Field::IdtrLimit, 0xffff),
        ] {
            self.vmcs.set(field, value);
        }
        self.control(bit::WINDOW | bit::NMI_WINDOW | bit::CR8_LOAD, Watch::Off);
        self.set_cr8(0);
        match start {
            StartState::StartUp { vector } => {
                let selector = u16::from(vector.0) << 8;
                let base = u64::from(selector) << 4;
                self.set_segments(
                    segment(selector, 0x09b, 0xffff, base),
                    segment(0, 0x093, 0xffff, 0),
                );
                self.set_control_registers(0x6000_0010, 0, 0, 0);
                self.vmcs.set(Field::Rip, 0);
            }
            StartState::Direct {
                entry,
                stack,
                argument,
                page_tables,
                gdt,
            } => {
                self.set_segments(
                    segment(0x8, 0xa9b, 0xffff_ffff, 0),
                    segment(0x10, 0xc93, 0xffff_ffff, 0),
                );
                self.vmcs.set(Field::GdtrBase, gdt.as_u64());
                self.vmcs.set(Field::GdtrLimit, 23);
                self.vmcs.set(Field::IdtrLimit, 0);
                // PG, WP, NE, ET, MP, PE; PAE; NXE, LMA, LME.
                self.set_control_registers(0x8001_0033, page_tables.as_u64(), 0x20, 0xd00);
                self.vmcs.set(Field::Rip, entry);
                self.vmcs.set(Field::Rsp, stack);
                self.block.registers.set(Gpr::Rdi, argument);
            }
            StartState::Registers(state) => self.take_registers(&state),
        }
        self.resident.reset();
        self.extended.reset();
    }

    /// Takes over a state that core has found possible.
    fn take_registers(&mut self, state: &BootState) {
        let [rax, _, _, _, rsp, ..] = state.registers;
        self.set_segments(state.cs, state.data);
        self.vmcs.set(Field::GdtrBase, state.gdt_base);
        self.vmcs
            .set(Field::GdtrLimit, u64::from(state.gdt_limit as u16));
        let efer = ControlRules::efer_with_cr0(state.efer, state.cr0);
        // ET is 1 on every CPU.
        self.set_control_registers(state.cr0 | 1 << 4, state.cr3, state.cr4, efer);
        self.vmcs.set(Field::Rip, state.rip);
        self.vmcs.set(Field::Rsp, rsp);
        self.block.rax = rax;
        self.block.registers = RegisterFile::of(&state.registers);
    }

    /// CS, and one for all the data segments.
    fn set_segments(&mut self, code: BootSegment, data: BootSegment) {
        for fields in segments::ALL {
            let segment = if fields == segments::CS { code } else { data };
            self.put_segment(
                fields,
                &SegmentRegister {
                    selector: segment.selector,
                    attributes: segment.attributes,
                    limit: segment.limit,
                    base: segment.base,
                },
            );
        }
    }

    pub(super) fn set_control_registers(&mut self, cr0: u64, cr3: u64, cr4: u64, efer: u64) {
        let ones = self.probe.cr0_ones & self.cr0_owned;
        self.vmcs.set(Field::Cr0, cr0 & !self.cr0_owned | ones);
        self.vmcs.set(Field::Cr0Shadow, cr0 & self.cr0_owned);
        self.vmcs.set(Field::Cr3, cr3);
        self.vmcs.set(Field::Cr4, cr4 | self.probe.cr4_ones);
        self.vmcs.set(Field::Cr4Shadow, cr4);
        self.vmcs.set(Field::GuestEfer, efer);
        let long = if efer & EFER_LMA != 0 {
            bit::ENTRY_LONG_MODE
        } else {
            0
        };
        let entry = self.probe.controls.entry | long;
        self.vmcs.set(Field::EntryControls, u64::from(entry));
    }
}
