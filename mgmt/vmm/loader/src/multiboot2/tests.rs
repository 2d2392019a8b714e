use crate::testing::{Case, ElfBuilder, File, Loaded, RSDP, VIRTUAL, map};
use crate::{Demand, Kind, Refusal};

/// A header tag.
fn tag(kind: u16, flags: u16, words: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes.extend((8 + 4 * words.len() as u32).to_le_bytes());
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// A header with those tags and the last one.
fn header(tags: &[Vec<u8>]) -> Vec<u8> {
    let mut content = tags.concat();
    content.extend(tag(0, 0, &[]));
    let length = 16 + content.len() as u32;
    let magic = 0xe852_50d6_u32;
    let sum = 0u32.wrapping_sub(magic).wrapping_sub(length);
    let mut bytes: Vec<u8> = [magic, 0, length, sum]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    bytes.extend(content);
    bytes
}

fn elf(tags: &[Vec<u8>]) -> File {
    File::new(builder(tags).build())
}

fn builder(tags: &[Vec<u8>]) -> ElfBuilder {
    ElfBuilder {
        class64: true,
        entry: 0x20_0100 + VIRTUAL,
        segments: vec![
            (1, 0x20_0000, header(tags), 0x8000),
            (1, 0x30_0000, b"more".to_vec(), 4),
        ],
        sections: vec![],
    }
}

fn case() -> Case {
    Case {
        command_line: "kernel option".into(),
        modules: vec![
            (File::new(vec![5; 4096]), "first"),
            (File::new(*b"two"), ""),
        ],
        ..Case::default()
    }
}

/// The information as a kernel reads it: kinds and contents of the tags.
fn tags(loaded: &Loaded) -> Vec<(u32, Vec<u8>)> {
    let info = loaded.plan.boot.registers[3];
    assert_eq!(info % 8, 0);
    let end = info + u64::from(loaded.u32(info));
    let mut at = info + 8;
    let mut tags = Vec::new();
    while at < end {
        let size = loaded.u32(at + 4);
        tags.push((loaded.u32(at), loaded.bytes(at + 8, size as usize - 8)));
        at += u64::from(size).next_multiple_of(8);
    }
    assert_eq!(at, end);
    assert_eq!(tags.pop(), Some((0, vec![])));
    tags
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

#[test]
fn the_information_says_what_there_is() {
    let loaded = case().load(&elf(&[tag(1, 0, &[1, 3, 4, 6, 8, 14]), tag(6, 0, &[])]));
    let boot = &loaded.plan.boot;
    assert_eq!((boot.rip, boot.registers[0]), (0x20_0100, 0x36d7_6289));
    assert_eq!((boot.cr0, boot.cs.attributes), (0x11, 0xc9b));

    let tags = tags(&loaded);
    let kinds: Vec<_> = tags.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [1, 2, 3, 3, 4, 6, 14, 15, 21]);
    assert_eq!(tags[0].1, b"kernel option\0");
    assert_eq!(tags[1].1, b"Bulkhead\0");
    let module = words(&tags[2].1[..8]);
    assert_eq!(module[1], module[0] + 4096);
    assert_eq!(loaded.bytes(module[0].into(), 4096), [5; 4096]);
    assert_eq!(&tags[2].1[8..], b"first\0");
    let module = words(&tags[3].1[..8]);
    assert_eq!(loaded.bytes(module[0].into(), 3), b"two");
    assert_eq!(words(&tags[4].1), [639, 63 << 10]);
    assert_eq!(words(&tags[5].1[..8]), [24, 0]);
    for (line, entry) in map(64).iter().zip(tags[5].1[8..].chunks_exact(24)) {
        assert_eq!(entry[..8], line.start.0.to_le_bytes());
        assert_eq!(entry[8..16], line.bytes.to_le_bytes());
        assert_eq!(entry[16..20], line.kind.number().to_le_bytes());
    }
    assert_eq!(tags[5].1.len(), 8 + 24 * map(64).len());
    assert_eq!(tags[6].1, RSDP.bytes[..20]);
    assert_eq!(tags[7].1, RSDP.bytes);
    assert_eq!(words(&tags[8].1), [0x20_0000]);
}

#[test]
fn the_entry_tag_goes_before_the_file() {
    let loaded = Case::default().load(&elf(&[tag(3, 0, &[0x20_0200])]));
    assert_eq!(loaded.plan.boot.rip, 0x20_0200);
    let refusal = Case::default().refusal(&elf(&[tag(3, 0, &[0x20_8000])]));
    assert_eq!(refusal, Refusal::EntryOutside(0x20_8000));
}

#[test]
fn address_tags_load_what_is_no_elf_file() {
    let address = |load| tag(2, 0, &[0x20_0040, load, 0, 0x20_4000]);
    let entry = tag(3, 0, &[0x20_0050]);
    let mut file = vec![0x90; 0x40];
    file.extend(header(&[address(0x20_0010), entry.clone()]));
    let loaded = Case::default().load(&File::new(file.clone()));
    assert_eq!(loaded.bytes(0x20_0010, file.len() - 0x10), file[0x10..]);
    assert_eq!(loaded.plan.boot.rip, 0x20_0050);
    // All ones: from the beginning of the file.
    let mut file = vec![0x90; 0x40];
    file.extend(header(&[address(u32::MAX), entry]));
    let loaded = Case::default().load(&File::new(file.clone()));
    assert_eq!(loaded.bytes(0x20_0000, file.len()), file);

    let refusal = Case::default().refusal(&File::new(header(&[address(0x20_0040)])));
    assert!(matches!(refusal, Refusal::Damaged(_)));
}

#[test]
fn demands_are_refused_unless_optional() {
    for (kind, words, demand) in [
        (5, vec![0, 0, 0], Demand::Display),
        (4, vec![1], Demand::Display),
        (77, vec![], Demand::HeaderTag(77)),
        (1, vec![22], Demand::Information(22)),
    ] {
        let refusal = Case::default().refusal(&elf(&[tag(kind, 0, &words)]));
        assert_eq!(refusal, Refusal::Demands(demand));
        Case::default().load(&elf(&[tag(kind, 1, &words)]));
    }
    // What only EFI has, and what the loader may do.
    Case::default().load(&elf(&[
        tag(4, 0, &[2]),
        tag(7, 0, &[]),
        tag(9, 0, &[0]),
        tag(10, 0, &[0, u32::MAX, 4096, 0]),
    ]));
}

#[test]
fn damaged_tags_are_refused() {
    for damage in [0u32, 7, 0x1000, u32::MAX] {
        let mut tag = tag(3, 0, &[0x20_0000]);
        tag[4..8].copy_from_slice(&damage.to_le_bytes());
        let refusal = Case::default().refusal(&elf(&[tag]));
        assert!(matches!(refusal, Refusal::Damaged(_)), "{refusal}");
    }
    let refusal = Case::default().refusal(&elf(&[tag(3, 0, &[])]));
    assert!(matches!(refusal, Refusal::Damaged(_)), "{refusal}");
}

#[test]
fn a_header_that_is_none_is_not_taken() {
    let case = Case {
        kind: Kind::Multiboot2,
        ..Case::default()
    };
    let mut mips = header(&[]);
    mips[4] = 4;
    mips[12] -= 4;
    let mut wrong_sum = header(&[]);
    wrong_sum[12] ^= 1;
    let mut late = vec![0; 32 << 10];
    late.extend(header(&[]));
    let mut odd = vec![0; 4];
    odd.extend(header(&[]));
    for file in [mips, wrong_sum, late, odd] {
        let refusal = case.refusal(&File::new(file));
        assert_eq!(refusal, Refusal::NotOfKind(Kind::Multiboot2));
    }
}

#[test]
fn symbol_tables_are_loaded_for_the_kernel() {
    let mut builder = builder(&[]);
    builder.sections = vec![(0, 0, vec![]), (3, 0, b"names".to_vec())];
    let loaded = Case::default().load(&File::new(builder.build()));
    let tags = tags(&loaded);
    let (_, sections) = tags.iter().find(|(kind, _)| *kind == 9).unwrap();
    assert_eq!(words(&sections[..12]), [2, 64, 1]);
    assert_eq!(sections.len(), 12 + 2 * 64);
    let address = u64::from_le_bytes(sections[12 + 64 + 16..][..8].try_into().unwrap());
    assert_eq!(loaded.bytes(address, 5), b"names");
}
