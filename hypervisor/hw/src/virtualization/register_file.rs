//! The general-purpose registers that no hardware structure of either vendor holds.
//!
//! Both backends' world switches move them straight between the CPU and this block, at the offsets asserted here.

use bulkhead_core::vcpu::Gpr;

/// All but RAX and RSP: SVM's hardware keeps both, VMX's the second.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct RegisterFile {
    rcx: u64,
    rdx: u64,
    rbx: u64,
    rbp: u64,
    rsi: u64,
    rdi: u64,
    r: [u64; 8],
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(RegisterFile, rdi) == 40 && offset_of!(RegisterFile, r) == 48);
    assert!(size_of::<RegisterFile>() == 112);
};

impl RegisterFile {
    /// The registers out of all sixteen, in the order of their numbers.
    pub const fn of(all: &[u64; 16]) -> Self {
        let [_, rcx, rdx, rbx, _, rbp, rsi, rdi, r @ ..] = *all;
        Self {
            rcx,
            rdx,
            rbx,
            rbp,
            rsi,
            rdi,
            r,
        }
    }

    /// A register; 0 for RAX and RSP, which are kept elsewhere.
    #[inline(always)]
    pub const fn get(&self, register: Gpr) -> u64 {
        let [r8, r9, r10, r11, r12, r13, r14, r15] = self.r;
        match register {
            Gpr::Rax | Gpr::Rsp => 0,
            Gpr::Rcx => self.rcx,
            Gpr::Rdx => self.rdx,
            Gpr::Rbx => self.rbx,
            Gpr::Rbp => self.rbp,
            Gpr::Rsi => self.rsi,
            Gpr::Rdi => self.rdi,
            Gpr::R8 => r8,
            Gpr::R9 => r9,
            Gpr::R10 => r10,
            Gpr::R11 => r11,
            Gpr::R12 => r12,
            Gpr::R13 => r13,
            Gpr::R14 => r14,
            Gpr::R15 => r15,
        }
    }

    /// Sets a register; not RAX and RSP, which are kept elsewhere.
    #[inline(always)]
    pub const fn set(&mut self, register: Gpr, value: u64) {
        let [r8, r9, r10, r11, r12, r13, r14, r15] = &mut self.r;
        let slot = match register {
            Gpr::Rax | Gpr::Rsp => return,
            Gpr::Rcx => &mut self.rcx,
            Gpr::Rdx => &mut self.rdx,
            Gpr::Rbx => &mut self.rbx,
            Gpr::Rbp => &mut self.rbp,
            Gpr::Rsi => &mut self.rsi,
            Gpr::Rdi => &mut self.rdi,
            Gpr::R8 => r8,
            Gpr::R9 => r9,
            Gpr::R10 => r10,
            Gpr::R11 => r11,
            Gpr::R12 => r12,
            Gpr::R13 => r13,
            Gpr::R14 => r14,
            Gpr::R15 => r15,
        };
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_register_has_its_own_place() {
        let all: [u64; 16] = core::array::from_fn(|number| number as u64 + 1);
        let mut built = RegisterFile::default();
        for register in Gpr::ALL {
            built.set(register, register as u64 + 1);
        }
        assert_eq!(built, RegisterFile::of(&all));
        for register in Gpr::ALL {
            let here = !matches!(register, Gpr::Rax | Gpr::Rsp);
            let expected = if here { register as u64 + 1 } else { 0 };
            assert_eq!(built.get(register), expected, "{register:?}");
        }
    }
}
