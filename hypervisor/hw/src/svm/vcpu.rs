//! One virtual CPU on SVM: the implementation of the exit loop's port.

mod rare_exit;
mod reset;
mod whole;

use alloc::boxed::Box;

use bulkhead_core::addr::{Gpa, Hpa};
use bulkhead_core::decode::Width;
use bulkhead_core::fault::{Exception, ResourceError};
use bulkhead_core::guest_tsc::GuestTsc;
use bulkhead_core::id::Vector;
use bulkhead_core::tlb_tag::{FlushKind, TagHolder};
use bulkhead_core::vcpu::{
    Access, Direction, Exit, Gpr, LengthUnknown, NestedFault, PortAccess, PortForm, StartState,
    SystemState, Vcpu, Watch,
};

use super::cpu::{InterruptDelivery, SvmCpu};
use super::exit_code as code;
use super::instructions::{self, EntryBlock, world_switch};
use super::vmcb::{Event, EventKind, Intercepts, Taken, TlbControl};
use crate::virtualization::PermissionMaps;
use crate::virtualization::combine::{Combined, combine};
use crate::virtualization::extended_state::ExtendedState;
use crate::virtualization::pages::{physical_of, zeroed_box};

/// MSR PRED_CMD; bit 0 is the indirect branch prediction barrier.
const PRED_CMD: u32 = 0x49;
/// RFLAGS.IF.
const RFLAGS_IF: u64 = 1 << 9;
/// The bit of CR8 in the control-write intercepts.
const CR8: u16 = 1 << 8;

/// One virtual CPU on SVM.
pub struct SvmVcpu {
    block: Box<EntryBlock>,
    /// The block's physical address.
    physical: u64,
    /// Between `hold_interrupts` and `release_interrupts` always the guest's.
    loaded: Loaded,
    host_vmcb: u64,
    /// An interrupt whose delivery an exception interrupted; injected at the next interrupt window.
    deferred: Option<Event>,
    interrupt_delivery: InterruptDelivery,
    /// The next entry injects an interrupt that it should offer instead.
    offers: bool,
    tags: TagHolder,
    extended: ExtendedState,
}

/// Whose FS, GS, TR, LDTR and SYSCALL state the CPU holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loaded {
    Host,
    Guest,
}

impl SvmVcpu {
    /// A vCPU in the power-up state with nothing mapped; `maps` decide which ports and MSRs it reaches itself.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn new(maps: &PermissionMaps) -> Result<Self, ResourceError> {
        let block: Box<EntryBlock> = zeroed_box()?;
        let physical = physical_of(&*block).as_u64();
        let mut vcpu = Self {
            block,
            physical,
            loaded: Loaded::Host,
            host_vmcb: 0,
            deferred: None,
            interrupt_delivery: InterruptDelivery::Event,
            offers: false,
            tags: TagHolder::new(),
            extended: ExtendedState::new()?,
        };
        vcpu.block.vmcb.set_intercepts(Intercepts {
            // #DB (1) and #AC (17) can repeat for ever inside one instruction; #MC (18) is the host's.
            exceptions: 1 << 1 | 1 << 17 | 1 << 18,
            first: code::first::INTR
                | code::first::NMI
                // Firmware's handler must find the host, whose state it is written for.
                | code::first::SMI
                | code::first::INIT
                | code::first::RDPMC
                | code::first::CPUID
                | code::first::RSM
                | code::first::INVD
                | code::first::HLT
                | code::first::INVLPGA
                | code::first::IOIO
                | code::first::MSR
                | code::first::SHUTDOWN,
            second: code::second::VMRUN
                | code::second::VMMCALL
                | code::second::SVM_INSTRUCTIONS
                | code::second::WBINVD
                | code::second::MONITOR
                | code::second::MWAIT
                | code::second::XSETBV
                | code::second::RDPRU,
            // A wrong value in CR4 would otherwise surface as a refused entry instead of #GP.
            control_writes: 1 << 4,
        });
        vcpu.block
            .vmcb
            .set_permission_maps(maps.ports(), maps.msrs());
        vcpu.block.vmcb.mask_host_interrupts();
        vcpu.reset(StartState::StartUp { vector: Vector(0) });
        Ok(vcpu)
    }

    /// Brings the guest's VMLOAD state into the CPU.
    fn load(&mut self) {
        // SAFETY: the VMCB is this vCPU's own; `park` stored the state that is loaded now.
        unsafe { instructions::vmload(self.physical) };
        self.loaded = Loaded::Guest;
    }

    /// Restores the host's own segment bases and keeps the guest's.
    fn park(&mut self) {
        if self.loaded == Loaded::Guest {
            // SAFETY: both VMCBs are this CPU's: the guest's own and the one that holds the host's state.
            unsafe {
                instructions::vmsave(self.physical);
                instructions::vmload(self.host_vmcb);
            }
            self.loaded = Loaded::Host;
        }
    }

    /// Lets the host take what is pending, then closes again.
    #[cold]
    #[inline(never)]
    fn take_interrupts(&mut self) {
        self.park();
        // SAFETY: SVM is on, and `park` has restored the host's segment bases.
        unsafe {
            instructions::stgi();
            instructions::clgi();
        }
        self.load();
    }

    /// Has this event injected at the next entry.
    #[inline]
    fn inject(&mut self, event: Event) {
        self.block.vmcb.set_injection(Some(event));
        self.offers = self.interrupt_delivery == InterruptDelivery::VirtualInterrupt
            && event.kind() == EventKind::Interrupt;
    }

    /// The entry of [`InterruptDelivery::VirtualInterrupt`]. Outside of it the interrupt is one that waits for injection, as on
    /// every other CPU.
    #[inline(never)]
    fn enter_offering(&mut self) -> Exit {
        self.offers = false;
        let Some(event) = self.block.vmcb.offer_interrupt() else {
            return self.enter();
        };
        let exit = self.enter();
        if self.block.vmcb.withdraw_interrupt() == Taken::No {
            if self.can_take_interrupt() {
                self.inject(event);
            } else {
                // An exception came between.
                self.deferred = Some(event);
                self.request_window();
            }
        }
        exit
    }

    /// Sets the tag, and the flush that goes with it, for the entries from now on.
    fn take_tag(&mut self, cpu: &mut SvmCpu, epoch: u64) {
        self.settle_flush(cpu);
        let (tag, flush) = cpu.tags.tag_for(&mut self.tags, epoch);
        self.block.vmcb.set_tag(tag.get());
        self.block.vmcb.set_tlb_control(match flush {
            FlushKind::None => TlbControl::Keep,
            FlushKind::ThisTag => TlbControl::ThisTag,
            FlushKind::AllTags => TlbControl::All,
        });
    }

    /// Tells the pool that the flush it demanded of this vCPU was executed, once an entry has done so.
    fn settle_flush(&mut self, cpu: &mut SvmCpu) {
        if self.block.vmcb.tlb_control() == TlbControl::Keep {
            cpu.tags.entered(&mut self.tags);
        }
    }
}

impl Vcpu for SvmVcpu {
    type Cpu = SvmCpu;

    #[inline(always)]
    fn enter(&mut self) -> Exit {
        if self.offers {
            return self.enter_offering();
        }
        // SAFETY: the VMCB confines the guest by nested tables and permission maps that the constructor and `activate`
        // set; SVM is on; since `hold_interrupts` GIF is 0 and the VMLOAD state is loaded.
        unsafe { world_switch(&mut self.block, self.physical) };
        let vmcb = &mut self.block.vmcb;
        vmcb.set_clean();
        vmcb.set_injection(None);
        vmcb.set_tlb_control(TlbControl::Keep);
        let exit_code = vmcb.exit_code();
        if let Some(event) = vmcb.interrupted_event() {
            self.redeliver(event);
        }
        match exit_code {
            code::CPUID => Exit::Cpuid,
            code::MSR => {
                if self.block.vmcb.exit_info_1() & 1 != 0 {
                    Exit::MsrWrite
                } else {
                    Exit::MsrRead
                }
            }
            code::VMMCALL => Exit::Hypercall,
            code::IOIO => {
                let info = self.block.vmcb.exit_info_1();
                Exit::Port(PortAccess {
                    port: (info >> 16) as u16,
                    size: (info >> 4) as u8 & 7,
                    direction: if info & 1 != 0 {
                        Direction::Read
                    } else {
                        Direction::Write
                    },
                    form: if info & 4 != 0 {
                        PortForm::String
                    } else {
                        PortForm::Single
                    },
                })
            }
            code::HLT => Exit::Halt,
            code::NPF => {
                let info = self.block.vmcb.exit_info_1();
                Exit::NestedFault(NestedFault {
                    gpa: Gpa::new(self.block.vmcb.exit_info_2()),
                    access: if info & 1 << 4 != 0 {
                        Access::Fetch
                    } else if info & 1 << 1 != 0 {
                        Access::Write
                    } else {
                        Access::Read
                    },
                    in_walk: info & 1 << 33 != 0,
                })
            }
            code::INTR | code::NMI | code::INIT | code::SMI => {
                self.take_interrupts();
                Exit::Interrupt
            }
            other => self.rare_exit(other),
        }
    }

    fn activate(&mut self, cpu: &mut SvmCpu, root: Hpa, epoch: u64) {
        if cpu.has_ibpb {
            // What another vCPU's branches taught the predictors must not steer this one's.
            // SAFETY: CPUID says that PRED_CMD has the bit.
            unsafe { instructions::wrmsr(PRED_CMD, 1) };
        }
        self.block.vmcb.set_dirty();
        self.block.vmcb.set_nested_root(root);
        self.take_tag(cpu, epoch);
        self.host_vmcb = cpu.host_vmcb();
        self.interrupt_delivery = cpu.interrupt_delivery;
        self.extended.load();
    }

    fn refresh(&mut self, cpu: &mut SvmCpu, epoch: u64) {
        self.take_tag(cpu, epoch);
    }

    fn deactivate(&mut self, cpu: &mut SvmCpu) {
        self.settle_flush(cpu);
        self.extended.store();
    }

    fn hold_interrupts(&mut self) {
        // SAFETY: SVM is on; `release_interrupts` opens GIF again.
        unsafe { instructions::clgi() };
        self.load();
    }

    fn release_interrupts(&mut self) {
        self.park();
        // SAFETY: SVM is on, and `park` has restored the host's segment bases.
        unsafe { instructions::stgi() };
    }

    #[inline(always)]
    fn gpr(&self, register: Gpr) -> u64 {
        match register {
            Gpr::Rax => self.block.vmcb.rax(),
            Gpr::Rsp => self.block.vmcb.rsp(),
            other => self.block.registers.get(other),
        }
    }

    #[inline(always)]
    fn set_gpr(&mut self, register: Gpr, value: u64) {
        match register {
            Gpr::Rax => self.block.vmcb.set_rax(value),
            Gpr::Rsp => self.block.vmcb.set_rsp(value),
            other => self.block.registers.set(other, value),
        }
    }

    #[inline]
    fn rip(&self) -> u64 {
        self.block.vmcb.rip()
    }

    #[inline(always)]
    fn next_rip(&self) -> Result<u64, LengthUnknown> {
        let vmcb = &self.block.vmcb;
        let reported = vmcb.next_rip();
        if reported != 0 {
            return Ok(reported);
        }
        let exit_code = vmcb.exit_code();
        let rip = vmcb.rip();
        let linear = vmcb.cs_base().wrapping_add(rip);
        match self.block.lengths.get(linear, vmcb.cr3(), exit_code) {
            Some(length) => Ok(rip.wrapping_add(length)),
            None => Err(LengthUnknown),
        }
    }

    #[inline(always)]
    fn next_rip_of_port(&self) -> u64 {
        // On every CPU, with NRIPS or without (APM 2 15.10.2).
        self.block.vmcb.exit_info_2()
    }

    #[inline(always)]
    fn complete(&mut self, next: u64) {
        self.block.vmcb.set_rip(next);
        self.block.vmcb.end_shadow();
    }

    fn learn_length(&mut self, length: u8) {
        let linear = self
            .block
            .vmcb
            .cs_base()
            .wrapping_add(self.block.vmcb.rip());
        self.block.lengths.insert(
            linear,
            self.block.vmcb.cr3(),
            self.block.vmcb.exit_code(),
            length,
        );
    }

    #[inline]
    fn can_take_interrupt(&self) -> bool {
        self.block.vmcb.rflags() & RFLAGS_IF != 0
            && !self.block.vmcb.in_shadow()
            && self.block.vmcb.injection().is_none()
    }

    fn in_shadow(&self) -> bool {
        self.block.vmcb.in_shadow()
    }

    #[inline]
    fn inject_interrupt(&mut self, vector: Vector) {
        if self.deferred.is_none() && self.block.vmcb.window() == Watch::On {
            // What it was for comes now.
            self.block.vmcb.set_window(Watch::Off);
        }
        self.inject(Event::interrupt(vector.0));
    }

    fn inject_exception(&mut self, exception: Exception) -> bool {
        let event = match self.block.vmcb.injection() {
            Some(first) if first.kind() == EventKind::Exception => {
                match combine(first.vector(), exception.vector) {
                    Combined::Second => Event::exception(exception.vector, exception.error_code),
                    Combined::DoubleFault => Event::exception(8, Some(0)),
                    Combined::TripleFault => return false,
                }
            }
            Some(first) if first.kind() == EventKind::Interrupt => {
                // Acknowledged already, so it must not get lost: it comes when the exception's handler is through.
                self.deferred = Some(first);
                self.request_window();
                Event::exception(exception.vector, exception.error_code)
            }
            _ => Event::exception(exception.vector, exception.error_code),
        };
        self.block.vmcb.set_injection(Some(event));
        true
    }

    fn inject_nmi(&mut self) -> bool {
        let vmcb = &mut self.block.vmcb;
        let free = vmcb.injection().is_none() && !vmcb.in_shadow() && !vmcb.nmi_blocked();
        if free {
            vmcb.set_injection(Some(Event::nmi()));
            vmcb.set_nmi_blocked(Watch::On);
        }
        free
    }

    fn request_window(&mut self) {
        self.block.vmcb.set_window(Watch::On);
        // CR8 writes with a virtual interrupt pending bring some emulators down, and a change of CR8 is of
        // interest now anyway.
        self.watch_cr8(Watch::On);
    }

    #[inline]
    fn cr8(&self) -> u8 {
        self.block.vmcb.task_priority()
    }

    #[inline]
    fn set_cr8(&mut self, priority: u8) {
        self.block.vmcb.set_task_priority(priority);
    }

    fn watch_cr8(&mut self, watch: Watch) {
        self.block.vmcb.set_control_write_intercept(CR8, watch);
    }

    #[inline]
    fn cr4(&self) -> u64 {
        self.block.vmcb.cr4()
    }

    fn system(&self) -> SystemState {
        let [cr0, cr2, cr3, cr4, efer] = self.block.vmcb.control_registers();
        let cs = self.block.vmcb.cs();
        SystemState {
            cr0,
            cr2,
            cr3,
            cr4,
            efer: efer & !super::vmcb::EFER_SVME,
            rflags: self.block.vmcb.rflags(),
            cpl: self.block.vmcb.cpl(),
            cs_base: cs.base,
            cs_selector: cs.selector,
            // Attribute bit 9 is L, bit 10 is D; LMA is EFER bit 10.
            code_64: cs.attributes & 1 << 9 != 0 && efer & 1 << 10 != 0,
            code_32: cs.attributes & 1 << 10 != 0,
        }
    }

    fn settle(&mut self) {
        if self.loaded == Loaded::Guest {
            // SAFETY: the VMCB is this vCPU's own, and the CPU holds its VMLOAD state.
            unsafe { instructions::vmsave(self.physical) };
        }
    }

    fn segment_base(&self, segment: bulkhead_core::decode::Segment) -> u64 {
        self.block.vmcb.segment_base(segment)
    }

    fn stack_width(&self) -> Width {
        // Attribute bit 10 is B.
        if self.block.vmcb.ss_attributes() & 1 << 10 != 0 {
            Width::Dword
        } else {
            Width::Word
        }
    }

    fn set_rflags(&mut self, rflags: u64) {
        self.block.vmcb.set_rflags(rflags);
    }

    fn set_cr2(&mut self, address: u64) {
        self.block.vmcb.set_cr2(address);
    }

    fn set_cr4(&mut self, value: u64) {
        self.block.vmcb.set_cr4(value);
        // A MOV to CR4 that changes PGE, PSE, PAE or SMEP flushes the TLB; the intercepted one did not.
        self.tags.invalidate();
    }

    fn set_efer(&mut self, value: u64) {
        self.block.vmcb.set_efer(value);
        self.tags.invalidate();
    }

    fn xcr0(&self) -> u64 {
        self.extended.xcr0()
    }

    fn set_xcr0(&mut self, value: u64) {
        self.extended.set_xcr0(value);
    }

    fn set_guest_tsc(&mut self, tsc: GuestTsc) {
        // The binary says that these CPUs do not scale.
        self.block.vmcb.set_tsc_offset(tsc.offset);
    }

    fn kept_msr(&self, msr: u32) -> Option<u64> {
        match msr {
            0x277 => Some(self.block.vmcb.pat()),
            0xc000_0103 => Some(self.extended.tsc_aux()),
            // The others never exit: the permission map lets the guest reach them.
            _ => None,
        }
    }

    fn set_kept_msr(&mut self, msr: u32, value: u64) -> Option<()> {
        match msr {
            0x277 => self.block.vmcb.set_pat(value),
            0xc000_0103 => self.extended.set_tsc_aux(value),
            _ => return None,
        }
        Some(())
    }

    fn reset(&mut self, start: StartState) {
        self.power_up(start);
    }

    fn exit_code(&self) -> u64 {
        self.block.vmcb.exit_code() as u64
    }

    fn explain(&self) -> &'static str {
        if self.block.vmcb.exit_code() == code::INVALID {
            super::consistency::explain(&self.block.vmcb)
        } else {
            ""
        }
    }
}

/// AMD's way to do so (AVIC) is not used.
impl bulkhead_core::interrupt_delivery::InterruptDelivery for SvmVcpu {}
