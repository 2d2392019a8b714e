//! The resident registers as values, for core to save and restore.

use super::{Residence, Resident};

/// The registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Values {
    /// CR2.
    pub cr2: u64,
    /// DR6.
    pub dr6: u64,
    /// STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE.
    pub msrs: [u64; 5],
}

impl Resident {
    /// The values, which the CPU may hold.
    pub fn values(&mut self) -> Values {
        if self.residence == Residence::Cpu {
            // It holds them on.
            self.store();
            self.residence = Residence::Cpu;
        }
        Values {
            cr2: self.cr2,
            dr6: self.dr6,
            msrs: self.msrs,
        }
    }

    /// Sets the values, in the CPU as well where it holds them: addresses are canonical, DR6 has 32 bits.
    pub fn set_values(&mut self, values: &Values) {
        self.cr2 = values.cr2;
        self.dr6 = values.dr6;
        self.msrs = values.msrs;
        if self.residence == Residence::Cpu {
            self.load();
        }
    }
}
