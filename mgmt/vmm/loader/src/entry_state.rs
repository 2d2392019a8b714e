//! What the first processor is entered with: registers, segments, first page tables.
//!
//! Real hardware needs the descriptor table only when a segment register is loaded again, which kernels do at different
//! times; so it always lies in memory.

use alloc::vec::Vec;

use bulkhead_abi::partition::{BootSegment, BootState};

use crate::planner::Planner;
use crate::{ImageFile, Piece, Refusal};

/// Index of a register in [`BootState::registers`].
pub mod register {
    /// RAX.
    pub const RAX: usize = 0;
    /// RBX.
    pub const RBX: usize = 3;
    /// RSP.
    pub const RSP: usize = 4;
    /// RSI.
    pub const RSI: usize = 6;
}

/// CR0.PE and ET, which is fixed to 1.
const CR0_PROTECTED: u64 = 0x11;
const CR0_PAGING: u64 = 1 << 31;
const CR0_REAL: u64 = 0x10;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
/// Selectors as Linux's boot protocol wants them: __BOOT_CS and __BOOT_DS.
const CODE: u16 = 0x10;
const DATA: u16 = 0x18;
/// Accessed segments of all memory, privilege level 0.
const CODE_32: u64 = 0x00cf_9b00_0000_ffff;
const CODE_64: u64 = 0x00af_9b00_0000_ffff;
const DATA_32: u64 = 0x00cf_9300_0000_ffff;
const PAGE: u64 = 4096;
/// Present and writable.
const TABLE: u64 = 3;
/// Present, writable, a page of 2 MiB.
const LARGE: u64 = 0x83;
const LARGE_BYTES: u64 = 2 << 20;
const GIBIBYTES: u64 = 4;
const ENTRIES: u64 = 512;

/// 32-bit, flat segments, no paging, interrupts off: PVH, both Multiboots, flat binaries.
///
/// # Errors
/// Where there is no room for the descriptor table.
pub fn protected<F: ImageFile>(
    planner: &mut Planner<'_, F>,
    entry: u64,
) -> Result<BootState, Refusal> {
    let mut state = flat(planner, CODE_32)?;
    state.rip = entry;
    state.cr0 = CR0_PROTECTED;
    Ok(state)
}

/// 64-bit, the first 4 GiB mapped to themselves: Linux, flat binaries.
///
/// # Errors
/// Where there is no room for descriptor table and page tables.
pub fn long<F: ImageFile>(planner: &mut Planner<'_, F>, entry: u64) -> Result<BootState, Refusal> {
    let mut state = flat(planner, CODE_64)?;
    state.rip = entry;
    state.cr0 = CR0_PROTECTED | CR0_PAGING;
    state.cr4 = CR4_PAE;
    state.efer = EFER_LME;
    state.cr3 = u64::from(planner.write_with(PAGE, Piece::PageTables, identity_map)?);
    Ok(state)
}

/// Real mode, CS from the entry point's bits 19:16.
pub fn real(entry: u64) -> BootState {
    let segment = |base: u64, attributes| BootSegment {
        base,
        limit: 0xffff,
        selector: (base >> 4) as u16,
        attributes,
    };
    BootState {
        rip: entry & 0xffff,
        cr0: CR0_REAL,
        cs: segment(entry & 0xf_0000, 0x9b),
        data: segment(0, 0x93),
        gdt_limit: 0xffff,
        ..BootState::default()
    }
}

fn flat<F: ImageFile>(planner: &mut Planner<'_, F>, code: u64) -> Result<BootState, Refusal> {
    let table: Vec<u8> = [0, 0, code, DATA_32]
        .iter()
        .flat_map(|entry| entry.to_le_bytes())
        .collect();
    let limit = (table.len() as u64).saturating_sub(1);
    let gdt = planner.write(table, 8, Piece::Descriptors)?;
    Ok(BootState {
        cs: segment(CODE, code),
        data: segment(DATA, DATA_32),
        gdt_base: u64::from(gdt),
        gdt_limit: limit,
        ..BootState::default()
    })
}

/// A segment of all memory as its descriptor has it (APM 2 4.7).
const fn segment(selector: u16, descriptor: u64) -> BootSegment {
    let low = (descriptor >> 40) & 0xff;
    let high = (descriptor >> 52) & 0xf;
    BootSegment {
        base: 0,
        limit: u32::MAX,
        selector,
        attributes: (low | (high << 8)) as u16,
    }
}

/// One table of each upper level, then one for each GiB with pages of 2 MiB, which every processor has.
fn identity_map(base: u32) -> Vec<u8> {
    let page = |number: u64| u64::from(base).wrapping_add(PAGE.wrapping_mul(number));
    let mut words: Vec<u64> = Vec::new();
    words.push(page(1) | TABLE);
    words.resize(ENTRIES as usize, 0);
    words.extend((0..GIBIBYTES).map(|gib| page(gib.wrapping_add(2)) | TABLE));
    words.resize(2 * ENTRIES as usize, 0);
    words.extend((0..GIBIBYTES * ENTRIES).map(|large| large.wrapping_mul(LARGE_BYTES) | LARGE));
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
