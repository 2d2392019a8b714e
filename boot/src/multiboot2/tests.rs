use super::*;
use crate::fakes::{Archive, FakeMemory, Record};

const INFO: u64 = 0x1_0000;

fn tag_bytes(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut tag = Record::default()
        .word(kind)
        .word(body.len() as u32 + 8)
        .bytes(body)
        .0;
    tag.resize(tag.len().next_multiple_of(8), 0);
    tag
}

fn record(tags: &[Vec<u8>]) -> Vec<u8> {
    let body: Vec<u8> = tags.concat();
    let end = tag_bytes(0, b"");
    Record::default()
        .word((8 + body.len() + end.len()) as u32)
        .word(0)
        .bytes(&body)
        .bytes(&end)
        .0
}

fn module_body(start: u32, end: u32, text: &[u8]) -> Vec<u8> {
    Record::default().word(start).word(end).bytes(text).0
}

fn map_body() -> Vec<u8> {
    Record::default()
        .word(24)
        .word(0)
        .long(0x10_0000)
        .long(0x700_0000)
        .word(1)
        .word(0)
        .long(0xfd00_0000)
        .long(0x10_0000)
        .word(20)
        .word(0)
        .0
}

fn framebuffer_body() -> Vec<u8> {
    Record::default()
        .long(0xfd00_0000)
        .word(4096)
        .word(1024)
        .word(768)
        .bytes(&[32, 1, 0, 0, 16, 8, 8, 8, 0, 8])
        .0
}

fn grub() -> FakeMemory {
    let archive = Archive::new().file("guest", b"K").finish();
    let end = 0x30_0000 + archive.len() as u32;
    let mut memory = FakeMemory::default();
    memory.put(0x20_0000, b"\x7fELF");
    memory.put(0x30_0000, &archive);
    memory.put(
        INFO,
        &record(&[
            tag_bytes(1, b"console=both\0"),
            tag_bytes(2, b"GRUB 2.06\0"),
            tag_bytes(3, &module_body(0x20_0000, 0x20_0004, b"mgmt a b=1\0")),
            tag_bytes(3, &module_body(0x30_0000, end, b"more.cpio\0")),
            tag_bytes(6, &map_body()),
            tag_bytes(8, &framebuffer_body()),
            tag_bytes(15, b"RSD PTR "),
            tag_bytes(14, b"RSD PTR "),
            tag_bytes(99, b"whatever"),
        ]),
    );
    memory
}

fn parse_grub(memory: &FakeMemory) -> Result<BootInfo, BootError> {
    BootInfo::parse(MAGIC, Hpa::new(INFO), memory)
}

#[test]
fn a_record_of_grub_is_read() {
    let info = parse_grub(&grub()).unwrap();
    assert_eq!(info.protocol, Protocol::Multiboot2);
    assert_eq!(info.command_line, "console=both");
    assert_eq!(info.loader, "GRUB 2.06");
    assert_eq!(info.memory.len(), 2);
    assert_eq!(info.memory[1].kind, MemoryKind::Unknown(20));
    let buffer = info.framebuffer.unwrap();
    assert_eq!((buffer.width, buffer.height), (1024, 768));
    assert_eq!(buffer.shifts, [16, 8, 0]);
    assert_eq!(info.notes.len(), 0);
}

#[test]
fn modules_come_by_name_and_from_archives() {
    let info = parse_grub(&grub()).unwrap();
    let names: Vec<_> = info.modules.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["mgmt", "guest"]);
    assert_eq!(info.modules[0].command_line, "a b=1");
    assert_eq!(info.reserved.len(), 2);
}

#[test]
fn the_new_acpi_pointer_wins_over_the_old_one() {
    let memory = grub();
    let rsdp = parse_grub(&memory).unwrap().rsdp.unwrap();
    assert_eq!(memory.slice(rsdp, 8), Some(&b"RSD PTR "[..]));
    let tag = memory.slice(Hpa::new(rsdp.as_u64() - 8), 1).unwrap();
    assert_eq!(tag, [15]);
}

#[test]
fn a_framebuffer_that_cannot_be_drawn_to_is_left_out() {
    for (position, value, noted) in [(21, 2, 0), (20, 8, 0), (24, 40, 1), (9, 0, 1)] {
        let mut body = framebuffer_body();
        body[position] = value;
        let mut memory = FakeMemory::default();
        memory.put(
            INFO,
            &record(&[tag_bytes(6, &map_body()), tag_bytes(8, &body)]),
        );
        let info = parse_grub(&memory).unwrap();
        assert_eq!(info.framebuffer, None, "byte {position}");
        assert_eq!(info.notes.len(), noted, "byte {position}");
    }
}

#[test]
fn a_module_that_ends_before_it_starts_is_skipped() {
    let mut memory = FakeMemory::default();
    let module = module_body(0x20_0000, 0x1f_0000, b"x\0");
    memory.put(
        INFO,
        &record(&[tag_bytes(6, &map_body()), tag_bytes(3, &module)]),
    );
    let info = parse_grub(&memory).unwrap();
    assert_eq!(info.modules.len(), 0);
    assert_eq!(info.notes.len(), 1);
}

#[test]
fn a_record_without_an_end_or_with_a_cut_tag_is_refused() {
    let whole = record(&[tag_bytes(6, &map_body())]);
    for length in (8..whole.len() - 7).step_by(8) {
        let mut cut = whole[..length].to_vec();
        cut[0..4].copy_from_slice(&(length as u32).to_le_bytes());
        let mut memory = FakeMemory::default();
        memory.put(INFO, &cut);
        assert_eq!(
            parse_grub(&memory),
            Err(BootError::Malformed("information record")),
            "cut at {length}"
        );
    }
}

#[test]
fn any_single_damaged_byte_is_survived() {
    let length = grub().at(INFO).len();
    for position in 0..length {
        for value in [0, 1, 0x7f, 0xff] {
            let mut memory = grub();
            memory.at(INFO)[position] = value;
            let _parsed = parse_grub(&memory);
        }
    }
}
