//! The page tables that a partition starts with: guest-virtual is guest-physical, writable and executable.

use crate::addr::{Gpa, PAGE_SIZE};
use crate::paging::GigabytePages;

/// Entries of a table.
const ENTRIES: u64 = PAGE_SIZE / 8;
const GIGABYTE: u64 = 1 << 30;
/// Present, writable, accessed.
const TABLE: u64 = 0x23;
/// Present, writable, accessed, dirty, large.
const LARGE: u64 = 0xe3;
/// Tables of 2 MiB pages that there is room for.
const SPLIT: usize = 8;

/// Bytes that the tables take.
pub const BYTES: u64 = (2 + SPLIT as u64) * PAGE_SIZE;

/// Writes the tables to `area`, root first.
///
/// With pages of 1 GiB they map the first 512 GiB. Where the CPU has none there is room for some gigabytes only: the first four,
/// which hold the devices of a PC, those where the partition's RAM from `first` to `last` begins, and that where it ends.
///
/// # Errors
/// Those of `write`.
pub fn write<E>(
    area: Gpa,
    pages: GigabytePages,
    (first, last): (Gpa, Gpa),
    mut write: impl FnMut(Gpa, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let directory = area.wrapping_add(PAGE_SIZE);
    let mut put = |table: Gpa, index: u64, entry: u64| {
        write(table.wrapping_add(index * 8), &entry.to_le_bytes())
    };
    put(area, 0, directory.as_u64() | TABLE)?;
    if pages == GigabytePages::Supported {
        return (0..ENTRIES).try_for_each(|index| put(directory, index, index << 30 | LARGE));
    }
    let mut free = (0..SPLIT as u64).map(|number| {
        directory
            .wrapping_add(PAGE_SIZE)
            .wrapping_add(number * PAGE_SIZE)
    });
    for index in chosen(first, last) {
        let Some(table) = free.next() else {
            break;
        };
        put(directory, index, table.as_u64() | TABLE)?;
        for page in 0..ENTRIES {
            put(table, page, index << 30 | page << 21 | LARGE)?;
        }
    }
    Ok(())
}

/// The gigabytes to map where each takes a table, each once.
fn chosen(first: Gpa, last: Gpa) -> heapless::Vec<u64, SPLIT> {
    let (first, last) = (first.as_u64() / GIGABYTE, last.as_u64() / GIGABYTE);
    let wanted = (0..4).chain([last]).chain(first..=last);
    let mut list = heapless::Vec::new();
    for gigabyte in wanted.take(4 + 1 + SPLIT) {
        if gigabyte < ENTRIES && !list.contains(&gigabyte) && list.push(gigabyte).is_err() {
            break;
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const AREA: u64 = 0x10_0000;

    /// The entries written for RAM from `first` to `last`.
    fn tables(pages: GigabytePages, first: u64, last: u64) -> HashMap<u64, u64> {
        let mut memory = HashMap::new();
        let ram = (Gpa::new(first), Gpa::new(last));
        let written: Result<(), ()> = write(Gpa::new(AREA), pages, ram, |at, bytes| {
            memory.insert(at.as_u64(), u64::from_le_bytes(bytes.try_into().unwrap()));
            Ok(())
        });
        written.unwrap();
        memory
    }

    /// Where an address leads, if anywhere.
    fn walk(memory: &HashMap<u64, u64>, address: u64) -> Option<u64> {
        let entry =
            |table: u64, shift: u32| memory.get(&((table & !0xfff) + (address >> shift) % 512 * 8));
        assert_eq!(address >> 39, 0);
        let second = entry(*memory.get(&AREA)?, 30)?;
        if second & 0x80 != 0 {
            return Some((second & !0x3fff_ffff) + (address & 0x3fff_ffff));
        }
        let third = entry(*second, 21)?;
        assert_eq!(third & 0xff, LARGE);
        Some((third & !0x1f_ffff) + (address & 0x1f_ffff))
    }

    #[test]
    fn pages_of_a_gigabyte_reach_half_a_terabyte() {
        let memory = tables(GigabytePages::Supported, 0, 0xff_ffff);
        for address in [0, 0xfee0_0123, (512 << 30) - 1] {
            assert_eq!(walk(&memory, address), Some(address));
        }
        assert!(memory.keys().all(|at| *at < AREA + BYTES));
    }

    #[test]
    fn without_them_devices_and_ram_are_there() {
        let memory = tables(GigabytePages::Absent, 0, 0xff_ffff);
        for address in [0, 0x12_3456, 0xfee0_0123] {
            assert_eq!(walk(&memory, address), Some(address));
        }
        assert_eq!(walk(&memory, 4 << 30), None);
        let memory = tables(GigabytePages::Absent, 0x1_c000_0000, 0x9_0000_0fff);
        for address in [0xfee0_0000, 0x1_c000_0000, 0x2_0000_0000, 0x9_0000_0ff8] {
            assert_eq!(walk(&memory, address), Some(address), "{address:#x}");
        }
        assert!(memory.keys().all(|at| *at < AREA + BYTES));
    }
}
