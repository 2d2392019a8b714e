//! Hand-made images, good and bad, and thousands of mutated ones.

use std::collections::BTreeMap;

use super::*;
use crate::paging::fakes::Random;

#[derive(Clone, Copy)]
struct Part {
    kind: u32,
    vaddr: u64,
    paddr: u64,
    contents: &'static [u8],
    memory: u64,
    align: u64,
}

const fn part(vaddr: u64, contents: &'static [u8], memory: u64) -> Part {
    Part {
        kind: PT_LOAD,
        vaddr,
        paddr: vaddr,
        contents,
        memory,
        align: 0x1000,
    }
}

const TEXT: Part = part(0x10_0000, b"\x90\x90\xf4", 3);
const DATA: Part = part(0x10_1000, b"data", 0x2000);

fn image(kind: u16, entry: u64, parts: &[Part]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(kind.to_le_bytes());
    file.extend(EM_X86_64.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for field in [entry, 64, 0] {
        file.extend(field.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for field in [64, 56, parts.len() as u16, 64, 0, 0] {
        file.extend(field.to_le_bytes());
    }
    let mut offset = 64 + 56 * parts.len() as u64;
    for part in parts {
        file.extend(part.kind.to_le_bytes());
        file.extend(7_u32.to_le_bytes());
        let size = part.contents.len() as u64;
        for field in [
            offset,
            part.vaddr,
            part.paddr,
            size,
            part.memory,
            part.align,
        ] {
            file.extend(field.to_le_bytes());
        }
        offset += size;
    }
    for part in parts {
        file.extend(part.contents);
    }
    file
}

fn static_image() -> Vec<u8> {
    image(ET_EXEC, 0x10_0001, &[TEXT, DATA])
}

const ROOM: Room = Room {
    start: Gpa::new(0x10_0000),
    end: Gpa::new(0x100_0000),
    base: Gpa::new(0x20_0000),
};

#[derive(Default)]
struct Ram {
    bytes: BTreeMap<u64, u8>,
    limit: Option<u64>,
}

impl GuestWriter for Ram {
    type Error = &'static str;

    fn write(&mut self, at: Gpa, bytes: &[u8]) -> Result<(), Self::Error> {
        for (index, byte) in bytes.iter().enumerate() {
            let at = at.as_u64() + index as u64;
            if self.limit.is_some_and(|limit| at >= limit) {
                return Err("no memory");
            }
            assert_eq!(self.bytes.insert(at, *byte), None, "{at:#x} written twice");
        }
        Ok(())
    }

    fn zero(&mut self, at: Gpa, len: u64) -> Result<(), Self::Error> {
        assert!(len <= 0x100_0000);
        self.write(at, &vec![0; len as usize])
    }
}

fn load(file: &[u8], room: Room) -> Result<(Placed, Ram), LoadError<&'static str>> {
    let mut ram = Ram::default();
    let image = ElfImage::parse(file).map_err(LoadError::Image)?;
    let placed = image.load(room, &mut ram)?;
    Ok((placed, ram))
}

fn refusal(file: &[u8]) -> ImageError {
    match load(file, ROOM) {
        Err(LoadError::Image(error)) => {
            assert!(error.to_string().contains("image"), "{error}");
            error
        }
        other => panic!("{:?}", other.map(|(placed, _)| placed)),
    }
}

#[test]
fn a_fixed_image_goes_to_its_addresses() {
    let (placed, ram) = load(&static_image(), ROOM).unwrap();
    let expected = Placed {
        entry: Gpa::new(0x10_0001),
        start: Gpa::new(0x10_0000),
        end: Gpa::new(0x10_3000),
    };
    assert_eq!(placed, expected);
    assert_eq!(ram.bytes.len(), 3 + 0x2000);
    assert_eq!(ram.bytes[&0x10_0002], 0xf4);
    assert_eq!(ram.bytes[&0x10_1003], b'a');
    assert_eq!(ram.bytes[&0x10_1004], 0);
    assert_eq!(ram.bytes[&0x10_2fff], 0);
}

#[test]
fn physical_addresses_place_a_fixed_image_and_its_entry() {
    let high = Part {
        vaddr: 0xffff_ffff_8010_0000,
        ..TEXT
    };
    let file = image(ET_EXEC, 0xffff_ffff_8010_0002, &[high]);
    let (placed, _) = load(&file, ROOM).unwrap();
    assert_eq!(placed.entry, Gpa::new(0x10_0002));
}

#[test]
fn a_position_independent_image_goes_to_the_base() {
    let parts = [part(0, b"code", 4), part(0x1000, b"", 0x100)];
    let file = image(ET_DYN, 2, &parts);
    assert!(ElfImage::parse(&file).unwrap().is_position_independent());
    let (placed, ram) = load(&file, ROOM).unwrap();
    assert_eq!(placed.entry, Gpa::new(0x20_0002));
    assert_eq!(placed.end, Gpa::new(0x20_1100));
    assert_eq!(ram.bytes[&0x20_0000], b'c');
    let crooked = Room {
        base: Gpa::new(0x20_0800),
        ..ROOM
    };
    let error = load(&file, crooked).map(|_| ()).unwrap_err();
    assert_eq!(error, LoadError::Image(ImageError::BaseUnaligned(0)));
    let overflowing = Room {
        base: Gpa::new(u64::MAX - 0xfff),
        ..ROOM
    };
    let error = ElfImage::parse(&file).unwrap().place(overflowing);
    assert_eq!(error, Err(ImageError::OutOfMemoryRange(0)));
}

#[test]
fn bad_images_are_told_apart() {
    assert_eq!(refusal(b""), ImageError::NotElf);
    assert_eq!(
        refusal(b"#!/bin/sh, and then some more text that is long enough for a header"),
        ImageError::NotElf
    );
    assert_eq!(refusal(b"\x7fELF\x02\x01\x01"), ImageError::Damaged);
    let mut file = static_image();
    file[4] = 1;
    assert_eq!(refusal(&file), ImageError::WrongMachine);
    let mut file = static_image();
    file[18] = 3;
    assert_eq!(refusal(&file), ImageError::WrongMachine);
    assert_eq!(refusal(&image(1, 0, &[TEXT])), ImageError::WrongType);
    assert_eq!(refusal(&image(ET_EXEC, 0, &[])), ImageError::NothingToLoad);
    let interpreter = Part {
        kind: PT_INTERP,
        ..DATA
    };
    assert_eq!(
        refusal(&image(ET_DYN, 0, &[interpreter, TEXT])),
        ImageError::NeedsInterpreter
    );
    let many: Vec<Part> = (0..33).map(|i| part(0x10_0000 + i, b"x", 1)).collect();
    assert_eq!(
        refusal(&image(ET_EXEC, 0x10_0000, &many)),
        ImageError::TooManySegments
    );
    assert_eq!(
        refusal(&image(ET_EXEC, 0x20_0000, &[TEXT])),
        ImageError::EntryOutside
    );
    // An entry in zero-filled memory cannot be code.
    assert_eq!(
        refusal(&image(ET_EXEC, 0x10_1004, &[TEXT, DATA])),
        ImageError::EntryOutside
    );
}

#[test]
fn bad_segments_are_named() {
    let full = static_image();
    assert_eq!(refusal(&full[..full.len() - 1]), ImageError::Truncated(1));
    let shrunk = Part { memory: 2, ..DATA };
    assert_eq!(
        refusal(&image(ET_EXEC, 0x10_0000, &[TEXT, shrunk])),
        ImageError::SizesContradict(1)
    );
    let over = part(0x10_0002, b"x", 1);
    assert_eq!(
        refusal(&image(ET_EXEC, 0x10_0000, &[TEXT, DATA, over])),
        ImageError::Overlap(0, 2)
    );
    let low = part(0xf_ffff, b"x", 1);
    assert_eq!(
        refusal(&image(ET_EXEC, 0x10_0000, &[TEXT, low])),
        ImageError::OutOfMemoryRange(1)
    );
    let high = part(0xff_ffff, b"x", 2);
    assert_eq!(
        refusal(&image(ET_EXEC, 0x10_0000, &[TEXT, high])),
        ImageError::OutOfMemoryRange(1)
    );
    let huge = part(0x20_0000, b"x", u64::MAX);
    assert_eq!(
        refusal(&image(ET_EXEC, 0x10_0000, &[TEXT, huge])),
        ImageError::AddressOverflow(1)
    );
}

#[test]
fn a_failing_write_is_passed_on() {
    let mut ram = Ram {
        limit: Some(0x10_1800),
        ..Ram::default()
    };
    let file = static_image();
    let error = ElfImage::parse(&file).unwrap().load(ROOM, &mut ram);
    assert_eq!(error, Err(LoadError::Write("no memory")));
}

/// Only how far the writes reach.
struct Extent {
    start: u64,
    end: u64,
}

impl Default for Extent {
    fn default() -> Self {
        Extent {
            start: u64::MAX,
            end: 0,
        }
    }
}

impl GuestWriter for Extent {
    type Error = ();

    fn write(&mut self, at: Gpa, bytes: &[u8]) -> Result<(), ()> {
        self.zero(at, bytes.len() as u64)
    }

    fn zero(&mut self, at: Gpa, len: u64) -> Result<(), ()> {
        self.start = self.start.min(at.as_u64());
        self.end = self.end.max(at.as_u64() + len);
        Ok(())
    }
}

#[test]
fn mutated_images_never_panic_nor_leave_their_room() {
    let mut loaded = 0;
    for seed in 0..30_000 {
        let mut random = Random(seed);
        let mut file = match seed % 2 {
            0 => static_image(),
            _ => image(ET_DYN, 2, &[part(0, b"code", 4), part(0x1000, b"", 0x100)]),
        };
        for _ in 0..=random.below(3) {
            let at = random.below(file.len() as u64) as usize;
            match random.below(4) {
                0 => file[at] = random.next() as u8,
                1 => file[at] ^= 1 << random.below(8),
                2 => file[at] = 0xff,
                _ => file.truncate(at.max(1)),
            }
        }
        let mut extent = Extent::default();
        let result = ElfImage::parse(&file).map(|image| image.load(ROOM, &mut extent));
        if let Ok(Ok(placed)) = result {
            loaded += 1;
            assert!(placed.start >= ROOM.start && placed.end <= ROOM.end);
            assert!(placed.start <= placed.entry && placed.entry < placed.end);
            assert_eq!(
                (extent.start, extent.end),
                (placed.start.as_u64(), placed.end.as_u64())
            );
        }
    }
    assert!(loaded > 1000, "only {loaded} mutated images were loaded");
}
