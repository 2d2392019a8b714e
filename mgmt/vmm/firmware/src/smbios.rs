//! SMBIOS 3.0 (DSP0134 3.0): what the system is called, and what it is made of.

mod structures;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes};

use crate::BoardFacts;
use crate::room::Room;

const ALIGN: u64 = 16;

/// The 64-bit entry point (DSP0134 5.2.2).
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct EntryPoint {
    anchor: [u8; 5],
    checksum: u8,
    length: u8,
    major: u8,
    minor: u8,
    document: u8,
    revision: u8,
    reserved: u8,
    table_bytes: U32,
    table_at: U64,
}

/// Places entry point and structures; `None` where there is no room.
pub fn tables(room: &mut Room, facts: &BoardFacts<'_>) -> Option<()> {
    let entry_at = room.reserve(size_of::<EntryPoint>(), ALIGN)?;
    let table = structures::all(facts);
    let table_bytes = u32::try_from(table.len()).ok()?;
    let table_at = room.put(table, ALIGN)?;
    let mut entry = EntryPoint {
        anchor: *b"_SM3_",
        checksum: 0,
        length: size_of::<EntryPoint>() as u8,
        major: 3,
        minor: 0,
        document: 0,
        revision: 1,
        reserved: 0,
        table_bytes: table_bytes.into(),
        table_at: table_at.0.into(),
    };
    let sum = entry
        .as_bytes()
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    entry.checksum = sum.wrapping_neg();
    room.fill(entry_at, Vec::from(entry.as_bytes()));
    Some(())
}
