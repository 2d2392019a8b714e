//! Little-endian numbers in tables.

/// The array of `N` bytes at `offset`; `None` past the end.
pub(super) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

/// The byte at `offset`.
pub(super) fn u8_at(bytes: &[u8], offset: usize) -> Option<u8> {
    bytes.get(offset).copied()
}

/// The 16-bit number at `offset`.
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// The 32-bit number at `offset`.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// The 64-bit number at `offset`.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// The entries of a table from `offset` on, as MADT and SRAT have them: a type byte, a length byte
/// that counts both, then the body. `None` once for an entry of impossible length, then the end.
pub(super) fn entries(table: &[u8], offset: usize) -> impl Iterator<Item = Option<(u8, &[u8])>> {
    let mut rest = table.get(offset..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = rest
            .get(1)
            .map(|length| usize::from(*length))
            .filter(|length| *length >= 2)
            .and_then(|length| rest.split_at_checked(length));
        match entry {
            Some((entry, after)) => {
                rest = after;
                Some(entry.first().map(|kind| (*kind, entry)))
            }
            None => {
                rest = &[];
                Some(None)
            }
        }
    })
}
