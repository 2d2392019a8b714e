use crate::{BoardFacts, Firmware, FirmwareError, firmware, layout};
use vmm_ram::{Gpa, RamLayout};

fn facts(vcpus: u32) -> BoardFacts<'static> {
    BoardFacts {
        name: "web",
        uuid: [7; 16],
        vcpus,
        present_vcpus: vcpus,
        threads_per_core: 1,
        cores_per_socket: 1,
        ram: RamLayout { bytes: 64 << 20 },
    }
}

fn at(firmware: &Firmware, at: u64) -> &[u8] {
    let found = firmware.writes.iter().find(|(start, _)| start.0 == at);
    &found.unwrap().1
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let mut word = [0; 8];
    word[..size].copy_from_slice(&bytes[at..at + size]);
    u64::from_le_bytes(word)
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// The table of that signature, found as a kernel finds it.
fn table<'a>(firmware: &'a Firmware, signature: &[u8]) -> &'a [u8] {
    let root = at(firmware, firmware.rsdp.0);
    assert_eq!(&root[..8], b"RSD PTR ");
    assert_eq!((root[15], root.len()), (2, 36));
    assert_eq!((sum(&root[..20]), sum(root)), (0, 0));
    assert_eq!(root, firmware.rsdp_bytes);
    let xsdt = at(firmware, number(root, 24, 8));
    let found = std::iter::once(xsdt)
        .chain(
            (36..xsdt.len())
                .step_by(8)
                .map(|entry| at(firmware, number(xsdt, entry, 8))),
        )
        .find(|table| &table[..4] == signature)
        .unwrap();
    assert_eq!(number(found, 4, 4) as usize, found.len());
    assert_eq!(sum(found), 0);
    assert_eq!(&found[10..16], b"BULKHD");
    found
}

#[test]
fn tables_lie_apart_in_the_reserved_range() {
    let firmware = firmware(&facts(64)).unwrap();
    let mut ranges: Vec<_> = firmware
        .writes
        .iter()
        .map(|(at, bytes)| (at.0, at.0 + bytes.len() as u64))
        .collect();
    ranges.sort_unstable();
    assert_eq!(ranges[0].0, 0xe_0000);
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    assert!(ranges.last().unwrap().1 <= 1 << 20);
    assert_eq!(firmware.rsdp, Gpa(0xe_0000));
    assert_eq!(&table(&firmware, b"XSDT")[..4], b"XSDT");
}

#[test]
fn the_fadt_names_the_power_management_registers() {
    let firmware = firmware(&facts(1)).unwrap();
    let fadt = table(&firmware, b"FACP");
    assert_eq!((fadt.len(), fadt[8]), (276, 6));
    assert_eq!(number(fadt, 46, 2), 9, "SCI");
    assert_eq!(number(fadt, 48, 4), 0, "no SMI");
    for (offset, port) in [(56, 0x600), (64, 0x604), (76, 0x608)] {
        assert_eq!(number(fadt, offset, 4), port);
    }
    assert_eq!(number(fadt, 80, 4), 0x60c);
    assert_eq!(fadt[88..93], [4, 2, 0, 4, 2]);
    assert_eq!(fadt[108], 0x32);
    let boot_architecture = number(fadt, 109, 2);
    assert_eq!(boot_architecture & 0b10, 0, "no keyboard to be probed");
    let flags = number(fadt, 112, 4);
    assert_eq!(flags & 1 << 4, 0, "a power button");
    assert_ne!(flags & 1 << 5, 0, "no sleep button");
    assert_ne!(flags & 1 << 8, 0, "a timer of 32 bits");
    assert_ne!(flags & 1 << 10, 0, "a reset register");
    assert_eq!(flags & 1 << 20, 0, "not without this hardware");
    // Generic addresses: space, bits, offset, access, address.
    let generic = |offset: usize| (fadt[offset], fadt[offset + 1], number(fadt, offset + 4, 8));
    assert_eq!(generic(116), (1, 8, 0xcf9));
    assert_eq!(fadt[128], 6);
    assert_eq!(generic(148), (1, 32, 0x600));
    assert_eq!(generic(172), (1, 16, 0x604));
    assert_eq!(generic(208), (1, 32, 0x608));
    assert_eq!(generic(220), (1, 16, 0x60c));

    let facs = at(&firmware, number(fadt, 36, 4));
    assert_eq!((&facs[..4], facs.len()), (b"FACS".as_slice(), 64));
    assert_eq!(number(fadt, 36, 4) % 64, 0);
    let dsdt = number(fadt, 140, 8);
    assert_eq!(number(fadt, 40, 4), dsdt);
    let dsdt = at(&firmware, dsdt);
    assert_eq!((&dsdt[..4], sum(dsdt)), (b"DSDT".as_slice(), 0));
}

/// The entries of the MADT: kinds and contents.
fn interrupt_entries(vcpus: u32) -> Vec<(u8, Vec<u8>)> {
    interrupt_entries_of(&facts(vcpus))
}

fn interrupt_entries_of(facts: &BoardFacts<'_>) -> Vec<(u8, Vec<u8>)> {
    let firmware = firmware(facts).unwrap();
    let madt = table(&firmware, b"APIC");
    assert_eq!(number(madt, 36, 4), 0xfee0_0000);
    assert_eq!(number(madt, 40, 4), 1);
    let mut rest = &madt[44..];
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (entry, behind) = rest.split_at(rest[1].into());
        entries.push((entry[0], entry[2..].to_vec()));
        rest = behind;
    }
    entries
}

#[test]
fn the_madt_names_processors_and_wiring() {
    let entries = interrupt_entries(2);
    assert_eq!(
        entries,
        [
            (0, vec![0, 0, 1, 0, 0, 0]),
            (0, vec![1, 1, 1, 0, 0, 0]),
            (1, vec![0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]),
            // The timer is at pin 2; power management is level-triggered, active high.
            (2, vec![0, 0, 2, 0, 0, 0, 0, 0]),
            (2, vec![0, 9, 9, 0, 0, 0, 0b1101, 0]),
            (4, vec![255, 0, 0, 1]),
        ]
    );
}

#[test]
fn processors_that_may_come_are_not_enabled_yet() {
    let facts = BoardFacts {
        present_vcpus: 2,
        ..facts(3)
    };
    let entries = interrupt_entries_of(&facts);
    let flags: Vec<u8> = entries[..3].iter().map(|(_, entry)| entry[2]).collect();
    assert_eq!(flags, [1, 1, 2]);
    let entries = interrupt_entries_of(&BoardFacts {
        present_vcpus: 1,
        ..self::facts(300)
    });
    let last = entries.iter().rfind(|entry| entry.0 == 9).unwrap();
    assert_eq!(last.1[6], 2);
}

#[test]
fn apic_ids_have_gaps_where_the_cores_of_a_socket_are_no_power_of_two() {
    let facts = BoardFacts {
        threads_per_core: 2,
        cores_per_socket: 3,
        ..facts(12)
    };
    let entries = interrupt_entries_of(&facts);
    let ids: Vec<u8> = entries[..12].iter().map(|(_, entry)| entry[1]).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]);
    assert_eq!(entries[11].1[0], 11, "the processor's number");
}

#[test]
fn apic_ids_above_254_are_x2apics() {
    let entries = interrupt_entries(300);
    let of = |kind| entries.iter().filter(move |entry| entry.0 == kind);
    assert_eq!(of(0).count(), 255);
    assert_eq!(of(9).count(), 45);
    // Reserved, id, flags, uid.
    let first = &of(9).next().unwrap().1;
    assert_eq!(*first, [0, 0, 255, 0, 0, 0, 1, 0, 0, 0, 255, 0, 0, 0]);
    assert_eq!(of(10).count(), 1);
}

#[test]
fn the_mcfg_names_bus_0() {
    let firmware = firmware(&facts(1)).unwrap();
    let mcfg = table(&firmware, b"MCFG");
    assert_eq!(mcfg.len(), 60);
    assert_eq!(number(mcfg, 44, 8), 0xe000_0000);
    assert_eq!(mcfg[52..56], [0, 0, 0, 0]);
}

fn dsdt(vcpus: u32) -> Vec<u8> {
    let firmware = firmware(&facts(vcpus)).unwrap();
    let found = firmware
        .writes
        .iter()
        .find(|(_, bytes)| bytes.starts_with(b"DSDT"));
    found.unwrap().1.clone()
}

fn has(bytes: &[u8], part: &[u8]) -> usize {
    bytes
        .windows(part.len())
        .filter(|window| *window == part)
        .count()
}

#[test]
fn the_dsdt_has_a_device_for_each_processor() {
    let dsdt = dsdt(3);
    assert_eq!(has(&dsdt, b"ACPI0007\0"), 3);
    assert_eq!(has(&dsdt, b"C002\x08_HID"), 1);
    assert_eq!(has(&dsdt, b"C003"), 0);
    // What it is in the MADT, once it is there.
    assert_eq!(
        has(
            &dsdt,
            b"\x08_MAT\x11\x0b\x0a\x08\x00\x08\x02\x02\x01\x00\x00\x00"
        ),
        1
    );
    // The first one stays.
    assert_eq!(has(&dsdt, b"_EJ0"), 2);
    assert_eq!(has(&dsdt, b"_STA"), 3);
    assert_eq!(has(&dsdt, b"_OST"), 3);
    // Notify(C001, Arg1)
    assert_eq!(has(&dsdt, b"\x86C001\x69"), 1);
    assert_eq!(has(&dsdt, b"_E01\x00\\._SB_PSCN"), 1);

    // Name, package of four: 5, 5, 0, 0.
    assert_eq!(
        has(&dsdt, b"\x08_S5_\x12\x08\x04\x0a\x05\x0a\x05\x00\x00"),
        1
    );
}

#[test]
fn the_dsdt_routes_pci_pins_as_the_board_wires_them() {
    let dsdt = dsdt(1);
    for slot in 0..32u8 {
        for pin in 0..4u8 {
            let gsi = layout::pci_gsi(slot, pin);
            assert_eq!(gsi, 16 + (u32::from(slot) + u32::from(pin)) % 4);
            let mut entry = match slot {
                0 => vec![0x0b, 0xff, 0xff],
                _ => vec![0x0c, 0xff, 0xff, slot, 0],
            };
            match pin {
                0 | 1 => entry.push(pin),
                _ => entry.extend([0x0a, pin]),
            }
            entry.extend([0, 0x0a, gsi as u8]);
            assert_eq!(has(&dsdt, &entry), 1, "slot {slot} pin {pin}");
        }
    }
}

#[test]
fn the_dsdt_gives_pci_its_window() {
    let dsdt = dsdt(1);
    // A memory window: granularity, first, last, translation, length.
    let words = [0u32, 0xd000_0000, 0xdfff_ffff, 0, 0x1000_0000];
    let window: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(has(&dsdt, &window), 1);
    // Bus 0 only, as the ECAM has it.
    assert_eq!(
        has(
            &dsdt,
            b"\x88\x0d\x00\x02\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00"
        ),
        1
    );
}

#[test]
fn impossible_boards_are_refused() {
    let error = |facts| firmware(&facts).unwrap_err();
    assert_eq!(error(facts(0)), FirmwareError::NoProcessors);
    for vcpus in [0x1000, 0x1001, u32::MAX] {
        let refused = error(facts(vcpus));
        assert_eq!(refused, FirmwareError::TooManyProcessors(vcpus));
    }
    let small = BoardFacts {
        ram: RamLayout { bytes: 0xf_ffff },
        ..facts(1)
    };
    assert_eq!(error(small), FirmwareError::TooLittleRam(0xf_ffff));
    assert!(error(small).to_string().contains("1 MiB"));
    let no_threads = BoardFacts {
        threads_per_core: 0,
        ..facts(1)
    };
    assert_eq!(error(no_threads), FirmwareError::NoProcessors);
}
