//! What the tests of all kinds share: a file in memory that counts what is read, memory maps, and reading back.

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use vmm_ram::fake::FakeRam;
use vmm_ram::{Gpa, GuestRam, MemoryKind, MemoryRange};

use crate::{ImageFile, Kind, LoadError, LoadOrder, Module, Plan, Refusal, Rsdp, plan};

pub const RSDP: Rsdp = Rsdp {
    at: Gpa(0xe_0000),
    bytes: *b"RSD PTR 0123456789abcdefghijklmnopqr",
};

/// A file of some bytes, and zeros behind them.
pub struct File {
    pub content: Vec<u8>,
    pub bytes: u64,
    pub bytes_read: Cell<u64>,
    pub broken: bool,
}

impl File {
    pub fn new(content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        Self {
            bytes: content.len() as u64,
            content,
            bytes_read: Cell::new(0),
            broken: false,
        }
    }
}

impl ImageFile for File {
    type Error = &'static str;

    fn bytes(&self) -> u64 {
        self.bytes
    }

    async fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        assert!(offset + into.len() as u64 <= self.bytes);
        self.bytes_read
            .set(self.bytes_read.get() + into.len() as u64);
        if self.broken {
            return Err("the disk is broken");
        }
        into.fill(0);
        for (target, source) in into
            .iter_mut()
            .zip(self.content.iter().skip(offset as usize))
        {
            *target = *source;
        }
        Ok(())
    }
}

pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing waits here"),
    }
}

/// What a guest of `mib` MiB is told.
pub fn map(mib: u64) -> Vec<MemoryRange> {
    let line = |start: u64, end: u64, kind| MemoryRange {
        start: Gpa(start),
        bytes: end - start,
        kind,
    };
    vec![
        line(0, 0x9_fc00, MemoryKind::Usable),
        line(0x9_fc00, 0xa_0000, MemoryKind::Reserved),
        line(0xe_0000, 0x10_0000, MemoryKind::Reserved),
        line(0x10_0000, mib << 20, MemoryKind::Usable),
    ]
}

/// An order, and memory to carry it out in.
pub struct Case {
    pub kind: Kind,
    pub modules: Vec<(File, &'static str)>,
    pub command_line: String,
    pub mib: u64,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            kind: Kind::Auto,
            modules: Vec::new(),
            command_line: String::new(),
            mib: 64,
        }
    }
}

/// A plan that was carried out.
pub struct Loaded {
    pub plan: Plan,
    pub ram: FakeRam,
}

impl Case {
    pub fn load(&self, image: &File) -> Loaded {
        self.try_load(image)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn refusal(&self, image: &File) -> Refusal {
        match self.try_load(image) {
            Err(LoadError::Refused(refusal)) => {
                // A sentence for people, whatever it is.
                assert!(refusal.to_string().len() > 20, "{refusal}");
                refusal
            }
            Err(LoadError::Read { error, .. }) => panic!("{error}"),
            Ok(_) => panic!("it was loaded"),
        }
    }

    pub fn try_load(&self, image: &File) -> Result<Loaded, LoadError<&'static str>> {
        let modules: Vec<_> = self
            .modules
            .iter()
            .map(|(file, text)| Module { file, text })
            .collect();
        let map = map(self.mib);
        let order = LoadOrder {
            image,
            kind: self.kind,
            modules: &modules,
            command_line: &self.command_line,
            memory_map: &map,
            rsdp: Some(RSDP),
        };
        let plan = ready(plan(&order))?;
        check(&plan, &map);
        let ram = FakeRam::new(self.mib << 20);
        // What a plan does not zero may be anything.
        ram.write(Gpa(0x10_0000), &vec![0xee; 16 << 20]).unwrap();
        let mut buffer = [0; 1000];
        ready(plan.apply(&order, &ram, &mut buffer)).unwrap();
        Ok(Loaded { plan, ram })
    }
}

fn check(plan: &Plan, map: &[MemoryRange]) {
    let mut ranges: Vec<_> = plan.ranges().collect();
    ranges.sort_unstable();
    let mut before = 0;
    for (start, bytes) in ranges {
        let end = start.0 + bytes;
        assert!(before <= start.0, "{start} is written twice");
        assert!(map.iter().any(|line| line.kind == MemoryKind::Usable
            && line.start <= start
            && end <= line.end().0));
        before = end;
    }
}

impl Loaded {
    pub fn bytes(&self, at: u64, bytes: usize) -> Vec<u8> {
        let mut into = vec![0; bytes];
        self.ram.read(Gpa(at), &mut into).unwrap();
        into
    }

    pub fn u32(&self, at: u64) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub fn u64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// A text up to its zero byte.
    pub fn text(&self, at: u64) -> String {
        let bytes = self.bytes(at, 200);
        let end = bytes.iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8(bytes[..end].to_vec()).unwrap()
    }
}

/// An ELF file under construction.
pub struct ElfBuilder {
    pub class64: bool,
    pub entry: u64,
    /// Type, physical address, contents, bytes in memory. Virtual addresses are 0xffff_0000_0000 higher in 64-bit files.
    pub segments: Vec<(u32, u64, Vec<u8>, u64)>,
    /// Type, address, contents.
    pub sections: Vec<(u32, u64, Vec<u8>)>,
}

pub const VIRTUAL: u64 = 0xffff_0000_0000;

impl ElfBuilder {
    pub fn build(&self) -> Vec<u8> {
        let (head, entry_size) = if self.class64 { (64, 56) } else { (52, 32) };
        let word = |value: u64| -> Vec<u8> {
            if self.class64 {
                value.to_le_bytes().to_vec()
            } else {
                (value as u32).to_le_bytes().to_vec()
            }
        };
        let mut file = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(self.class64), 1, 1];
        file.resize(16, 0);
        file.extend(2u16.to_le_bytes());
        file.extend(if self.class64 { 62u16 } else { 3 }.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        file.extend(word(self.entry));
        file.extend(word(head));
        file.extend(word(0));
        file.extend(0u32.to_le_bytes());
        for half in [
            head as u16,
            entry_size as u16,
            self.segments.len() as u16,
            0,
            0,
            0,
        ] {
            file.extend(half.to_le_bytes());
        }
        let mut offset = head + entry_size * self.segments.len() as u64;
        for (kind, at, contents, memory) in &self.segments {
            let size = contents.len() as u64;
            let up = if self.class64 { VIRTUAL } else { 0 };
            file.extend(kind.to_le_bytes());
            if self.class64 {
                file.extend(7u32.to_le_bytes());
            }
            for value in [offset, at.wrapping_add(up), *at, size, *memory] {
                file.extend(word(value));
            }
            if !self.class64 {
                file.extend(7u32.to_le_bytes());
            }
            file.extend(word(4));
            offset += size;
        }
        for (_, _, contents, _) in &self.segments {
            file.extend(contents);
        }
        if self.sections.is_empty() {
            return file;
        }
        let mut headers = Vec::new();
        for (kind, at, contents) in &self.sections {
            headers.extend(0u32.to_le_bytes());
            headers.extend(kind.to_le_bytes());
            for value in [0, *at, file.len() as u64, contents.len() as u64] {
                headers.extend(word(value));
            }
            headers.extend([0; 8]);
            headers.extend(word(0));
            headers.extend(word(0));
            file.extend(contents);
        }
        let at = word(file.len() as u64);
        let numbers = [
            (headers.len() / self.sections.len()) as u16,
            self.sections.len() as u16,
            1,
        ];
        let (table, counts) = if self.class64 { (40, 58) } else { (32, 46) };
        file[table..table + at.len()].copy_from_slice(&at);
        let numbers: Vec<u8> = numbers.iter().flat_map(|one| one.to_le_bytes()).collect();
        file[counts..counts + 6].copy_from_slice(&numbers);
        file.extend(headers);
        file
    }
}

/// A note.
pub fn note(owner: &[u8], number: u32, contents: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((owner.len() as u32 + 1).to_le_bytes());
    bytes.extend((contents.len() as u32).to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(owner);
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(contents);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
