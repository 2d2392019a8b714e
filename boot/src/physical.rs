//! Checked reading of memory that the firmware or the boot loader wrote.

use bulkhead_core::addr::Hpa;

/// Host-physical memory as the early identity map shows it.
///
/// Implemented over the identity map at boot and over byte vectors in tests. The ACPI parser reads
/// through it as well.
pub trait PhysicalBytes {
    /// The `bytes` bytes from `start`; `None` where any of them is out of reach.
    fn slice(&self, start: Hpa, bytes: usize) -> Option<&[u8]>;
}

/// The array of `N` bytes at `offset`; `None` past the end.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

/// The little-endian 16-bit number at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// The little-endian 32-bit number at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// The little-endian 64-bit number at `offset`.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// The bytes before the first NUL, or all of them.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or(bytes)
}

/// The NUL-terminated string at `start`, at most `limit` bytes, read in small steps because its
/// length is not known and the memory behind it may not be readable.
pub(crate) fn c_string<M: PhysicalBytes>(memory: &M, start: Hpa, limit: usize) -> Option<&[u8]> {
    let mut length = 0;
    while length < limit {
        let byte = memory.slice(start.checked_add(length as u64)?, 1)?;
        if byte.first() == Some(&0) {
            break;
        }
        length += 1;
    }
    memory.slice(start, length)
}
