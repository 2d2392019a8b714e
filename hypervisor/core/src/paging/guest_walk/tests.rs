//! The walker against hand-made tables of each mode, and against tables of the engine.

use std::collections::BTreeMap;

use super::*;
use crate::addr::{Hpa, PageSize};
use crate::paging::fakes::{Frames, Memory, Random};
use crate::paging::{
    Attributes, LongMode, MemoryType, PageTable, Permissions, TableMemory, UserBit,
};

/// Guest memory; absent words are where the guest has no memory.
#[derive(Default)]
struct Ram {
    words: BTreeMap<u64, u64>,
    loads: u32,
}

#[derive(Debug, PartialEq)]
struct Nothing(Gpa);

impl GuestMemory for Ram {
    type Error = Nothing;

    fn read_u64(&mut self, at: Gpa) -> Result<u64, Nothing> {
        self.loads += 1;
        self.words.get(&at.as_u64()).copied().ok_or(Nothing(at))
    }

    fn read_u32(&mut self, at: Gpa) -> Result<u32, Nothing> {
        self.loads += 1;
        let word = self.words.get(&at.as_u64()).copied();
        word.map(|word| word as u32).ok_or(Nothing(at))
    }
}

fn ram(words: &[(u64, u64)]) -> Ram {
    Ram {
        words: words.iter().copied().collect(),
        loads: 0,
    }
}

const fn access(kind: AccessKind, privilege: Privilege) -> Access {
    Access { kind, privilege }
}

const READ: Access = access(AccessKind::Read, Privilege::Supervisor);
const WRITE: Access = access(AccessKind::Write, Privilege::Supervisor);
const FETCH: Access = access(AccessKind::Fetch, Privilege::Supervisor);
const AC_READ: Access = access(AccessKind::Read, Privilege::SupervisorWithAc);
const USER_READ: Access = access(AccessKind::Read, Privilege::User);
const USER_WRITE: Access = access(AccessKind::Write, Privilege::User);
const USER_FETCH: Access = access(AccessKind::Fetch, Privilege::User);

const LONG: ControlRegisters = ControlRegisters {
    cr0: CR0_PG | CR0_WP | 1,
    cr3: 0x1000,
    cr4: CR4_PAE,
    efer: EFER_LMA | EFER_NXE,
};

fn paging(registers: ControlRegisters) -> GuestPaging {
    GuestPaging::new(registers, 40, GigabytePages::Supported)
}

fn fault<T>(code: u32) -> Result<T, WalkError<Nothing>> {
    Err(WalkError::PageFault { code })
}

/// Tables for linear address 0x8040_2xxx (indices 0, 2, 2, 2) with all rights but the leaf's.
fn long_tables(leaf: u64) -> Ram {
    ram(&[
        (0x1000, 0x2007),
        (0x2010, 0x3007),
        (0x3010, 0x4007),
        (0x4010, leaf),
    ])
}

#[test]
fn four_levels_take_four_loads() {
    let mut memory = long_tables(0x1234_5007);
    let found = paging(LONG).translate(&mut memory, Gva::new(0x8040_2abc), READ);
    let expected = GuestPage {
        gpa: Gpa::new(0x1234_5abc),
        remaining: 0x544,
    };
    assert_eq!(found, Ok(expected));
    assert_eq!(memory.loads, 4);
}

#[test]
fn rights_and_error_codes_follow_the_manual() {
    let at = Gva::new(0x8040_2000);
    let smep = ControlRegisters {
        cr4: CR4_PAE | CR4_SMEP,
        ..LONG
    };
    let smap = ControlRegisters {
        cr4: CR4_PAE | CR4_SMAP,
        ..LONG
    };
    let no_wp = ControlRegisters {
        cr0: CR0_PG,
        ..LONG
    };
    let no_nx = ControlRegisters {
        efer: EFER_LMA,
        ..LONG
    };
    let no_nx_smep = ControlRegisters {
        cr4: smep.cr4,
        ..no_nx
    };
    let (user, kernel, read_only, data) = (0x7007, 0x7003, 0x7005, 0x7007 | NO_EXECUTE);
    let cases = [
        // Not present: only the access is described.
        (LONG, 0, READ, Some(0)),
        (LONG, 0, WRITE, Some(2)),
        (LONG, 0, USER_WRITE, Some(6)),
        (LONG, 0, USER_FETCH, Some(0x14)),
        (no_nx, 0, FETCH, Some(0)),
        (no_nx_smep, 0, FETCH, Some(0x10)),
        // User pages.
        (LONG, user, USER_WRITE, None),
        (LONG, user, FETCH, None),
        (smep, user, FETCH, Some(0x11)),
        (smep, user, USER_FETCH, None),
        (smep, kernel, FETCH, None),
        (smap, user, READ, Some(1)),
        (smap, user, WRITE, Some(3)),
        (smap, user, AC_READ, None),
        (smap, user, FETCH, None),
        (smap, kernel, WRITE, None),
        // Supervisor pages.
        (LONG, kernel, READ, None),
        (LONG, kernel, USER_READ, Some(5)),
        (LONG, kernel, USER_WRITE, Some(7)),
        (LONG, kernel, USER_FETCH, Some(0x15)),
        // Read-only pages.
        (LONG, read_only, WRITE, Some(3)),
        (LONG, read_only, USER_WRITE, Some(7)),
        (no_wp, read_only, WRITE, None),
        (no_wp, read_only, USER_WRITE, Some(7)),
        // No-execute pages, and the same bit where it is reserved.
        (LONG, data, READ, None),
        (LONG, data, FETCH, Some(0x11)),
        (no_nx, data, READ, Some(9)),
        // Beyond 40 physical bits.
        (LONG, 0x7007 | 1 << 40, READ, Some(9)),
        (LONG, 0x7007 | 1 << 51, USER_WRITE, Some(0xf)),
        // Software's bits.
        (LONG, 0x7007 | 0x7ff << 52 | 7 << 9, READ, None),
    ];
    for (registers, leaf, access, code) in cases {
        let found = paging(registers).translate(&mut long_tables(leaf), at, access);
        match code {
            None => assert!(
                found.is_ok(),
                "{registers:x?} {leaf:#x} {access:?}: {found:?}"
            ),
            Some(code) => assert_eq!(found, fault(code), "{registers:x?} {leaf:#x} {access:?}"),
        }
    }
}

#[test]
fn every_level_takes_rights_away() {
    for (slot, bit, access, code) in [
        (0x1000, WRITABLE, WRITE, 3),
        (0x2010, USER, USER_READ, 5),
        (0x3010, WRITABLE, USER_WRITE, 7),
    ] {
        let mut memory = long_tables(0x7007);
        *memory.words.get_mut(&slot).unwrap() &= !bit;
        let found = paging(LONG).translate(&mut memory, Gva::new(0x8040_2000), access);
        assert_eq!(found, fault(code), "{slot:#x}");
    }
    let mut memory = long_tables(0x7007);
    *memory.words.get_mut(&0x1000).unwrap() |= NO_EXECUTE;
    let found = paging(LONG).translate(&mut memory, Gva::new(0x8040_2000), FETCH);
    assert_eq!(found, fault(0x11));
}

#[test]
fn large_pages_and_their_reserved_bits() {
    let at = Gva::new(0x8040_2abc);
    let mut gigabyte = ram(&[(0x1000, 0x2007), (0x2010, 0xc000_1087)]);
    let found = paging(LONG).translate(&mut gigabyte, at, READ).unwrap();
    assert_eq!(found.gpa, Gpa::new(0xc040_2abc));
    assert_eq!(found.remaining, PageSize::Size1G.bytes() - 0x40_2abc);
    let absent = GuestPaging::new(LONG, 40, GigabytePages::Absent);
    assert_eq!(absent.translate(&mut gigabyte, at, READ), fault(9));
    gigabyte.words.insert(0x2010, 0xc000_2087);
    assert_eq!(paging(LONG).translate(&mut gigabyte, at, READ), fault(9));
    let mut two = ram(&[(0x1000, 0x2007), (0x2010, 0x3007), (0x3010, 0x1020_0087)]);
    let found = paging(LONG).translate(&mut two, at, READ).unwrap();
    assert_eq!(found.gpa, Gpa::new(0x1020_2abc));
    two.words.insert(0x1000, 0x2087);
    assert_eq!(paging(LONG).translate(&mut two, at, READ), fault(9));
}

#[test]
fn five_levels_and_canonical_addresses() {
    let five = ControlRegisters {
        cr4: CR4_PAE | CR4_LA57,
        ..LONG
    };
    let high = Gva::new(0x0001_8000_8040_2010);
    let mut memory = ram(&[
        (0x1000 + 8, 0x9007),
        (0x9000 + 8 * 0x100, 0x2007),
        (0x2010, 0x3007),
        (0x3010, 0x4007),
        (0x4010, 0x5007),
    ]);
    let found = paging(five).translate(&mut memory, high, READ).unwrap();
    assert_eq!(found.gpa, Gpa::new(0x5010));
    assert_eq!(
        paging(LONG).translate(&mut memory, high, READ),
        Err(WalkError::NonCanonical)
    );
    let top = Gva::new(0x0100_0000_0000_0000);
    let found = paging(five).translate(&mut memory, top, READ);
    assert_eq!(found, Err(WalkError::NonCanonical));
    assert_eq!(found.unwrap_err().exception(), Some(Exception::GP0));
}

#[test]
fn pae_uses_three_levels_and_32_bits() {
    let registers = ControlRegisters {
        cr3: 0x1020,
        efer: EFER_NXE,
        ..LONG
    };
    let mut memory = ram(&[
        (0x1020 + 16, 0x3001),
        (0x3010, 0x4007),
        (0x4010, 0x1_0000_7007),
    ]);
    let at = Gva::new(0xffff_ffff_8040_2abc);
    let found = paging(registers).translate(&mut memory, at, USER_WRITE);
    assert_eq!(found.unwrap().gpa, Gpa::new(0x1_0000_7abc));
    assert_eq!(memory.loads, 3);
    // Software has no bits above the address here.
    memory.words.insert(0x4010, 0x7007 | 1 << 52);
    assert_eq!(paging(registers).translate(&mut memory, at, READ), fault(9));
    memory.words.insert(0x1030, 0x3003);
    assert_eq!(paging(registers).translate(&mut memory, at, READ), fault(9));
    memory.words.insert(0x1030, 0x3000);
    assert_eq!(
        paging(registers).translate(&mut memory, at, WRITE),
        fault(2)
    );
}

#[test]
fn legacy_paging_with_and_without_large_pages() {
    let registers = ControlRegisters {
        cr0: CR0_PG | CR0_WP,
        cr3: 0x1fff,
        cr4: CR4_PSE,
        efer: 0,
    };
    let at = Gva::new(0x8040_2abc);
    let mut memory = ram(&[(0x1000 + 0x201 * 4, 0x2007), (0x2008, 0x7005)]);
    let found = paging(registers).translate(&mut memory, at, USER_READ);
    assert_eq!(found.unwrap().gpa, Gpa::new(0x7abc));
    assert_eq!(
        paging(registers).translate(&mut memory, at, WRITE),
        fault(3)
    );
    assert_eq!(
        paging(registers)
            .translate(&mut memory, at, FETCH)
            .map(|_| ()),
        Ok(())
    );
    // PSE-36: 40 bits of address.
    memory.words.insert(0x1804, 0x00c0_0000 | 0x12 << 13 | 0x87);
    let found = paging(registers).translate(&mut memory, at, WRITE).unwrap();
    assert_eq!(found.gpa, Gpa::new(0x12_00c0_2abc));
    assert_eq!(found.remaining, (4 << 20) - 0x2abc);
    memory.words.insert(0x1804, 0x00c0_0000 | 1 << 21 | 0x87);
    assert_eq!(
        paging(registers).translate(&mut memory, at, WRITE),
        fault(0xb)
    );
    let narrow = GuestPaging::new(registers, 32, GigabytePages::Absent);
    memory.words.insert(0x1804, 0x00c0_0000 | 1 << 13 | 0x87);
    assert_eq!(narrow.translate(&mut memory, at, READ), fault(9));
    // Without CR4.PSE the bit means nothing.
    let small = ControlRegisters {
        cr4: 0,
        ..registers
    };
    memory.words.insert(0x1804, 0x2087);
    let found = paging(small).translate(&mut memory, at, READ).unwrap();
    assert_eq!(found.gpa, Gpa::new(0x7abc));
}

#[test]
fn without_paging_addresses_are_physical() {
    let off = ControlRegisters::default();
    let found = paging(off).translate(&mut ram(&[]), Gva::new(0x1_2345_6ff0), WRITE);
    let expected = GuestPage {
        gpa: Gpa::new(0x2345_6ff0),
        remaining: 0x10,
    };
    assert_eq!(found, Ok(expected));
}

#[test]
fn a_table_in_nowhere_is_reported_as_such() {
    let mut memory = ram(&[(0x1000, 0x2007)]);
    let found = paging(LONG).translate(&mut memory, Gva::new(0x8040_2000), READ);
    assert_eq!(found, Err(WalkError::Memory(Nothing(Gpa::new(0x2010)))));
    assert_eq!(found.unwrap_err().exception(), None);
}

/// Engine tables as guest memory.
struct EngineRam<'a>(&'a Memory<'static>);

impl GuestMemory for EngineRam<'_> {
    type Error = Nothing;

    fn read_u64(&mut self, at: Gpa) -> Result<u64, Nothing> {
        Ok(self.0.load(Hpa::new(at.as_u64())))
    }

    fn read_u32(&mut self, at: Gpa) -> Result<u32, Nothing> {
        Err(Nothing(at))
    }
}

#[test]
fn the_walker_agrees_with_the_engine() {
    let mut random = Random(77);
    let mut memory = Memory::default();
    let mut frames = Frames::default();
    let format = LongMode::<Gva>::new(UserBit::ByPermission, GigabytePages::Supported, 40);
    let mut table = PageTable::new(format, &mut frames).unwrap();
    for _ in 0..300 {
        let size = PageSize::ALL[random.below(3) as usize];
        let start = random.below((4 << 30) / size.bytes()) * size.bytes();
        let start = Gva::new(start | [0, 0xffff_8000_0000_0000][random.below(2) as usize]);
        let target = Hpa::new(random.below((1 << 38) / size.bytes()) * size.bytes());
        let permissions = Permissions::READ | Permissions::from_bits_truncate(random.next() as u8);
        let attributes = Attributes::new(permissions, MemoryType::WriteBack);
        // Overlaps are refused; that is fine here.
        let _ = table.map(
            &mut memory,
            &mut frames,
            start,
            size.bytes(),
            target,
            attributes,
        );
    }
    let registers = ControlRegisters {
        cr3: table.root().as_u64(),
        ..LONG
    };
    let walker = paging(registers);
    let mut hits = 0;
    for _ in 0..20_000 {
        let at =
            Gva::new(random.below(4 << 30) | [0, 0xffff_8000_0000_0000][random.below(2) as usize]);
        let known = table.translate(&memory, at);
        for (access, wanted) in [
            (READ, Permissions::READ),
            (WRITE, Permissions::WRITE),
            (USER_FETCH, Permissions::EXECUTE | Permissions::USER),
        ] {
            let found = walker.translate(&mut EngineRam(&memory), at, access);
            match known.filter(|m| m.attributes.permissions.contains(wanted)) {
                Some(mapping) => {
                    hits += 1;
                    let page = found.unwrap();
                    assert_eq!(page.gpa.as_u64(), mapping.resolve(at).as_u64());
                    let end = mapping.start.as_u64() + (mapping.size.bytes() - 1);
                    assert_eq!(page.remaining, end - at.as_u64() + 1);
                }
                None => assert!(matches!(found, Err(WalkError::PageFault { .. }))),
            }
        }
    }
    assert!(hits > 1000, "{hits}");
}
