//! State that neither the VMCS nor XSAVE moves and the hypervisor does not use: it stays in the CPU until another vCPU comes.

mod values;

use core::arch::asm;

use crate::msr::Msr;
pub use values::Values;

/// STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE.
const MSRS: [Msr; 5] = [
    Msr(0xc000_0081),
    Msr(0xc000_0082),
    Msr(0xc000_0083),
    Msr(0xc000_0084),
    Msr(0xc000_0102),
];
/// DR6 after reset.
const DR6: u64 = 0xffff_0ff0;

/// Whose values the CPU holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Residence {
    Memory,
    Cpu,
}

/// CR2, DR6 and the SYSCALL registers of one vCPU.
pub struct Resident {
    residence: Residence,
    cr2: u64,
    dr6: u64,
    msrs: [u64; 5],
}

impl Resident {
    /// The values after reset.
    pub const fn new() -> Self {
        Self {
            residence: Residence::Memory,
            cr2: 0,
            dr6: DR6,
            msrs: [0; 5],
        }
    }

    /// Brings all to the power-up values, in the CPU as well where it holds them.
    pub fn reset(&mut self) {
        let residence = self.residence;
        *self = Self::new();
        if residence == Residence::Cpu {
            self.load();
        }
    }

    /// Moves the guest's values into the CPU.
    pub fn load(&mut self) {
        self.residence = Residence::Cpu;
        // SAFETY: the host uses none of these registers, and they hold what the guest had in them or the reset values.
        unsafe {
            asm!("mov cr2, {}", "mov dr6, {}", in(reg) self.cr2, in(reg) self.dr6,
                 options(nomem, nostack, preserves_flags));
            for (msr, value) in MSRS.iter().zip(self.msrs) {
                msr.write(value);
            }
        }
    }

    /// Moves the guest's values out of the CPU.
    pub fn store(&mut self) {
        self.cr2 = self.cr2();
        self.dr6 = self.dr6();
        for (msr, slot) in MSRS.iter().zip(&mut self.msrs) {
            *slot = msr.read();
        }
        self.residence = Residence::Memory;
    }

    /// CR2.
    pub fn cr2(&self) -> u64 {
        match self.residence {
            Residence::Memory => self.cr2,
            Residence::Cpu => crate::registers::cr2(),
        }
    }

    /// Sets CR2.
    pub fn set_cr2(&mut self, value: u64) {
        self.cr2 = value;
        if self.residence == Residence::Cpu {
            // SAFETY: the host does not use CR2.
            unsafe {
                asm!("mov cr2, {}", in(reg) value, options(nomem, nostack, preserves_flags));
            }
        }
    }

    fn dr6(&self) -> u64 {
        match self.residence {
            Residence::Memory => self.dr6,
            Residence::Cpu => {
                let value;
                // SAFETY: reading has no effect; the host's DR7 never enables general detection.
                unsafe {
                    asm!("mov {}, dr6", out(reg) value, options(nomem, nostack, preserves_flags));
                }
                value
            }
        }
    }

    /// Notes why a #DB came, whose exit the CPU made before it set DR6 (SDM 3C table 27-1).
    pub fn note_debug(&mut self, qualification: u64) {
        self.dr6 = self.dr6() & !0xf | qualification & 0x600f;
        if self.residence == Residence::Cpu {
            // SAFETY: the host does not use DR6; reserved bits are as the CPU gave them.
            unsafe {
                asm!("mov dr6, {}", in(reg) self.dr6, options(nomem, nostack, preserves_flags));
            }
        }
    }
}
