use crate::{BoardFacts, Firmware, firmware, layout};
use vmm_ram::RamLayout;

const FACTS: BoardFacts<'static> = BoardFacts {
    name: "web 1",
    uuid: *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
    vcpus: 6,
    present_vcpus: 6,
    threads_per_core: 2,
    cores_per_socket: 2,
    ram: RamLayout { bytes: 5 << 30 },
};

/// A structure as a kernel reads it.
struct Read {
    kind: u8,
    fields: Vec<u8>,
    texts: Vec<String>,
}

impl Read {
    fn number(&self, at: usize, size: usize) -> u64 {
        let mut word = [0; 8];
        word[..size].copy_from_slice(&self.fields[at..at + size]);
        u64::from_le_bytes(word)
    }

    fn text(&self, at: usize) -> &str {
        &self.texts[usize::from(self.fields[at]) - 1]
    }
}

fn at(firmware: &Firmware, at: u64) -> &[u8] {
    let found = firmware.writes.iter().find(|(start, _)| start.0 == at);
    &found.unwrap().1
}

fn structures(facts: &BoardFacts<'_>) -> Vec<Read> {
    let firmware = firmware(facts).unwrap();
    let entry = at(&firmware, layout::SMBIOS);
    assert_eq!((&entry[..5], entry.len()), (b"_SM3_".as_slice(), 24));
    assert_eq!(
        entry.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)),
        0
    );
    assert_eq!(entry[6..9], [24, 3, 0]);
    let start = u64::from_le_bytes(entry[16..].try_into().unwrap());
    let table = at(&firmware, start);
    let bytes = u32::from_le_bytes(entry[12..16].try_into().unwrap());
    assert_eq!(bytes as usize, table.len());

    let mut rest = table;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (fields, behind) = rest.split_at(rest[1].into());
        let end = behind.windows(2).position(|two| two == [0, 0]).unwrap();
        let texts = behind[..end].split(|byte| *byte == 0);
        all.push(Read {
            kind: fields[0],
            fields: fields.to_vec(),
            texts: texts
                .map(|text| String::from_utf8(text.to_vec()).unwrap())
                .collect(),
        });
        rest = &behind[end + 2..];
    }
    let mut handles: Vec<_> = all.iter().map(|one| one.number(2, 2)).collect();
    handles.sort_unstable();
    assert!(handles.windows(2).all(|pair| pair[0] < pair[1]));
    all
}

fn of(all: &[Read], kind: u8) -> Vec<&Read> {
    all.iter().filter(|one| one.kind == kind).collect()
}

#[test]
fn every_structure_has_the_length_of_version_3_0() {
    let all = structures(&FACTS);
    let lengths: Vec<_> = all.iter().map(|one| (one.kind, one.fields.len())).collect();
    let expected = [
        (0, 0x18),
        (1, 0x1b),
        (3, 0x16),
        (4, 0x30),
        (4, 0x30),
        (16, 0x17),
        (17, 0x28),
        (19, 0x1f),
        (19, 0x1f),
        (32, 0x0b),
        (127, 4),
    ];
    assert_eq!(lengths, expected);
}

#[test]
fn the_system_has_its_name_and_uuid() {
    let all = structures(&FACTS);
    let system = of(&all, 1)[0];
    assert_eq!(system.text(5), "Bulkhead virtual system");
    assert_eq!(system.text(7), "00112233-4455-6677-8899-aabbccddeeff");
    assert_eq!(
        system.fields[8..24],
        *b"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff"
    );
    assert_eq!(of(&all, 3)[0].text(8), "web 1");
    // Virtual.
    assert_eq!(of(&all, 0)[0].fields[0x13], 0x10);
}

#[test]
fn names_that_do_not_print_stay_texts() {
    let facts = BoardFacts {
        name: "a\0b\n\u{e4}",
        ..FACTS
    };
    assert_eq!(of(&structures(&facts), 3)[0].text(8), "a?b??");
    let long = "x".repeat(1000);
    let facts = BoardFacts {
        name: &long,
        ..FACTS
    };
    assert_eq!(of(&structures(&facts), 3)[0].text(8).len(), 64);
    let facts = BoardFacts { name: "", ..FACTS };
    assert_eq!(of(&structures(&facts), 3)[0].fields[8], 0);
}

#[test]
fn sockets_have_the_cores_that_were_asked_for() {
    let all = structures(&FACTS);
    let counts: Vec<_> = of(&all, 4)
        .iter()
        .map(|one| (one.fields[0x23], one.fields[0x25], one.number(0x2e, 2)))
        .collect();
    assert_eq!(counts, [(2, 4, 4), (1, 2, 2)]);
}

#[test]
fn memory_adds_up() {
    let all = structures(&FACTS);
    assert_eq!(of(&all, 16)[0].number(7, 4), 5 << 20);
    assert_eq!(of(&all, 17)[0].number(12, 2), 5 << 10);
    let mapped: Vec<_> = of(&all, 19)
        .iter()
        .map(|one| (one.number(4, 4), one.number(8, 4)))
        .collect();
    assert_eq!(mapped, [(0, (3 << 20) - 1), (4 << 20, (6 << 20) - 1)]);
}

#[test]
fn a_terabyte_and_more_has_its_size_in_the_long_fields() {
    let facts = BoardFacts {
        ram: RamLayout { bytes: 5 << 40 },
        ..FACTS
    };
    let all = structures(&facts);
    let array = of(&all, 16)[0];
    assert_eq!(
        (array.number(7, 4), array.number(15, 8)),
        (1 << 31, 5 << 40)
    );
    let devices = of(&all, 17);
    assert_eq!(devices.len(), 64);
    assert_eq!(devices[0].number(12, 2), 16 << 10);
    assert_eq!(devices[63].number(12, 2), 0x7fff);
    let last_mib = (5u64 << 20) - 63 * (16 << 10);
    assert_eq!(devices[63].number(0x1c, 4), last_mib);
    let high = of(&all, 19)[1];
    assert_eq!(high.number(4, 4), 0xffff_ffff);
    assert_eq!(high.number(15, 8), 4 << 30);
    assert_eq!(high.number(23, 8), (5 << 40) + (1 << 30) - 1);
}
