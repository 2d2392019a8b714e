use bulkhead_core::id::{ApicId, Gsi};

use super::*;

const RSDP: u64 = 0xf_5000;
const XSDT: u64 = 0x7fe_0000;
const TABLES: u64 = 0x7fe_1000;
const STEP: u64 = 0x1000;
const DSDT: u64 = 0x7fe_8000;

/// Memory that exists only where it was put.
#[derive(Clone, Default)]
struct FakeMemory(Vec<(u64, std::vec::Vec<u8>)>);

type Vec<T> = std::vec::Vec<T>;

impl FakeMemory {
    fn put(&mut self, address: u64, bytes: Vec<u8>) {
        self.0.push((address, bytes));
    }
}

impl PhysicalBytes for FakeMemory {
    fn slice(&self, start: Hpa, bytes: usize) -> Option<&[u8]> {
        self.0.iter().find_map(|(base, part)| {
            let offset = usize::try_from(start.as_u64().checked_sub(*base)?).ok()?;
            part.get(offset..offset.checked_add(bytes)?)
        })
    }
}

fn fix_sum(bytes: &mut [u8], position: usize) {
    bytes[position] = 0;
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[position] = 0u8.wrapping_sub(sum);
}

fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = signature.to_vec();
    bytes.extend((36 + body.len() as u32).to_le_bytes());
    bytes.extend([1, 0]);
    bytes.extend(b"BULKHDTESTTBL ");
    bytes.resize(36, 0);
    bytes.extend(body);
    fix_sum(&mut bytes, 9);
    bytes
}

fn pointer(revision: u8) -> Vec<u8> {
    let mut bytes = b"RSD PTR \0BULKHD".to_vec();
    bytes.push(revision);
    bytes.extend((XSDT as u32 + 0x800).to_le_bytes());
    fix_sum(&mut bytes, 8);
    bytes.extend(36u32.to_le_bytes());
    bytes.extend(XSDT.to_le_bytes());
    bytes.extend([0; 4]);
    fix_sum(&mut bytes, 32);
    bytes
}

fn madt() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(0xfee0_0000u32.to_le_bytes());
    body.extend(1u32.to_le_bytes());
    // CPUs 0 and 1, a disabled one, CPU 1 again as x2APIC, CPU 300.
    body.extend([0, 8, 0, 0, 1, 0, 0, 0]);
    body.extend([0, 8, 1, 1, 1, 0, 0, 0]);
    body.extend([0, 8, 2, 2, 0, 0, 0, 0]);
    body.extend([9, 16, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    body.extend([9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0]);
    // I/O APIC 0, override of the timer, an unknown entry.
    body.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
    body.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    body.extend([0x7f, 4, 1, 2]);
    table(b"APIC", &body)
}

fn mcfg() -> Vec<u8> {
    let mut body = vec![0; 8];
    body.extend(0xb000_0000u64.to_le_bytes());
    body.extend([0, 0, 0, 0xff, 0, 0, 0, 0]);
    table(b"MCFG", &body)
}

fn hpet() -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend([0, 64, 0, 0]);
    body.extend(0xfed0_0000u64.to_le_bytes());
    body.extend([0; 4]);
    table(b"HPET", &body)
}

fn fadt() -> Vec<u8> {
    let mut bytes = vec![0u8; 244 - 36];
    let mut put = |offset: usize, value: &[u8]| {
        bytes[offset - 36..offset - 36 + value.len()].copy_from_slice(value);
    };
    put(40, &0x7fe_8000u32.to_le_bytes());
    put(46, &[9, 0]);
    put(48, &0xb2u32.to_le_bytes());
    put(52, &[2]);
    put(64, &0x604u32.to_le_bytes());
    put(76, &0x608u32.to_le_bytes());
    put(108, &[0x32]);
    put(112, &(1u32 << 10).to_le_bytes());
    put(116, &[1, 8, 0, 1, 0xf9, 0x0c]);
    put(128, &[0x0f]);
    put(208, &[1, 32, 0, 3, 0x08, 0x06]);
    table(b"FACP", &bytes)
}

fn srat() -> Vec<u8> {
    let mut body = vec![0; 12];
    body.extend([0, 16, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    body.extend([1, 40, 1, 0, 0, 0, 0, 0]);
    body.extend(0x4000_0000u64.to_le_bytes());
    body.extend(0x4000_0000u64.to_le_bytes());
    body.extend([0; 4]);
    body.extend([1, 0, 0, 0]);
    body.extend([0; 8]);
    table(b"SRAT", &body)
}

fn all_tables() -> Vec<Vec<u8>> {
    vec![
        fadt(),
        madt(),
        mcfg(),
        hpet(),
        srat(),
        table(b"IVRS", &[0; 12]),
        table(b"WAET", &[0; 4]),
    ]
}

fn machine_of(tables: &[Vec<u8>]) -> FakeMemory {
    let mut memory = FakeMemory::default();
    let addresses = |index: usize| TABLES + index as u64 * STEP;
    let long: Vec<u8> = (0..tables.len())
        .flat_map(|index| addresses(index).to_le_bytes())
        .collect();
    let short: Vec<u8> = (0..tables.len())
        .flat_map(|index| (addresses(index) as u32).to_le_bytes())
        .collect();
    memory.put(RSDP, pointer(2));
    memory.put(XSDT, table(b"XSDT", &long));
    memory.put(XSDT + 0x800, table(b"RSDT", &short));
    for (index, table) in tables.iter().enumerate() {
        memory.put(addresses(index), table.clone());
    }
    memory.put(DSDT, table(b"DSDT", b"\x08_S5_\x12\x06\x02\x01\x01"));
    memory
}

fn read(memory: &FakeMemory) -> Result<Acpi, AcpiError> {
    Acpi::read(Some(Hpa::new(RSDP)), memory)
}

#[test]
fn all_tables_are_read() {
    let acpi = read(&machine_of(&all_tables())).unwrap();
    let ids: Vec<u32> = acpi.madt.cpus.iter().map(|cpu| cpu.apic.0).collect();
    assert_eq!(ids, [0, 1, 300]);
    assert_eq!(acpi.madt.disabled_cpus, 1);
    assert!(acpi.madt.has_pics);
    assert_eq!(acpi.madt.io_apics[0].address, Hpa::new(0xfec0_0000));
    assert_eq!(acpi.madt.overrides[0].gsi, Gsi(2));
    let fadt = acpi.fadt.unwrap();
    assert_eq!(fadt.pm_timer, Some(0x608));
    assert_eq!(fadt.timer_width, TimerWidth::Bits24);
    assert_eq!(fadt.pm1_control, [Some(0x604), None]);
    let (register, value) = fadt.reset.unwrap();
    assert_eq!((register.port(), value), (Some(0xcf9), 0x0f));
    assert_eq!(fadt.enable, Some((0xb2, 2)));
    let century = Some(0x32);
    assert_eq!(fadt.clock, CmosClock::Present { century });
    assert_eq!(acpi.soft_off, Some(SoftOff { a: 1, b: 1 }));
    assert_eq!(acpi.hpet.unwrap().address, Hpa::new(0xfed0_0000));
    assert_eq!(acpi.config_spaces[0].base, Hpa::new(0xb000_0000));
    assert_eq!(acpi.srat.cpus[0].apic, ApicId(1));
    assert_eq!(acpi.srat.memory[0].range.end, Hpa::new(0x8000_0000));
    assert_eq!(acpi.ivrs.unwrap().bytes, 48);
    assert_eq!(
        acpi.notes.as_slice(),
        [AcpiNote::Unused(Signature(*b"WAET"))]
    );
}

#[test]
fn the_32_bit_root_table_serves_where_there_is_no_other() {
    let mut memory = machine_of(&all_tables());
    memory.0[0].1 = pointer(0);
    assert_eq!(read(&memory).unwrap().madt.cpus.len(), 3);
    // A damaged XSDT falls back too.
    let mut memory = machine_of(&all_tables());
    memory.0[1].1[40] ^= 1;
    assert_eq!(read(&memory).unwrap().madt.cpus.len(), 3);
}

#[test]
fn the_root_pointer_is_found_by_search() {
    let mut memory = machine_of(&all_tables());
    assert_eq!(Acpi::read(None, &memory).unwrap().madt.cpus.len(), 3);
    // In the extended BIOS data area as well.
    memory.0[0].0 = 0x9_fc10;
    memory.put(0x40e, vec![0xc0, 0x9f]);
    assert_eq!(Acpi::read(None, &memory).unwrap().madt.cpus.len(), 3);
    memory.0[0].1[0] = b'X';
    assert_eq!(
        Acpi::read(None, &memory).unwrap_err(),
        AcpiError::NoRootPointer
    );
}

#[test]
fn a_table_out_of_reach_is_skipped_with_a_note() {
    let mut memory = machine_of(&all_tables());
    memory.0.retain(|(address, _)| *address != TABLES + STEP);
    let acpi = read(&memory).unwrap();
    assert_eq!(acpi.madt.cpus.len(), 0);
    let note = AcpiNote::OutOfReach(Hpa::new(TABLES + STEP));
    assert!(acpi.notes.contains(&note));
    assert!(acpi.hpet.is_some());
}

#[test]
fn a_wrong_checksum_is_noticed() {
    let mut tables = all_tables();
    tables[1][50] ^= 0x10;
    let acpi = read(&machine_of(&tables)).unwrap();
    assert_eq!(acpi.madt.cpus.len(), 0);
    assert!(acpi.notes.contains(&AcpiNote::Damaged(Signature(*b"APIC"))));
}

#[test]
fn more_cpus_than_there_is_room_for_are_noted() {
    let mut body = vec![0; 8];
    for id in 0..=MAX_LISTED {
        body.extend([0, 8, id, id, 1, 0, 0, 0]);
    }
    let acpi = read(&machine_of(&[table(b"APIC", &body)])).unwrap();
    assert_eq!(acpi.madt.cpus.len(), usize::from(MAX_LISTED));
    assert!(acpi.notes.contains(&AcpiNote::TooMany("CPUs")));
}

const MAX_LISTED: u8 = crate::layout::MAX_CPUS as u8;

#[test]
fn entries_of_impossible_length_end_the_table() {
    for length in [0, 1, 200] {
        let mut body = vec![0; 8];
        body.extend([0, 8, 0, 0, 1, 0, 0, 0, 0, length]);
        let acpi = read(&machine_of(&[table(b"APIC", &body)])).unwrap();
        assert_eq!(acpi.madt.cpus.len(), 1, "length {length}");
        assert_eq!(acpi.notes[0], AcpiNote::Damaged(Signature(*b"APIC")));
    }
}

#[test]
fn any_damaged_byte_of_any_table_is_survived() {
    // The checksum is mended, so that the parsers behind it see the damage.
    let tables = all_tables();
    for index in 0..tables.len() {
        for position in 0..tables[index].len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut mutants = tables.clone();
                mutants[index][position] = value;
                if position != 9 {
                    fix_sum(&mut mutants[index], 9);
                }
                // Whatever it says, it must come back.
                let _acpi = read(&machine_of(&mutants));
            }
        }
    }
}

#[test]
fn a_root_table_that_lists_itself_does_no_harm() {
    let mut memory = machine_of(&[]);
    memory.0[1].1 = table(b"XSDT", &XSDT.to_le_bytes());
    let acpi = read(&memory).unwrap();
    assert_eq!(
        acpi.notes.as_slice(),
        [AcpiNote::Unused(Signature(*b"XSDT"))]
    );
}

#[test]
fn the_fadt_tells_of_the_real_time_clock() {
    let clock = |century: u8, boot: u16| {
        let mut table = fadt();
        table[108] = century;
        table[109..111].copy_from_slice(&boot.to_le_bytes());
        Fadt::read(&table).unwrap().clock
    };
    let present = |century| CmosClock::Present { century };
    assert_eq!(clock(0, 0), present(None));
    assert_eq!(clock(0x37, 3), present(Some(0x37)));
    // A register of the time itself, or none at all.
    assert_eq!(clock(9, 0), present(None));
    assert_eq!(clock(0x80, 0), present(None));
    assert_eq!(clock(0x32, 1 << 5), CmosClock::Absent);
}
