//! The port between the exit loop and the virtualization hardware.
//!
//! A backend implements [`Vcpu`] for one virtual CPU; the loop in [`crate::exit`] is generic over it, so that
//! the binary gets one specialised loop for each backend and the unit tests drive the same code with a script.

use bulkhead_abi::partition::BootState;

use crate::addr::{Gpa, Hpa};
use crate::cpu_state::ArchitecturalState;
use crate::decode::{Segment, Width};
use crate::fault::Exception;
use crate::guest_tsc::GuestTsc;
use crate::id::Vector;
use crate::interrupt_delivery::InterruptDelivery;

/// A general-purpose register, numbered as instructions encode it (SDM 2A 2.1.5, APM 3 1.4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the registers'")]
pub enum Gpr {
    Rax = 0,
    Rcx = 1,
    Rdx = 2,
    Rbx = 3,
    Rsp = 4,
    Rbp = 5,
    Rsi = 6,
    Rdi = 7,
    R8 = 8,
    R9 = 9,
    R10 = 10,
    R11 = 11,
    R12 = 12,
    R13 = 13,
    R14 = 14,
    R15 = 15,
}

impl Gpr {
    /// All registers in the order of their numbers.
    pub const ALL: [Gpr; 16] = [
        Gpr::Rax,
        Gpr::Rcx,
        Gpr::Rdx,
        Gpr::Rbx,
        Gpr::Rsp,
        Gpr::Rbp,
        Gpr::Rsi,
        Gpr::Rdi,
        Gpr::R8,
        Gpr::R9,
        Gpr::R10,
        Gpr::R11,
        Gpr::R12,
        Gpr::R13,
        Gpr::R14,
        Gpr::R15,
    ];

    /// The register of this number; bits above 3 do not count.
    pub const fn from_number(number: u8) -> Gpr {
        match number & 15 {
            0 => Gpr::Rax,
            1 => Gpr::Rcx,
            2 => Gpr::Rdx,
            3 => Gpr::Rbx,
            4 => Gpr::Rsp,
            5 => Gpr::Rbp,
            6 => Gpr::Rsi,
            7 => Gpr::Rdi,
            8 => Gpr::R8,
            9 => Gpr::R9,
            10 => Gpr::R10,
            11 => Gpr::R11,
            12 => Gpr::R12,
            13 => Gpr::R13,
            14 => Gpr::R14,
            _ => Gpr::R15,
        }
    }
}

/// The direction of an access, seen from the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The guest reads.
    Read,
    /// The guest writes.
    Write,
}

/// The shape of a port instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortForm {
    /// IN or OUT with the accumulator.
    Single,
    /// INS or OUTS, with or without a repeat prefix.
    String,
}

/// A port access that was intercepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortAccess {
    /// The port.
    pub port: u16,
    /// Bytes: 1, 2 or 4.
    pub size: u8,
    /// IN or OUT.
    pub direction: Direction,
    /// Accumulator or string.
    pub form: PortForm,
}

/// What the guest did when it met a hole or a protection in the nested tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A data read.
    Read,
    /// A data write.
    Write,
    /// An instruction fetch.
    Fetch,
}

/// A fault in the nested translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NestedFault {
    /// Where.
    pub gpa: Gpa,
    /// What.
    pub access: Access,
    /// The access was the CPU's own walk of the guest's page tables.
    pub in_walk: bool,
}

/// Why the guest stopped running, in terms that both vendors share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// A host interrupt came; the backend has let the host take it.
    Interrupt,
    /// The guest can now take an interrupt ([`Vcpu::request_window`]).
    Window,
    /// CPUID.
    Cpuid,
    /// HLT.
    Halt,
    /// VMCALL or VMMCALL.
    Hypercall,
    /// RDMSR.
    MsrRead,
    /// WRMSR.
    MsrWrite,
    /// IN, OUT, INS or OUTS.
    Port(PortAccess),
    /// No translation, or one that does not permit the access.
    NestedFault(NestedFault),
    /// An exception that must not be delivered unseen (#DB and #AC can loop forever inside one instruction).
    Exception(Exception),
    /// A machine check while the guest ran.
    MachineCheck,
    /// MOV to a control register (4 or 8).
    ControlWrite,
    /// XSETBV.
    XSetBv,
    /// INVD or WBINVD.
    CacheFlush,
    /// An instruction that a guest does not have: it gets #UD.
    Undefined,
    /// RDPMC: it gets #GP.
    PerformanceCounter,
    /// A triple fault.
    TripleFault,
    /// The CPU refused the guest's state.
    InvalidState,
    /// An exit that the backend does not know.
    Unknown,
    /// The guest has ended an interrupt whose end is watched ([`InterruptDelivery::watch_ends`]); that is done.
    EndOfInterrupt(Vector),
    /// A self-IPI of a vector that the CPU does not take by itself; the instruction is done.
    SelfIpi(Vector),
}

impl Exit {
    /// Number of kinds, for counters.
    pub const KINDS: usize = 21;

    /// Index of the kind, below [`Exit::KINDS`].
    #[inline]
    pub const fn kind(&self) -> usize {
        match self {
            Exit::Interrupt => 0,
            Exit::Window => 1,
            Exit::Cpuid => 2,
            Exit::Halt => 3,
            Exit::Hypercall => 4,
            Exit::MsrRead => 5,
            Exit::MsrWrite => 6,
            Exit::Port(_) => 7,
            Exit::NestedFault(_) => 8,
            Exit::Exception(_) => 9,
            Exit::MachineCheck => 10,
            Exit::ControlWrite => 11,
            Exit::XSetBv => 12,
            Exit::CacheFlush => 13,
            Exit::Undefined => 14,
            Exit::PerformanceCounter => 15,
            Exit::TripleFault => 16,
            Exit::InvalidState => 17,
            Exit::Unknown => 18,
            Exit::EndOfInterrupt(_) => 19,
            Exit::SelfIpi(_) => 20,
        }
    }
}

/// The system registers that software paging and the crash record need.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SystemState {
    /// CR0.
    pub cr0: u64,
    /// CR2.
    pub cr2: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// EFER as the guest sees it.
    pub efer: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// Current privilege level.
    pub cpl: u8,
    /// Base of CS.
    pub cs_base: u64,
    /// CS selector.
    pub cs_selector: u16,
    /// CS is a 64-bit segment and long mode is active.
    pub code_64: bool,
    /// CS.D: default operand size is 32 bits.
    pub code_32: bool,
}

impl SystemState {
    /// Whether RFLAGS.IF lets interrupts come.
    pub const fn takes_interrupts(&self) -> bool {
        self.rflags & 1 << 9 != 0
    }
}

/// Where a vCPU starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one for each partition, copied at starts only"
)]
pub enum StartState {
    /// Real mode at the start-up vector of a SIPI: CS = vector << 8, IP = 0 (SDM 3A 8.4.3).
    StartUp {
        /// The page number of the code, below 1 MiB.
        vector: Vector,
    },
    /// 64-bit mode as `bulkhead_abi::start` says.
    Direct {
        /// RIP.
        entry: u64,
        /// RSP.
        stack: u64,
        /// RDI.
        argument: u64,
        /// CR3.
        page_tables: Gpa,
        /// GDTR base; the table holds null, code (0x8) and data (0x10).
        gdt: Gpa,
    },
    /// A state that [`crate::boot_state::check`] has found possible; what it does not name is as after INIT.
    Registers(BootState),
}

/// The lengths of intercepted instructions cannot be told by the hardware: someone must decode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LengthUnknown;

/// One virtual CPU as the hardware runs it. Used only by the physical CPU that owns the vCPU.
pub trait Vcpu: ArchitecturalState + InterruptDelivery + Send + 'static {
    /// What the backend keeps for the physical CPU: its TLB tags, its host state.
    type Cpu;

    /// Runs the guest until it exits. With [`Exit::Interrupt`] the host has taken its pending interrupts.
    fn enter(&mut self) -> Exit;

    /// Makes the physical CPU this vCPU's: loads what is switched lazily (FPU, debug registers, XCR0).
    /// `root` are the nested tables, `epoch` counts those of their changes that need a TLB flush.
    fn activate(&mut self, cpu: &mut Self::Cpu, root: Hpa, epoch: u64);

    /// Takes over a new epoch of the nested tables while active.
    fn refresh(&mut self, cpu: &mut Self::Cpu, epoch: u64);

    /// Takes the vCPU off the physical CPU: stores what is switched lazily.
    fn deactivate(&mut self, cpu: &mut Self::Cpu);

    /// Holds the host's interrupts back: entries and the handling of exits follow. What comes meanwhile
    /// makes the guest exit with [`Exit::Interrupt`].
    fn hold_interrupts(&mut self);

    /// Lets the host's interrupts come, with the host's own state in place.
    fn release_interrupts(&mut self);

    /// Reads a general-purpose register.
    fn gpr(&self, register: Gpr) -> u64;

    /// Writes a general-purpose register.
    fn set_gpr(&mut self, register: Gpr, value: u64);

    /// RIP, at the exiting instruction after an exit.
    fn rip(&self) -> u64;

    /// RIP after the instruction that exited.
    ///
    /// # Errors
    /// The hardware did not report the length and it is not known from before: see [`Vcpu::learn_length`].
    fn next_rip(&self) -> Result<u64, LengthUnknown>;

    /// RIP after the IN, OUT, INS or OUTS that exited with [`Exit::Port`].
    fn next_rip_of_port(&self) -> u64;

    /// The instruction that exited is done: the guest goes on at `next`, out of any interrupt shadow.
    fn complete(&mut self, next: u64);

    /// Tells the length in bytes of the instruction that exited, for [`Vcpu::next_rip`] now and whenever the
    /// instruction exits again.
    fn learn_length(&mut self, length: u8);

    /// Whether an interrupt can be injected now: IF set, no shadow, nothing else queued for injection.
    fn can_take_interrupt(&self) -> bool;

    /// Whether the last instruction was an STI or MOV SS that holds interrupts back for one instruction more.
    fn in_shadow(&self) -> bool;

    /// Queues an external interrupt for the next entry; [`Vcpu::can_take_interrupt`] must hold.
    fn inject_interrupt(&mut self, vector: Vector);

    /// Queues an exception for the next entry. An exception that was being delivered when the exit came is combined
    /// with it by the rules for double faults; `false` where that is a triple fault.
    #[must_use]
    fn inject_exception(&mut self, exception: Exception) -> bool;

    /// Queues an NMI for the next entry; `false` where something else is queued already.
    #[must_use]
    fn inject_nmi(&mut self) -> bool;

    /// Asks for [`Exit::Window`] as soon as the guest can take an interrupt.
    fn request_window(&mut self);

    /// The task priority in CR8, 0 to 15.
    fn cr8(&self) -> u8;

    /// Sets CR8.
    fn set_cr8(&mut self, priority: u8);

    /// Asks for [`Exit::ControlWrite`] on writes to CR8: something waits for a lower task priority.
    fn watch_cr8(&mut self, watch: Watch);

    /// CR4.
    fn cr4(&self) -> u64;

    /// The system registers.
    fn system(&self) -> SystemState;

    /// Brings what the CPU holds of the vCPU's state into the record, for [`Vcpu::segment_base`].
    fn settle(&mut self);

    /// The base of a segment, as of the last [`Vcpu::settle`].
    fn segment_base(&self, segment: Segment) -> u64;

    /// The width of the stack pointer outside of 64-bit mode.
    fn stack_width(&self) -> Width;

    /// Sets RFLAGS.
    fn set_rflags(&mut self, rflags: u64);

    /// Sets CR2.
    fn set_cr2(&mut self, address: u64);

    /// Sets CR4 to a value that the caller has validated.
    fn set_cr4(&mut self, value: u64);

    /// Sets EFER to a value that the caller has validated.
    fn set_efer(&mut self, value: u64);

    /// The guest's XCR0.
    fn xcr0(&self) -> u64;

    /// Sets XCR0 to a value that the caller has validated.
    fn set_xcr0(&mut self, value: u64);

    /// Says how the guest's TSC follows from the host's; at another rate only where [`Maker::tsc_scaling`] says that CPUs can.
    ///
    /// [`Maker::tsc_scaling`]: crate::lifecycle::maker::Maker::tsc_scaling
    fn set_guest_tsc(&mut self, tsc: GuestTsc);

    /// Reads an MSR that the backend keeps in its own state (FS/GS base, SYSCALL and SYSENTER registers, PAT...);
    /// `None` where it keeps none of that number.
    fn kept_msr(&self, msr: u32) -> Option<u64>;

    /// Writes such an MSR; `None` as above.
    fn set_kept_msr(&mut self, msr: u32, value: u64) -> Option<()>;

    /// Brings all registers to the power-up values with this start.
    fn reset(&mut self, start: StartState);

    /// The hardware's own exit code of the last exit, for the crash record.
    fn exit_code(&self) -> u64;

    /// A sentence about the last exit for the crash record: which check failed where the hardware refused the guest's state, what
    /// an exit means that no handler knows. Empty where there is nothing to add.
    fn explain(&self) -> &'static str;
}

/// Whether something is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// Yes.
    On,
    /// No.
    Off,
}
