//! The root pointer and the root table (ACPI 6.5, 5.2.5 to 5.2.8).

use bulkhead_boot::PhysicalBytes;
use bulkhead_core::addr::Hpa;

use super::AcpiError;
use super::reader::{u8_at, u16_at, u32_at, u64_at};

/// Bytes of the header that all tables share.
pub(super) const HEADER_BYTES: usize = 36;

/// No table is larger; a larger length is damage.
const TABLE_LIMIT: u32 = 4 << 20;

const POINTER_SIGNATURE: &[u8] = b"RSD PTR ";
const POINTER_BYTES_OLD: usize = 20;
const POINTER_BYTES: usize = 36;

/// A valid root pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RootPointer {
    /// 32-bit pointers.
    rsdt: Hpa,
    /// 64-bit pointers, to be preferred.
    xsdt: Option<Hpa>,
}

/// The root pointer at `address`; `None` where there is none.
pub(super) fn pointer_at(memory: &impl PhysicalBytes, address: Hpa) -> Option<RootPointer> {
    let old = memory.slice(address, POINTER_BYTES_OLD)?;
    if !old.starts_with(POINTER_SIGNATURE) || sum(old) != 0 {
        return None;
    }
    let mut pointer = RootPointer {
        rsdt: Hpa::new(u64::from(u32_at(old, 16)?)),
        xsdt: None,
    };
    if u8_at(old, 15)? >= 2
        && let Some(new) = memory.slice(address, POINTER_BYTES)
        && sum(new) == 0
    {
        pointer.xsdt = u64_at(new, 24).filter(|xsdt| *xsdt != 0).map(Hpa::new);
    }
    Some(pointer)
}

/// Searches where BIOSes put it: the first KiB of the extended BIOS data area, and the BIOS area.
pub(super) fn search(memory: &impl PhysicalBytes) -> Option<RootPointer> {
    /// Where the BIOS data area holds the segment of the extended one.
    const SEGMENT: Hpa = Hpa::new(0x40e);
    const BIOS_START: u64 = 0xe_0000;
    const BIOS_END: u64 = 0x10_0000;
    let extended = memory
        .slice(SEGMENT, 2)
        .and_then(|bytes| u16_at(bytes, 0))
        .map_or(0, |segment| u64::from(segment) << 4);
    let places = (extended..extended + 1024).chain(BIOS_START..BIOS_END);
    places
        .step_by(16)
        .filter(|address| *address != 0)
        .find_map(|address| pointer_at(memory, Hpa::new(address)))
}

impl RootPointer {
    /// The addresses of the tables.
    ///
    /// # Errors
    /// [`AcpiError::BadRootTable`].
    pub(super) fn tables<M: PhysicalBytes>(
        self,
        memory: &M,
    ) -> Result<impl Iterator<Item = Hpa>, AcpiError> {
        let xsdt = self.xsdt.and_then(|at| root_table(memory, at, b"XSDT"));
        let (table, pointer_bytes) = match xsdt {
            Some(table) => (table, 8),
            None => {
                let table = root_table(memory, self.rsdt, b"RSDT");
                let at = self.xsdt.unwrap_or(self.rsdt);
                (table.ok_or(AcpiError::BadRootTable(at))?, 4)
            }
        };
        let pointers = table.get(HEADER_BYTES..).unwrap_or(&[]);
        Ok(pointers
            .chunks_exact(pointer_bytes)
            .filter_map(move |chunk| match pointer_bytes {
                8 => u64_at(chunk, 0),
                _ => u32_at(chunk, 0).map(u64::from),
            })
            .filter(|address| *address != 0)
            .map(Hpa::new))
    }
}

fn root_table<'a, M: PhysicalBytes>(
    memory: &'a M,
    address: Hpa,
    signature: &[u8],
) -> Option<&'a [u8]> {
    table_at(memory, address).filter(|table| table.starts_with(signature))
}

/// The whole table at `address`; `None` where its length or checksum is wrong.
pub(super) fn table_at<M: PhysicalBytes>(memory: &M, address: Hpa) -> Option<&[u8]> {
    let header = memory.slice(address, HEADER_BYTES)?;
    let bytes = u32_at(header, 4)?;
    if bytes > TABLE_LIMIT || (bytes as usize) < HEADER_BYTES {
        return None;
    }
    let table = memory.slice(address, bytes as usize)?;
    (sum(table) == 0).then_some(table)
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
