//! Flat binaries: raw bytes at an address, entered at an address.

use crate::entry_state::{self, register};
use crate::order::{Flat, Mode};
use crate::planner::Planner;
use crate::{Copy, FileIndex, ImageFile, Piece, Plan, Refusal};

#[cfg(test)]
mod tests;

/// Enough for the first steps, and in reach of real mode.
const STACK_BYTES: u64 = 4096;
const REAL_END: u64 = 1 << 20;

/// Makes the plan.
pub fn plan<F: ImageFile>(mut planner: Planner<'_, F>, flat: &Flat) -> Result<Plan, Refusal> {
    if !planner.order.modules.is_empty() {
        return Err(Refusal::ModulesNotTaken);
    }
    if !planner.order.command_line.is_empty() {
        return Err(Refusal::CommandLineNotTaken);
    }
    let bytes = planner.order.image.bytes();
    if bytes == 0 {
        return Err(Refusal::NothingToLoad);
    }
    let entry = flat.entry.0;
    let inside = entry
        .checked_sub(flat.load.0)
        .is_some_and(|offset| offset < bytes);
    if !inside || (flat.mode == Mode::Real && entry >= REAL_END) {
        return Err(Refusal::EntryMode(flat.entry));
    }
    let copy = Copy {
        file: FileIndex::Image,
        offset: 0,
        bytes,
        to: flat.load,
    };
    planner.load(copy, bytes, Piece::Kernel)?;
    let mut boot = match flat.mode {
        Mode::Real => entry_state::real(entry),
        Mode::Protected => entry_state::protected(&mut planner, entry)?,
        Mode::Long => entry_state::long(&mut planner, entry)?,
    };
    boot.registers[register::RSP] = stack(&mut planner, flat.mode)?;
    Ok(planner.finish(boot))
}

/// The first address behind a stack.
fn stack<F: ImageFile>(planner: &mut Planner<'_, F>, mode: Mode) -> Result<u64, Refusal> {
    let bottom = match mode {
        // The stack segment is the first 64 KiB; below 0x500 are the tables of a PC's firmware.
        Mode::Real => {
            planner
                .places
                .lowest(STACK_BYTES, STACK_BYTES, 0x1000..0x1_0000, Piece::Stack)?
        }
        Mode::Protected | Mode::Long => {
            u64::from(planner.room(STACK_BYTES, STACK_BYTES, Piece::Stack)?)
        }
    };
    planner.zero(bottom, STACK_BYTES);
    Ok(bottom.saturating_add(STACK_BYTES))
}
