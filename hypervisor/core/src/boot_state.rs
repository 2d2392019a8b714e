//! Whether a CPU can be in the state that management wants a partition to start in.
//!
//! Pure checks, so that a refusal is an answer to the hypercall and not a failed entry later: what AMD's VMRUN refuses (APM 2
//! 15.5.1), and of what Intel's entry refuses (SDM 3C 26.3.1) the parts that a boot protocol can get wrong.

pub use bulkhead_abi::partition::{BootSegment, BootState};

use crate::msr::ControlRules;

const CR0_PE: u64 = 1;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_PCIDE: u64 = 1 << 17;
const EFER_LME: u64 = 1 << 8;

/// Segment attributes: executable, S, DPL, P, L, D, G.
const CODE: u16 = 1 << 3;
const WRITABLE: u16 = 1 << 1;
const S: u16 = 1 << 4;
const DPL: u16 = 3 << 5;
const PRESENT: u16 = 1 << 7;
const LONG: u16 = 1 << 9;
const BIG: u16 = 1 << 10;
const GRANULAR: u16 = 1 << 11;
/// All that a segment's attributes can hold.
const ATTRIBUTES: u16 = 0xfff;

/// How the CPU would run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Real,
    Protected,
    /// 32-bit code under long mode.
    Compatible,
    Long,
}

/// Checks a state against what the guest's CPUID lets it set.
///
/// # Errors
/// A sentence about the first thing that no CPU accepts.
pub fn check(
    state: &BootState,
    rules: &ControlRules,
    physical_bits: u8,
) -> Result<(), &'static str> {
    let refuse = |bad: bool, why: &'static str| if bad { Err(why) } else { Ok(()) };
    let paging = state.cr0 & CR0_PG != 0;
    let protected = state.cr0 & CR0_PE != 0;
    let long = paging && state.efer & EFER_LME != 0;
    refuse(state.cr0 >> 32 != 0, "CR0 has bits above 31")?;
    refuse(
        state.cr0 & (CR0_NW | CR0_CD) == CR0_NW,
        "CR0.NW is 1 and CR0.CD is 0",
    )?;
    refuse(paging && !protected, "CR0.PG is 1 and CR0.PE is 0")?;
    refuse(
        !rules.permits_cr4(state.cr4),
        "CR4 has bits that the guest's CPUID does not offer",
    )?;
    refuse(
        !rules.permits_efer(state.efer),
        "EFER has bits that the guest's CPUID does not offer",
    )?;
    refuse(long && state.cr4 & CR4_PAE == 0, "long mode needs CR4.PAE")?;
    refuse(
        !long && state.cr4 & CR4_PCIDE != 0,
        "CR4.PCIDE needs long mode",
    )?;
    let cr3_bits = if long { physical_bits } else { 32 };
    refuse(
        !fits(state.cr3, cr3_bits),
        "CR3 points past the physical addresses",
    )?;
    let code = &state.cs;
    let mode = match (long, protected) {
        (true, _) if code.attributes & LONG != 0 => Mode::Long,
        (true, _) => Mode::Compatible,
        (false, true) => Mode::Protected,
        (false, false) => Mode::Real,
    };
    check_code(code, mode)?;
    for data in [&state.data, code] {
        check_limit(data)?;
    }
    check_data(&state.data, mode)?;
    refuse(
        mode != Mode::Long && state.rip >> 32 != 0,
        "RIP has bits above 31 outside of 64-bit mode",
    )?;
    refuse(!canonical(state.rip), "RIP is not canonical")?;
    refuse(
        !canonical(state.gdt_base),
        "the base of the GDT is not canonical",
    )?;
    refuse(
        state.gdt_limit > 0xffff,
        "the limit of the GDT has more than 16 bits",
    )
}

fn check_code(code: &BootSegment, mode: Mode) -> Result<(), &'static str> {
    let attributes = code.attributes;
    let is_code = attributes & CODE != 0;
    // After INIT, CS is what it was: in real mode it may also be marked as data.
    let real = mode == Mode::Real && attributes & WRITABLE != 0;
    if attributes & !ATTRIBUTES != 0 || attributes & S == 0 || attributes & PRESENT == 0 {
        return Err("CS is not a present code segment");
    }
    if !is_code && !real {
        return Err("CS is not a present code segment");
    }
    if attributes & DPL != 0 {
        return Err("CS is not at privilege level 0");
    }
    if attributes & LONG != 0 && attributes & BIG != 0 {
        return Err("CS.L and CS.D are both 1");
    }
    if attributes & LONG != 0 && mode != Mode::Long {
        return Err("CS.L is 1 outside of long mode");
    }
    // In 64-bit mode the CPU ignores it.
    if mode != Mode::Long && code.base >> 32 != 0 {
        return Err("the base of CS has bits above 31");
    }
    Ok(())
}

fn check_data(data: &BootSegment, mode: Mode) -> Result<(), &'static str> {
    let attributes = data.attributes;
    if data.base >> 32 != 0 {
        return Err("the base of the data segments has bits above 31");
    }
    if attributes == 0 && mode == Mode::Long {
        // Unusable: 64-bit code needs none.
        return Ok(());
    }
    let usable = S | PRESENT | WRITABLE;
    if attributes & !ATTRIBUTES != 0
        || attributes & usable != usable
        || attributes & (CODE | DPL) != 0
    {
        return Err("the data segments are not writable data of privilege level 0");
    }
    Ok(())
}

/// The granularity must be able to express the limit.
fn check_limit(segment: &BootSegment) -> Result<(), &'static str> {
    let granular = segment.attributes & GRANULAR != 0;
    let fine = segment.limit & 0xfff != 0xfff;
    let large = segment.limit >> 20 != 0;
    if segment.attributes != 0 && (granular && fine || !granular && large) {
        return Err("the limit of a segment does not go with its granularity");
    }
    Ok(())
}

fn fits(value: u64, bits: u8) -> bool {
    value.checked_shr(u32::from(bits)).unwrap_or(0) == 0
}

fn canonical(address: u64) -> bool {
    let upper = address >> 47;
    upper == 0 || upper == 0x1_ffff
}

#[cfg(test)]
mod tests;
