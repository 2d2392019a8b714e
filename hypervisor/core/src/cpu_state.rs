//! The architectural state of a CPU, in terms that all backends share: what a vCPU is that core does not keep itself.
//!
//! A backend reads it out and sets it ([`ArchitecturalState`]); [`CpuState::check`] says beforehand whether a CPU can be in
//! it, so that the hardware refuses no entry and the host's own instructions that load it cannot fault. The local
//! APIC, the TSC and the emulated MSRs are core's. Registers are named as in SDM 1 3.2, 3A 2 and APM 2 3.

mod check;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

#[cfg(test)]
pub(crate) use tests::long as long_mode;

use crate::fault::ResourceError;

/// A segment register with its hidden part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SegmentRegister {
    /// The selector.
    pub selector: u16,
    /// Bits 7:0 are bits 47:40 of the descriptor, bits 11:8 are bits 55:52. Unusable where P (bit 7) is 0.
    pub attributes: u16,
    /// The limit in bytes.
    pub limit: u32,
    /// The base.
    pub base: u64,
}

impl SegmentRegister {
    /// Whether it can be used: the P bit.
    pub const fn is_usable(&self) -> bool {
        self.attributes & 1 << 7 != 0
    }
}

/// GDTR or IDTR.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableRegister {
    /// The base.
    pub base: u64,
    /// The limit in bytes.
    pub limit: u16,
}

/// What holds interrupts back for one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Shadow {
    /// Nothing.
    #[default]
    None,
    /// STI.
    Sti,
    /// MOV SS or POP SS. A CPU that does not tell the two apart says this where interrupts are off, and [`Shadow::Sti`]
    /// where they are on.
    MovSs,
}

/// The kind of an event that is on its way into the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EventKind {
    /// An external interrupt, acknowledged already.
    #[default]
    Interrupt,
    /// A non-maskable interrupt.
    Nmi,
    /// An exception.
    Exception,
}

/// An event that is on its way into the guest: the next instruction is its handler's first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PendingEvent {
    /// The kind.
    pub kind: EventKind,
    /// The vector.
    pub vector: u8,
    /// The error code, of exceptions that have one.
    pub error_code: Option<u32>,
}

/// The registers of a CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpuState {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub registers: [u64; 16],
    /// RIP.
    pub rip: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// CR0.
    pub cr0: u64,
    /// CR2.
    pub cr2: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// EFER.
    pub efer: u64,
    /// The page-directory pointers that PAE paging has loaded, where it is on and the CPU keeps them; else it reads them from memory.
    pub page_pointers: Option<[u64; 4]>,
    /// The privilege level.
    pub privilege: u8,
    /// ES, CS, SS, DS, FS, GS, in the order of their numbers in instructions.
    pub segments: [SegmentRegister; 6],
    /// LDTR.
    pub ldtr: SegmentRegister,
    /// TR.
    pub tr: SegmentRegister,
    /// GDTR.
    pub gdtr: TableRegister,
    /// IDTR.
    pub idtr: TableRegister,
    /// DR0 to DR3.
    pub breakpoints: [u64; 4],
    /// DR6.
    pub dr6: u64,
    /// DR7.
    pub dr7: u64,
    /// SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP.
    pub sysenter: [u64; 3],
    /// STAR, LSTAR, CSTAR, SFMASK.
    pub syscall: [u64; 4],
    /// KERNEL_GS_BASE.
    pub kernel_gs_base: u64,
    /// PAT.
    pub pat: u64,
    /// TSC_AUX.
    pub tsc_aux: u64,
    /// What holds interrupts back.
    pub shadow: Shadow,
    /// An NMI's handler runs.
    pub nmi_blocked: bool,
    /// Debug exceptions that a shadow holds back: bits 3:0 breakpoints met, 12 an enabled one among them, 14 single step
    /// (SDM 3C 24.4.2).
    pub pending_debug: u64,
    /// What comes before the next instruction.
    pub event: Option<PendingEvent>,
    /// The vector of an interrupt whose delivery met an exception: it comes when the guest takes interrupts again.
    pub deferred: Option<u8>,
}

/// Numbers of [`CpuState::segments`].
pub mod segment {
    /// ES.
    pub const ES: usize = 0;
    /// CS.
    pub const CS: usize = 1;
    /// SS.
    pub const SS: usize = 2;
    /// DS.
    pub const DS: usize = 3;
    /// FS.
    pub const FS: usize = 4;
    /// GS.
    pub const GS: usize = 5;
}

/// A component of the extended state: what XSAVE keeps behind the legacy area (SDM 1 13.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Component {
    /// Its bit in XCR0, 2 and above.
    pub number: u8,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The extended state: x87, SSE and what else XCR0 turns on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExtendedImage {
    /// XCR0; 1 on CPUs that have none.
    pub xcr0: u64,
    /// The components that are not in their initial state, by bit (XSTATE_BV).
    pub in_use: u64,
    /// x87 and SSE as FXSAVE64 stores them (SDM 1 10.5.1).
    pub legacy: [u8; 512],
    /// The other components that are in use, by number.
    pub components: Vec<Component>,
}

impl ExtendedImage {
    /// Offset of MXCSR in the legacy area.
    pub const MXCSR: usize = 24;
    /// Components behind the legacy area that there are at most.
    pub const MOST: u8 = 62;
    /// Bytes of the largest component.
    pub const LARGEST: usize = 8192;

    /// MXCSR.
    pub fn mxcsr(&self) -> u32 {
        let bytes = self.legacy.get(Self::MXCSR..);
        let chunk = bytes.and_then(<[u8]>::first_chunk);
        chunk.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }
}

/// What a backend can say of a vCPU's state as a whole, and do to it. The vCPU is active, and its interrupts are held back.
pub trait ArchitecturalState {
    /// Reads all registers.
    fn registers(&mut self) -> CpuState;

    /// Sets all registers to a state that [`CpuState::check`] has found possible; what waits for an entry is gone, and whoever calls
    /// asks again.
    fn set_registers(&mut self, state: &CpuState);

    /// Reads the extended state.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    fn extended(&mut self) -> Result<ExtendedImage, ResourceError>;

    /// Whether this machine's CPUs can load an extended state whose XCR0 the partition may have.
    ///
    /// # Errors
    /// What they cannot load.
    fn check_extended(image: &ExtendedImage) -> Result<(), &'static str>
    where
        Self: Sized;

    /// Sets the extended state to one that [`ArchitecturalState::check_extended`] has found possible.
    fn set_extended(&mut self, image: &ExtendedImage);
}
