use super::*;
use crate::fakes::{Archive, FakeMemory, Record};

const INFO: u64 = 0x7000;

fn machine() -> FakeMemory {
    let archive = Archive::new()
        .file("mgmt", b"ELF")
        .file("mgmt.args", b"net=dhcp log\n")
        .file("guest", b"K")
        .finish();
    let mut memory = FakeMemory::default();
    let record = Record::default()
        .word(MAGIC)
        .word(1)
        .word(0)
        .word(1)
        .long(0x8000)
        .long(0x9000)
        .long(0xf_5a80)
        .long(0xa000)
        .word(2)
        .word(0);
    memory.put(INFO, &record.0);
    let modules = Record::default()
        .long(0x50_0000)
        .long(archive.len() as u64)
        .long(0)
        .long(0);
    memory.put(0x8000, &modules.0);
    memory.put(0x9000, b"console=serial xapic\0");
    let map = Record::default()
        .long(0)
        .long(0x9_fc00)
        .word(1)
        .word(0)
        .long(0x10_0000)
        .long(0x3ff0_0000)
        .word(1)
        .word(0);
    memory.put(0xa000, &map.0);
    memory.put(0x50_0000, &archive);
    memory
}

fn parse_machine(memory: &FakeMemory) -> Result<BootInfo, BootError> {
    BootInfo::parse(MAGIC, Hpa::new(INFO), memory)
}

#[test]
fn a_record_of_qemu_is_read() {
    let info = parse_machine(&machine()).unwrap();
    assert_eq!(info.protocol, Protocol::Pvh);
    assert_eq!(info.command_line, "console=serial xapic");
    assert_eq!(info.rsdp, Some(Hpa::new(0xf_5a80)));
    assert_eq!(info.memory.len(), 2);
    assert_eq!(info.memory[1].range.end, Hpa::new(0x4000_0000));
    assert_eq!(info.notes.len(), 0);
}

#[test]
fn the_initrd_is_expanded_and_stays_reserved() {
    let info = parse_machine(&machine()).unwrap();
    let names: Vec<_> = info.modules.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["mgmt", "guest"]);
    assert_eq!(info.modules[0].command_line, "net=dhcp log");
    assert_eq!(info.archive, info.reserved.first().copied());
    assert_eq!(info.modules[0].range.bytes(), 3);
    assert_eq!(info.modules[1].command_line, "");
    assert_eq!(info.reserved.len(), 1);
    assert_eq!(info.reserved[0].start, Hpa::new(0x50_0000));
}

#[test]
fn one_file_that_is_no_archive_is_one_module() {
    let mut memory = machine();
    memory.at(0x50_0000)[0] = b'x';
    let info = parse_machine(&memory).unwrap();
    assert_eq!(info.modules.len(), 1);
    assert_eq!(info.modules[0].name, "initrd");
}

#[test]
fn unusable_records_are_refused_with_the_reason() {
    let mut memory = machine();
    memory.at(INFO)[0] = 0;
    assert_eq!(
        parse_machine(&memory),
        Err(BootError::Malformed("start record"))
    );
    let mut memory = machine();
    memory.at(INFO)[4] = 0;
    assert_eq!(parse_machine(&memory), Err(BootError::NoMemoryMap));
    let mut memory = machine();
    memory.at(INFO)[50] = 1;
    assert_eq!(
        parse_machine(&memory),
        Err(BootError::Malformed("memory map"))
    );
    assert_eq!(
        BootInfo::parse(7, Hpa::new(INFO), &machine()),
        Err(BootError::UnknownProtocol(7))
    );
    assert!(matches!(
        BootInfo::parse(MAGIC, Hpa::new(0x10), &machine()),
        Err(BootError::OutOfReach { .. })
    ));
}

#[test]
fn a_memory_range_past_the_end_is_skipped_with_a_note() {
    let mut memory = machine();
    memory.at(0xa000)[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    memory.at(0xa000)[0] = 2;
    let info = parse_machine(&memory).unwrap();
    assert_eq!(info.memory.len(), 1);
    assert_eq!(info.notes[0], BootNote::Skipped("a memory range past 2^64"));
}

#[test]
fn any_single_damaged_byte_is_survived() {
    for part in [INFO, 0x8000, 0xa000, 0x50_0000] {
        let length = machine().at(part).len();
        for position in 0..length {
            for value in [0, 1, 0x7f, 0xff] {
                let mut memory = machine();
                memory.at(part)[position] = value;
                // Either outcome is right; a panic is not.
                let _parsed = parse_machine(&memory);
            }
        }
    }
}
