//! A recorded table, hand-made ones, and thousands of damaged ones.

use super::*;

/// QEMU 7.2, q35 with amd-iommu, intremap=on: one unit, eight functions, an I/O APIC.
const QEMU: &[u8] = b"IVRS\x7c\0\0\0\x01\xa5BOCHS BXPC    \x01\0\0\0BXPC\x01\0\0\0\
    \0\x28\0\0\0\0\0\0\0\0\0\0\
    \x10\xd1\x4c\0\x18\0\x40\0\0\0\xd8\xfe\0\0\0\0\0\0\0\0\x44\0\0\0\
    \x02\0\0\0\x02\x08\0\0\x02\x10\0\0\x02\x18\0\0\x02\x20\0\0\x02\x28\0\0\
    \x03\0\x01\0\x04\xff\x01\0\x02\xf8\0\0\x02\xfa\0\0\x02\xfb\0\0\
    \x48\0\0\0\0\xa0\0\x01";

fn bdf(bus: u8, device: u8, function: u8) -> Bdf {
    Bdf::new(bus, device, function).unwrap()
}

/// A table with these blocks.
fn table(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut table = b"IVRS".to_vec();
    table.resize(HEADER_BYTES, 0);
    for block in blocks {
        table.extend(block);
    }
    table
}

fn unit(kind: u8, flags: u8, id: u16, base: u64, segment: u16, entries: &[u8]) -> Vec<u8> {
    let header = if kind == UNIT_BASIC { 24 } else { 40 };
    let mut block = vec![kind, flags];
    block.extend(((header + entries.len()) as u16).to_le_bytes());
    block.extend(id.to_le_bytes());
    block.extend(0x40_u16.to_le_bytes());
    block.extend(base.to_le_bytes());
    block.extend(segment.to_le_bytes());
    block.resize(header, 0);
    block.extend(entries);
    block
}

#[test]
fn the_recorded_table_of_qemu() {
    assert_eq!(QEMU.len(), 124);
    assert_eq!(QEMU.iter().fold(0_u8, |sum, b| sum.wrapping_add(*b)), 0);
    let ivrs = Ivrs::parse(QEMU).unwrap();
    assert_eq!(ivrs.units.len(), 1);
    let unit = ivrs.units[0];
    assert_eq!(unit.bdf, bdf(0, 3, 0));
    assert_eq!(unit.registers, Hpa::new(0xfed8_0000));
    assert_eq!(unit.flags, 0xd1);
    let io_apic = Special {
        kind: SpecialKind::IoApic,
        handle: 0,
        requester: bdf(0, 0x14, 0),
    };
    assert_eq!(ivrs.specials, [io_apic]);
    assert!(ivrs.is_special(bdf(0, 0x14, 0)));
    assert!(ivrs.describes_interrupts());
    assert!(ivrs.aliases.is_empty() && ivrs.settings.is_empty() && ivrs.shared.is_empty());
    assert_eq!(ivrs.notes, []);
}

#[test]
fn the_most_detailed_block_of_a_unit_counts() {
    let blocks = [
        unit(0x40, 2, 2, 0xa000, 0, &[]),
        unit(0x10, 1, 2, 0xb000, 0, &[]),
        unit(0x10, 1, 0x4002, 0xc000, 0, &[]),
        unit(0x11, 3, 0x4002, 0xd000, 0, &[]),
        unit(0x11, 3, 2, 0xe000, 1, &[]),
    ];
    let ivrs = Ivrs::parse(&table(&blocks)).unwrap();
    let found: Vec<(u16, u64)> = ivrs
        .units
        .iter()
        .map(|u| (u.bdf.0, u.registers.as_u64()))
        .collect();
    assert_eq!(found, [(2, 0xa000), (0x4002, 0xd000)]);
    assert_eq!(ivrs.notes, [IvrsNote::OtherSegment(1)]);
}

#[test]
fn aliases_settings_and_named_devices() {
    let mut entries = vec![];
    // 02:00.0 to 02:1f.7 appear as 01:00.0.
    entries.extend([67, 0x00, 0x02, 0xc0, 0, 0x00, 0x01, 0]);
    entries.extend([4, 0xff, 0x02, 0]);
    // 03:00.0 appears as 01:01.0.
    entries.extend([66, 0x00, 0x03, 0, 0, 0x08, 0x01, 0]);
    // Everything may send NMIs, and 00:14.0 LINTs as well.
    entries.extend([1, 0, 0, 0x04]);
    entries.extend([70, 0xa0, 0, 0x40, 0, 0, 0, 0]);
    // HPET 1, a device that ACPI names with a unique id of 3 bytes, padding, and an unknown one.
    entries.extend([72, 0, 0, 0, 1, 0xa1, 0, 2]);
    let mut named = vec![240, 0x98, 0, 0x80];
    named.resize(21, b'A');
    named.extend([3, b'u', b'i', b'd']);
    entries.extend(named);
    entries.extend([0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0]);
    entries.extend([9, 0, 0, 0]);
    let ivrs = Ivrs::parse(&table(&[unit(0x40, 0, 2, 0, 0, &entries)])).unwrap();
    assert_eq!(ivrs.requester_of(bdf(2, 5, 1)), bdf(1, 0, 0));
    assert_eq!(ivrs.requester_of(bdf(3, 0, 0)), bdf(1, 1, 0));
    assert_eq!(ivrs.requester_of(bdf(4, 0, 0)), bdf(4, 0, 0));
    assert_eq!(ivrs.setting_of(bdf(2, 0, 0)), 0xc4);
    assert_eq!(ivrs.setting_of(bdf(1, 0, 0)), 0xc4);
    assert_eq!(ivrs.setting_of(bdf(0, 0x14, 0)), 0x44);
    assert_eq!(ivrs.setting_of(bdf(0, 0x13, 0)), 0x84);
    assert_eq!(ivrs.setting_of(bdf(7, 0, 0)), 0x04);
    assert_eq!(ivrs.specials[0].kind, SpecialKind::Hpet);
    assert!(!ivrs.describes_interrupts());
    assert_eq!(ivrs.notes, [IvrsNote::UnknownEntry(9)]);
}

#[test]
fn memory_blocks() {
    let block = |kind: u8, flags: u8, first: u16, last: u16, start: u64, bytes: u64| {
        let mut block = vec![kind, flags, 32, 0];
        block.extend(first.to_le_bytes());
        block.extend(last.to_le_bytes());
        block.extend([0; 8]);
        block.extend(start.to_le_bytes());
        block.extend(bytes.to_le_bytes());
        block
    };
    let blocks = [
        block(0x20, 0b111, 5, 0, 0xa000_0000, 0x1000),
        block(0x21, 0b011, 0xa0, 0, 0xb000_0000, 0x1000),
        block(0x22, 0b101, 0x100, 0x1ff, 0xc000_0000, 0x1000),
        block(0x22, 0b101, 0x200, 0x1ff, 0, 0x1000),
        block(0x21, 0, 0, 0, u64::MAX, 2),
        block(0x50, 0, 0, 0, 0, 0),
    ];
    let ivrs = Ivrs::parse(&table(&blocks)).unwrap();
    assert_eq!(ivrs.shared.len(), 3);
    assert_eq!(ivrs.shared[0].devices, Requesters::ALL);
    assert!(ivrs.shared[0].is_readable() && ivrs.shared[0].is_writable());
    assert!(ivrs.shared[1].devices.contains(Bdf(0xa0)));
    assert!(ivrs.shared[1].is_readable() && !ivrs.shared[1].is_writable());
    assert!(!ivrs.shared[2].is_readable() && ivrs.shared[2].is_writable());
    assert!(!ivrs.shared[2].devices.contains(Bdf(0xff)));
    assert_eq!(
        ivrs.notes,
        [
            IvrsNote::BadRange(Bdf(0x1ff)),
            IvrsNote::BadBlock(0x21),
            IvrsNote::UnknownBlock(0x50)
        ]
    );
}

#[test]
fn wrong_lengths_end_the_reading() {
    assert_eq!(Ivrs::parse(&QEMU[..40]), None);
    let mut long = QEMU.to_vec();
    long[50] = 0x4d;
    let ivrs = Ivrs::parse(&long).unwrap();
    assert!(ivrs.units.is_empty());
    assert_eq!(ivrs.notes, [IvrsNote::BadBlock(0x10)]);
    let mut zero = QEMU.to_vec();
    zero[50] = 0;
    assert_eq!(
        Ivrs::parse(&zero).unwrap().notes,
        [IvrsNote::BadBlock(0x10)]
    );
    let cut = unit(0x10, 0, 2, 0, 0, &[2, 0, 0]);
    let ivrs = Ivrs::parse(&table(&[cut])).unwrap();
    assert_eq!(ivrs.notes, [IvrsNote::BadEntry(2)]);
}

#[test]
fn damaged_tables_never_panic() {
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % bound
    };
    for _ in 0..50_000 {
        let mut table = QEMU.to_vec();
        for _ in 0..=next(4) {
            let at = next(table.len());
            table[at] = next(256) as u8;
        }
        table.truncate(table.len() - next(20));
        let ivrs = Ivrs::parse(&table).unwrap();
        for note in &ivrs.notes {
            assert!(note.to_string().starts_with("IVRS: "));
        }
    }
}
