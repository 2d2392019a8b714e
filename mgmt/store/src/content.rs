//! The content of a slot: entries in the order of their names.
//!
//! Each entry: length of the name (2 bytes), length of the value (4 bytes), name, value.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Entries by name.
pub type Entries = BTreeMap<String, Vec<u8>>;

/// Bytes that an entry takes; `None` where its name or value is too long for its length field.
pub fn entry_bytes(name: &str, value: &[u8]) -> Option<usize> {
    u16::try_from(name.len()).ok()?;
    u32::try_from(value.len()).ok()?;
    Some(6 + name.len() + value.len())
}

/// Writes all entries.
pub fn encode(entries: &Entries) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in entries {
        bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

/// Reads all entries; `None` where the bytes are no content.
pub fn decode(mut bytes: &[u8]) -> Option<Entries> {
    let mut entries = Entries::new();
    while !bytes.is_empty() {
        let (name_length, rest) = bytes.split_first_chunk::<2>()?;
        let (value_length, rest) = rest.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*name_length).into())?;
        let value_length = usize::try_from(u32::from_le_bytes(*value_length)).ok()?;
        let (value, rest) = rest.split_at_checked(value_length)?;
        entries.insert(core::str::from_utf8(name).ok()?.into(), value.to_vec());
        bytes = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back_and_no_prefix_is_content() {
        let entries: Entries = [("a", vec![1, 2]), ("", vec![]), ("ö/x", vec![0; 300])]
            .map(|(name, value)| (name.into(), value))
            .into();
        let bytes = encode(&entries);
        let length: usize = entries
            .iter()
            .map(|(n, v)| entry_bytes(n, v).unwrap())
            .sum();
        assert_eq!(bytes.len(), length);
        assert_eq!(decode(&bytes), Some(entries.clone()));
        for cut in 1..bytes.len() {
            assert_ne!(decode(&bytes[..cut]), Some(entries.clone()));
        }
        assert_eq!(decode(&[1, 0, 0, 0, 0, 0, 0xff]), None);
        assert_eq!(entry_bytes(&"x".repeat(70_000), &[]), None);
    }
}
