//! Writes to control registers and XCR0.

use crate::decode::{self, CodeSize, Intercepted};
use crate::exit::{Flow, RESUME, crash, length, raise};
use crate::fault::{GuestFault, StopCause};
use crate::host::Host;
use crate::instruction_fetch::{self, FetchError};
use crate::msr::{ControlRules, ControlState};
use crate::vcpu::{Gpr, SystemState, Vcpu};
use crate::vcpu_record::{VcpuRecord, Work};

/// MOV to CR4 or CR8.
pub fn control_write<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    let system = vcpu.hw.system();
    let rip = vcpu.hw.rip();
    let code = match instruction_fetch::fetch(&system, rip, &vcpu.partition.memory, host) {
        Ok(code) => code,
        Err(FetchError::Fault) => return RESUME,
        Err(FetchError::NotRam(gpa)) => {
            return crash::stop(vcpu, host, StopCause::BadGuestMemory, Some(gpa));
        }
    };
    let Some(write) = decode_write(code.bytes(), CodeSize::of(&system)) else {
        return crash::stop(vcpu, host, StopCause::CannotEmulate, None);
    };
    let value = vcpu.hw.gpr(write.source);
    match write.register {
        4 => match vcpu.partition.rules.check_cr4(value, &state(&system)) {
            Ok(value) => {
                vcpu.hw.set_cr4(value);
                vcpu.work |= Work::TAG;
            }
            Err(fault) => return raise(vcpu, host, fault),
        },
        8 => match ControlRules::check_cr8(value) {
            Ok(priority) => {
                vcpu.reclaim();
                vcpu.apic.set_cr8(priority);
                vcpu.hw.set_cr8(priority);
                vcpu.work |= Work::EVENT;
            }
            Err(fault) => return raise(vcpu, host, fault),
        },
        _ => return crash::stop(vcpu, host, StopCause::CannotEmulate, None),
    }
    vcpu.hw.complete(rip.wrapping_add(u64::from(write.length)));
    RESUME
}

/// XSETBV.
pub fn xsetbv<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    let Some(next) = length::next_rip(vcpu, host, &[Intercepted::Xsetbv])? else {
        return RESUME;
    };
    let value = vcpu.hw.gpr(Gpr::Rdx) << 32 | vcpu.hw.gpr(Gpr::Rax) & 0xffff_ffff;
    let index = vcpu.hw.gpr(Gpr::Rcx) as u32;
    // The privilege level is checked here where the CPU exits before it does so itself.
    let checked = if vcpu.hw.system().cpl == 0 {
        vcpu.partition.rules.check_xcr0(index, value)
    } else {
        Err(GuestFault::GP0)
    };
    let value = match checked {
        Ok(value) => value,
        Err(fault) => return raise(vcpu, host, fault),
    };
    vcpu.hw.set_xcr0(value);
    vcpu.hw.complete(next);
    RESUME
}

/// What the rules look at.
pub fn state(system: &SystemState) -> ControlState {
    ControlState {
        cr0: system.cr0,
        cr3: system.cr3,
        cr4: system.cr4,
        efer: system.efer,
        code_64: system.code_64,
    }
}

/// A MOV to a control register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ControlWrite {
    /// The number of the control register.
    register: u8,
    /// Where the value is.
    source: Gpr,
    /// The instruction's length in bytes.
    length: u8,
}

/// Decodes MOV to a control register: 0F 22 /r behind any prefixes. REX.R, or LOCK on AMD CPUs, adds 8 to the number.
fn decode_write(bytes: &[u8], size: CodeSize) -> Option<ControlWrite> {
    let (Intercepted::MovControl, length) = decode::intercepted(bytes, size)? else {
        return None;
    };
    let (prefixes, opcode) = bytes.get(..usize::from(length))?.split_last_chunk::<3>()?;
    let [0x0f, 0x22, modrm] = *opcode else {
        return None;
    };
    let rex = match prefixes.last() {
        Some(&rex) if size == CodeSize::Bits64 && rex & 0xf0 == 0x40 => rex,
        _ => 0,
    };
    let high = rex & 4 != 0 || prefixes.contains(&0xf0);
    Some(ControlWrite {
        register: modrm >> 3 & 7 | if high { 8 } else { 0 },
        source: Gpr::from_number(modrm & 7 | (rex & 1) << 3),
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_writes_are_decoded_with_their_prefixes() {
        let decode = |bytes: &[u8], size| {
            decode_write(bytes, size).map(|write| (write.register, write.source, write.length))
        };
        let mov_cr4_rax = [0x0f, 0x22, 0xe0];
        assert_eq!(
            decode(&mov_cr4_rax, CodeSize::Bits64),
            Some((4, Gpr::Rax, 3))
        );
        assert_eq!(
            decode(&mov_cr4_rax, CodeSize::Bits16),
            Some((4, Gpr::Rax, 3))
        );
        let mov_cr8_r9 = [0x45, 0x0f, 0x22, 0xc1];
        assert_eq!(decode(&mov_cr8_r9, CodeSize::Bits64), Some((8, Gpr::R9, 4)));
        let lock_mov_cr0_ecx = [0xf0, 0x0f, 0x22, 0xc1];
        assert_eq!(
            decode(&lock_mov_cr0_ecx, CodeSize::Bits32),
            Some((8, Gpr::Rcx, 4))
        );
        let mov_rax_cr4 = [0x0f, 0x20, 0xe0];
        assert_eq!(decode(&mov_rax_cr4, CodeSize::Bits64), None);
    }
}
