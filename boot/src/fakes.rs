//! Fakes for the tests: sparse physical memory, and archives.

use bulkhead_core::addr::Hpa;

use crate::physical::PhysicalBytes;

/// Memory that exists only where it was put.
#[derive(Clone, Default)]
pub struct FakeMemory {
    parts: Vec<(u64, Vec<u8>)>,
}

impl FakeMemory {
    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        self.parts.push((address, bytes.to_vec()));
    }

    /// The bytes put at `address`, to be damaged.
    pub fn at(&mut self, address: u64) -> &mut Vec<u8> {
        &mut self
            .parts
            .iter_mut()
            .find(|(start, _)| *start == address)
            .unwrap()
            .1
    }
}

impl PhysicalBytes for FakeMemory {
    fn slice(&self, start: Hpa, bytes: usize) -> Option<&[u8]> {
        self.parts.iter().find_map(|(base, part)| {
            let offset = usize::try_from(start.as_u64().checked_sub(*base)?).ok()?;
            part.get(offset..offset.checked_add(bytes)?)
        })
    }
}

/// Little-endian record builder.
#[derive(Default)]
pub struct Record(pub Vec<u8>);

impl Record {
    pub fn word(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn long(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// A cpio archive in the making.
#[derive(Default)]
pub struct Archive(Vec<u8>);

impl Archive {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(name, 0o100_644, data)
    }

    pub fn directory(self, name: &str) -> Self {
        self.entry(name, 0o040_755, b"")
    }

    pub fn finish(self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, b"").0
    }

    fn entry(mut self, name: &str, mode: u32, data: &[u8]) -> Self {
        let fields = [
            1,
            mode,
            0,
            0,
            1,
            0,
            data.len() as u32,
            0,
            0,
            0,
            0,
            name.len() as u32 + 1,
            0,
        ];
        self.0.extend(b"070701");
        for field in fields {
            self.0.extend(format!("{field:08x}").bytes());
        }
        self.0.extend(name.bytes());
        self.0.push(0);
        self.pad();
        self.0.extend(data);
        self.pad();
        self
    }

    fn pad(&mut self) {
        while !self.0.len().is_multiple_of(4) {
            self.0.push(0);
        }
    }
}
