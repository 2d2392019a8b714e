//! One virtual CPU on VMX: the implementation of the exit loop's port.

mod delivery;
mod events;
mod qualification;
mod rare_exit;
mod reset;
mod segments;
#[cfg(test)]
mod tests;
mod whole;

use alloc::boxed::Box;

use bulkhead_core::addr::Hpa;
use bulkhead_core::decode::{Segment, Width};
use bulkhead_core::fault::{Exception, ResourceError};
use bulkhead_core::guest_tsc::GuestTsc;
use bulkhead_core::id::{CpuId, Vector};
use bulkhead_core::local_apic::VectorBits;
use bulkhead_core::time::Ticks;
use bulkhead_core::tlb_tag::{FlushKind, TagHolder};
use bulkhead_core::vcpu::{Exit, Gpr, LengthUnknown, StartState, SystemState, Vcpu, Watch};

use super::access::{Current, VmcsAccess};
use super::consistency;
use super::cpu::{VmxCpu, new_region};
use super::ept::Ept;
use super::event::Event;
use super::exit_reason as reason;
use super::field::Field;
use super::instructions::{self, Entered, EntryBlock, Extent};
use super::plain_length::PlainLengths;
use super::resident::Resident;
use super::virtual_apic::VirtualApic;
use super::vmcs::Vmcs;
use crate::msr::Msr;
use crate::probe::VmxProbe;
use crate::probe::vmx::bit;
use crate::registers;
use crate::virtualization::PermissionMaps;
use crate::virtualization::extended_state::ExtendedState;
use crate::virtualization::pages::{Page, physical_of, zeroed_box};

/// MSR PRED_CMD; bit 0 is the indirect branch prediction barrier.
const PRED_CMD: Msr = Msr(0x49);
/// RFLAGS.IF.
const RFLAGS_IF: u64 = 1 << 9;
/// EFER.LMA.
const EFER_LMA: u64 = 1 << 10;
/// Interruptibility: the shadows of STI and MOV SS.
const SHADOWS: u64 = 0b11;
/// Interruptibility: an NMI's handler runs.
const IN_NMI: u64 = 1 << 3;
/// An entry that failed (bit 31 of the exit reason).
const ENTRY_FAILED: u32 = 1 << 31;

/// One virtual CPU on VMX.
pub struct VmxVcpu<A = Current> {
    block: Box<EntryBlock>,
    vmcs: Vmcs<A>,
    region: Box<Page>,
    virtual_apic: VirtualApic,
    /// Where all of the x2APIC's MSRs exit, and where those do not that the CPU virtualizes.
    closed_msrs: Hpa,
    open_msrs: Hpa,
    /// The vectors whose end exits.
    watched_ends: VectorBits,
    /// What the next entry injects.
    injection: Option<Event>,
    /// An interrupt whose delivery an exception interrupted; injected at the next interrupt window.
    deferred: Option<Event>,
    /// The instruction under the shadow that the VMCS tells of is done.
    shadow_over: bool,
    /// Why the last entry was refused, where VMLAUNCH or VMRESUME failed.
    refusal: Option<u32>,
    reason: u32,
    plain: PlainLengths,
    probe: VmxProbe,
    /// CR0 bits that the guest does not change itself.
    cr0_owned: u64,
    /// What the preemption timer starts from.
    longest_run: u64,
    /// The CPU whose state is in the host's fields.
    host: Option<CpuId>,
    /// Where and when what the CPU keeps of the nested tables was dropped last.
    nested: Option<(CpuId, u64, u64)>,
    tags: TagHolder,
    resident: Resident,
    extended: ExtendedState,
}

impl VmxVcpu {
    /// A vCPU in the power-up state with nothing mapped; `maps` decide which ports and MSRs it reaches itself. The guest runs for
    /// `longest_run` at most before the host looks at its interrupts: some emulators do not let them end a guest that runs with
    /// RFLAGS.IF clear.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn new(
        maps: &PermissionMaps,
        probe: &VmxProbe,
        longest_run: Ticks,
    ) -> Result<Self, ResourceError> {
        Self::over(Current, maps, probe, longest_run)
    }
}

impl<A: VmcsAccess> VmxVcpu<A> {
    /// The same, with its VMCS reached this way.
    fn over(
        access: A,
        maps: &PermissionMaps,
        probe: &VmxProbe,
        longest_run: Ticks,
    ) -> Result<Self, ResourceError> {
        let mut vcpu = Self {
            block: zeroed_box()?,
            vmcs: Vmcs::new(access),
            region: new_region(probe)?,
            virtual_apic: VirtualApic::new()?,
            closed_msrs: maps.split_msrs(),
            open_msrs: maps.virtual_apic_msrs(),
            watched_ends: VectorBits::EMPTY,
            injection: None,
            deferred: None,
            shadow_over: false,
            refusal: None,
            reason: 0,
            plain: PlainLengths::new(),
            probe: *probe,
            cr0_owned: reset::owned_cr0(probe),
            longest_run: (longest_run.0 >> probe.timer_shift).min(u64::from(u32::MAX)),
            host: None,
            nested: None,
            tags: TagHolder::new(),
            resident: Resident::new(),
            extended: ExtendedState::new()?,
        };
        vcpu.set_controls(maps);
        vcpu.reset(StartState::StartUp { vector: Vector(0) });
        Ok(vcpu)
    }

    fn set_controls(&mut self, maps: &PermissionMaps) {
        let controls = self.probe.controls;
        let ports = maps.ports().as_u64();
        for (field, value) in [
            (Field::PinControls, u64::from(controls.pin)),
            (Field::ProcessorControls, u64::from(controls.processor)),
            (Field::SecondaryControls, u64::from(controls.secondary)),
            (Field::ExitControls, u64::from(controls.exit)),
            // #DB (1) and #AC (17) can repeat for ever inside one instruction; #MC (18) is the host's.
            (Field::ExceptionBitmap, 1 << 1 | 1 << 17 | 1 << 18),
            (Field::PageFaultMask, 0),
            (Field::PageFaultMatch, 0),
            (Field::Cr3TargetCount, 0),
            (Field::ExitMsrStoreCount, 0),
            (Field::ExitMsrLoadCount, 0),
            (Field::EntryMsrLoadCount, 0),
            (Field::TprThreshold, 0),
            (Field::IoBitmapA, ports),
            (Field::IoBitmapB, ports + 0x1000),
            (Field::MsrBitmap, maps.split_msrs().as_u64()),
            (Field::VirtualApicPage, self.virtual_apic.address().as_u64()),
            (Field::EndExits0, 0),
            (Field::EndExits1, 0),
            (Field::EndExits2, 0),
            (Field::EndExits3, 0),
            (Field::LinkPointer, u64::MAX),
            (Field::Cr0Mask, self.cr0_owned),
            // A wrong value in CR4 would otherwise surface as a refused entry instead of #GP.
            (Field::Cr4Mask, u64::MAX),
            (Field::TscOffset, 0),
        ] {
            self.vmcs.set(field, value);
        }
        if controls.pin & bit::PREEMPTION_TIMER != 0 {
            self.vmcs.set(Field::PreemptionTimer, self.longest_run);
        }
        if controls.secondary & bit::XSAVES != 0 {
            self.vmcs.set(Field::XssExitBitmap, 0);
        }
    }

    fn region(&self) -> u64 {
        physical_of(&*self.region).as_u64()
    }

    /// Sets the tag for the entries from now on, and drops what the CPU must not use any more.
    fn take_tag(&mut self, cpu: &mut VmxCpu, epoch: u64) {
        let pointer = self.vmcs.get(Field::EptPointer);
        let (tag, flush) = cpu.tags.tag_for(&mut self.tags, epoch);
        let tag = u64::from(tag.get());
        // Without tags, every entry and exit drops all but what comes of nested tables alone (SDM 3C 28.3.3.1).
        let tagged = self.probe.controls.secondary & bit::VPID != 0;
        if tagged {
            self.vmcs.set(Field::Vpid, tag);
        }
        match flush {
            FlushKind::ThisTag if tagged => instructions::invvpid(Extent::One, tag),
            FlushKind::None | FlushKind::ThisTag => {}
            FlushKind::AllTags => {
                if tagged {
                    instructions::invvpid(Extent::All, 0);
                }
                instructions::invept(Extent::All, 0);
            }
        }
        // What is cached of the nested tables alone belongs to no tag, and may stem from before the vCPU was elsewhere.
        let now = Some((cpu.id, epoch, pointer));
        if self.nested != now {
            instructions::invept(Extent::One, pointer);
            self.nested = now;
        }
        cpu.tags.entered(&mut self.tags);
    }

    /// What the guest reads in CR0.
    fn cr0(&self) -> u64 {
        self.vmcs.get(Field::Cr0) & !self.cr0_owned
            | self.vmcs.get(Field::Cr0Shadow) & self.cr0_owned
    }

    fn control(&mut self, mask: u32, watch: Watch) {
        let mask = u64::from(mask);
        match watch {
            Watch::On => self.vmcs.update(Field::ProcessorControls, 0, mask),
            Watch::Off => self.vmcs.update(Field::ProcessorControls, mask, 0),
        }
    }
}

impl<A: VmcsAccess> Vcpu for VmxVcpu<A> {
    type Cpu = VmxCpu;

    #[inline(always)]
    fn enter(&mut self) -> Exit {
        self.vmcs.flush();
        // SAFETY: the VMCS is current since `activate`, which also set the nested tables and the host's state; interrupts are
        // held back since `hold_interrupts`.
        let entered = unsafe { self.vmcs.access().enter(&mut self.block) };
        self.vmcs.forget();
        if entered != Entered::Exited {
            return self.refused(entered);
        }
        self.block.launched = 1;
        // The CPU has cleared its valid bit.
        self.vmcs.note(Field::EntryEvent, 0);
        self.injection = None;
        self.shadow_over = false;
        self.reason = self.vmcs.get(Field::ExitReason) as u32;
        // Bits above 15 say more about rare ones only.
        match self.reason {
            CPUID => Exit::Cpuid,
            WRMSR => Exit::MsrWrite,
            RDMSR => Exit::MsrRead,
            VMCALL => Exit::Hypercall,
            PORT => Exit::Port(self.port_access()),
            HLT => Exit::Halt,
            NESTED_VIOLATION => Exit::NestedFault(self.nested_fault()),
            INTERRUPT => {
                // SAFETY: the exit has restored the host's segments and tables.
                unsafe { instructions::take_interrupts() };
                Exit::Interrupt
            }
            other => self.rare_exit(other),
        }
    }

    fn activate(&mut self, cpu: &mut VmxCpu, root: Hpa, epoch: u64) {
        if cpu.has_ibpb {
            // What another vCPU's branches taught the predictors must not steer this one's.
            // SAFETY: CPUID says that PRED_CMD has the bit.
            unsafe { PRED_CMD.write(1) };
        }
        // SAFETY: the region has the CPU's revision and belongs to this vCPU; `deactivate` cleared it on the CPU before.
        unsafe {
            instructions::vmclear(self.region());
            instructions::vmptrld(self.region());
        }
        self.block.launched = 0;
        if self.host != Some(cpu.id) {
            cpu.set_host_state(&mut self.vmcs);
            self.host = Some(cpu.id);
        }
        self.vmcs.set(Field::EptPointer, Ept::pointer(root));
        self.take_tag(cpu, epoch);
        self.resident.load();
        self.extended.load();
    }

    fn refresh(&mut self, cpu: &mut VmxCpu, epoch: u64) {
        self.take_tag(cpu, epoch);
    }

    fn deactivate(&mut self, _cpu: &mut VmxCpu) {
        self.extended.store();
        self.resident.store();
        self.vmcs.flush();
        // SAFETY: the region is this vCPU's VMCS.
        unsafe { instructions::vmclear(self.region()) };
    }

    fn hold_interrupts(&mut self) {
        registers::disable_interrupts();
    }

    fn release_interrupts(&mut self) {
        // SAFETY: the IDT is loaded; interrupt stubs take no lock.
        unsafe { registers::enable_interrupts() };
    }

    #[inline(always)]
    fn gpr(&self, register: Gpr) -> u64 {
        match register {
            Gpr::Rax => self.block.rax,
            Gpr::Rsp => self.vmcs.get(Field::Rsp),
            other => self.block.registers.get(other),
        }
    }

    #[inline(always)]
    fn set_gpr(&mut self, register: Gpr, value: u64) {
        match register {
            Gpr::Rax => self.block.rax = value,
            Gpr::Rsp => self.vmcs.set(Field::Rsp, value),
            other => self.block.registers.set(other, value),
        }
    }

    #[inline]
    fn rip(&self) -> u64 {
        self.vmcs.get(Field::Rip)
    }

    #[inline(always)]
    fn next_rip(&self) -> Result<u64, LengthUnknown> {
        let rip = self.vmcs.get(Field::Rip);
        let length = match self.plain.length(self.reason, rip) {
            Some(length) => length,
            None => {
                let length = self.vmcs.get(Field::ExitLength);
                self.plain.learn(self.reason, rip, length);
                length
            }
        };
        let next = rip.wrapping_add(length);
        if (rip ^ next) >> 32 != 0 && !self.code_64() {
            return Ok(next & 0xffff_ffff);
        }
        Ok(next)
    }

    #[inline(always)]
    fn next_rip_of_port(&self) -> u64 {
        match self.next_rip() {
            Ok(next) => next,
            Err(LengthUnknown) => self.rip(),
        }
    }

    #[inline(always)]
    fn complete(&mut self, next: u64) {
        self.vmcs.set(Field::Rip, next);
        self.shadow_over = true;
    }

    fn learn_length(&mut self, _length: u8) {
        // The hardware tells it.
    }

    #[inline]
    fn can_take_interrupt(&self) -> bool {
        self.injection.is_none()
            && self.vmcs.get(Field::Rflags) & RFLAGS_IF != 0
            && !self.in_shadow()
    }

    fn in_shadow(&self) -> bool {
        !self.shadow_over && self.vmcs.get(Field::Interruptibility) & SHADOWS != 0
    }

    #[inline]
    fn inject_interrupt(&mut self, vector: Vector) {
        self.inject(Event::interrupt(vector.0));
    }

    fn inject_exception(&mut self, exception: Exception) -> bool {
        self.combine(exception)
    }

    fn inject_nmi(&mut self) -> bool {
        let free = self.injection.is_none()
            && !self.in_shadow()
            && self.vmcs.get(Field::Interruptibility) & IN_NMI == 0;
        if free {
            self.inject(Event::nmi());
        } else {
            self.control(bit::NMI_WINDOW, Watch::On);
        }
        free
    }

    fn request_window(&mut self) {
        self.control(bit::WINDOW, Watch::On);
    }

    #[inline]
    fn cr8(&self) -> u8 {
        self.virtual_apic.task_priority() >> 4
    }

    #[inline]
    fn set_cr8(&mut self, priority: u8) {
        self.virtual_apic.set_task_priority(priority << 4);
    }

    fn watch_cr8(&mut self, watch: Watch) {
        self.control(bit::CR8_LOAD, watch);
    }

    #[inline]
    fn cr4(&self) -> u64 {
        self.vmcs.get(Field::Cr4Shadow)
    }

    fn system(&self) -> SystemState {
        let rights = self.vmcs.get(Field::CsRights);
        SystemState {
            cr0: self.cr0(),
            cr2: self.resident.cr2(),
            cr3: self.vmcs.get(Field::Cr3),
            cr4: self.cr4(),
            efer: self.vmcs.get(Field::GuestEfer),
            rflags: self.vmcs.get(Field::Rflags),
            // The DPL of SS is the privilege level (SDM 3C 24.4.1).
            cpl: (self.vmcs.get(Field::SsRights) >> 5) as u8 & 3,
            cs_base: self.vmcs.get(Field::CsBase),
            cs_selector: self.vmcs.get(Field::CsSelector) as u16,
            code_64: self.code_64(),
            // Bit 14 is D.
            code_32: rights & 1 << 14 != 0,
        }
    }

    fn settle(&mut self) {
        // The VMCS has it all.
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        self.vmcs.get(match segment {
            Segment::Es => Field::EsBase,
            Segment::Cs => Field::CsBase,
            Segment::Ss => Field::SsBase,
            Segment::Ds => Field::DsBase,
            Segment::Fs => Field::FsBase,
            Segment::Gs => Field::GsBase,
        })
    }

    fn stack_width(&self) -> Width {
        // Bit 14 is B.
        if self.vmcs.get(Field::SsRights) & 1 << 14 != 0 {
            Width::Dword
        } else {
            Width::Word
        }
    }

    fn set_rflags(&mut self, rflags: u64) {
        self.vmcs.set(Field::Rflags, rflags);
    }

    fn set_cr2(&mut self, address: u64) {
        self.resident.set_cr2(address);
    }

    fn set_cr4(&mut self, value: u64) {
        self.vmcs.set(Field::Cr4, value | self.probe.cr4_ones);
        self.vmcs.set(Field::Cr4Shadow, value);
        // A MOV to CR4 that changes PGE, PSE, PAE or SMEP flushes the TLB; the intercepted one did not.
        self.tags.invalidate();
    }

    fn set_efer(&mut self, value: u64) {
        self.vmcs.set(Field::GuestEfer, value);
        let long = u64::from(bit::ENTRY_LONG_MODE);
        let set = if value & EFER_LMA != 0 { long } else { 0 };
        self.vmcs.update(Field::EntryControls, long, set);
        self.tags.invalidate();
    }

    fn xcr0(&self) -> u64 {
        self.extended.xcr0()
    }

    fn set_xcr0(&mut self, value: u64) {
        self.extended.set_xcr0(value);
    }

    fn set_guest_tsc(&mut self, tsc: GuestTsc) {
        self.vmcs.set(Field::TscOffset, tsc.offset);
        let scaling = u64::from(bit::TSC_SCALING);
        if tsc.scale.is_unit() {
            self.vmcs.update(Field::SecondaryControls, scaling, 0);
        } else {
            self.vmcs.set(Field::TscMultiplier, tsc.scale.bits());
            self.vmcs.update(Field::SecondaryControls, 0, scaling);
        }
    }

    fn kept_msr(&self, msr: u32) -> Option<u64> {
        match msr {
            0x277 => Some(self.vmcs.get(Field::GuestPat)),
            0xc000_0103 => Some(self.extended.tsc_aux()),
            // The others never exit: the permission map lets the guest reach them.
            _ => None,
        }
    }

    fn set_kept_msr(&mut self, msr: u32, value: u64) -> Option<()> {
        match msr {
            0x277 => self.vmcs.set(Field::GuestPat, value),
            0xc000_0103 => self.extended.set_tsc_aux(value),
            _ => return None,
        }
        Some(())
    }

    fn reset(&mut self, start: StartState) {
        self.power_up(start);
    }

    fn exit_code(&self) -> u64 {
        u64::from(self.reason)
    }

    fn explain(&self) -> &'static str {
        match self.refusal {
            Some(number) => consistency::explain_refusal(&self.vmcs, &self.probe, number),
            None if self.reason & ENTRY_FAILED != 0 => {
                consistency::explain_state(&self.vmcs, &self.probe, self.reason as u16)
            }
            None => consistency::explain_exit(&self.vmcs, self.reason as u16),
        }
    }
}

const CPUID: u32 = reason::CPUID as u32;
const RDMSR: u32 = reason::RDMSR as u32;
const WRMSR: u32 = reason::WRMSR as u32;
const VMCALL: u32 = reason::VMCALL as u32;
const PORT: u32 = reason::PORT as u32;
const HLT: u32 = reason::HLT as u32;
const NESTED_VIOLATION: u32 = reason::NESTED_VIOLATION as u32;
const INTERRUPT: u32 = reason::INTERRUPT as u32;
