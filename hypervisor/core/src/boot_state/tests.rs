//! States that boot protocols start in, and single changes that make them impossible.

use super::*;
use crate::fakes::World;

const FLAT_CODE: BootSegment = BootSegment {
    base: 0,
    limit: u32::MAX,
    selector: 8,
    attributes: 0xc9b,
};
const FLAT_DATA: BootSegment = BootSegment {
    base: 0,
    limit: u32::MAX,
    selector: 16,
    attributes: 0xc93,
};

/// 64-bit mode, as for Linux.
fn long() -> BootState {
    BootState {
        rip: 0x10_0200,
        cr0: 0x8001_0033,
        cr3: 0x9000,
        cr4: 0x20,
        efer: 0xd00,
        cs: BootSegment {
            attributes: 0xa9b,
            ..FLAT_CODE
        },
        data: FLAT_DATA,
        gdt_base: 0x8000,
        gdt_limit: 23,
        ..BootState::default()
    }
}

/// 32-bit mode without paging, as for PVH and Multiboot.
fn protected() -> BootState {
    BootState {
        rip: 0x10_0000,
        cr0: 0x11,
        cs: FLAT_CODE,
        data: FLAT_DATA,
        ..BootState::default()
    }
}

/// Real mode, as after a start-up IPI.
fn real() -> BootState {
    let segment = |attributes| BootSegment {
        base: 0x7000,
        limit: 0xffff,
        selector: 0x700,
        attributes,
    };
    BootState {
        rip: 0xc00,
        cr0: 0x10,
        cs: segment(0x9b),
        data: segment(0x93),
        ..BootState::default()
    }
}

fn verdict(state: &BootState) -> Result<(), &'static str> {
    let guest = World::new(1).guest(&[0]);
    check(state, &guest.rules, 40)
}

#[test]
fn the_states_of_boot_protocols_are_possible() {
    for state in [long(), protected(), real()] {
        assert_eq!(verdict(&state), Ok(()));
    }
    // 32-bit code under long mode, and real mode with the data attributes that some tools leave in CS.
    let mut state = long();
    state.cs = FLAT_CODE;
    assert_eq!(verdict(&state), Ok(()));
    let mut state = real();
    state.cs.attributes = 0x93;
    assert_eq!(verdict(&state), Ok(()));
    // LMA may be given or not, and 64-bit code needs no data segments.
    let mut state = long();
    state.efer = 0x900;
    state.data = BootSegment::default();
    assert_eq!(verdict(&state), Ok(()));
}

#[test]
fn what_no_cpu_accepts_is_refused_with_its_reason() {
    type Change = fn(&mut BootState);
    let long_changes: [(Change, &str); 14] = [
        (|s| s.cr0 |= 1 << 32, "CR0 has bits above 31"),
        (|s| s.cr0 |= CR0_NW, "CR0.NW is 1 and CR0.CD is 0"),
        (|s| s.cr0 &= !CR0_PE, "CR0.PG is 1 and CR0.PE is 0"),
        (|s| s.cr4 |= 1 << 30, "CR4 has bits"),
        (|s| s.cr4 |= 1 << 13, "CR4 has bits"),
        (|s| s.efer |= 1 << 12, "EFER has bits"),
        (|s| s.cr4 = 0, "long mode needs CR4.PAE"),
        (|s| s.cr3 = 1 << 40, "CR3 points past"),
        (|s| s.cs.attributes |= BIG, "CS.L and CS.D"),
        (|s| s.cs.attributes &= !PRESENT, "CS is not a present"),
        (|s| s.cs.attributes &= !CODE, "CS is not a present"),
        (|s| s.cs.attributes |= 3 << 5, "CS is not at privilege"),
        (|s| s.rip = 1 << 47, "RIP is not canonical"),
        (|s| s.gdt_limit = 0x1_0000, "the limit of the GDT"),
    ];
    let protected_changes: [(Change, &str); 9] = [
        (|s| s.cs.attributes |= LONG, "CS.L and CS.D"),
        (
            |s| s.cs.attributes = s.cs.attributes & !BIG | LONG,
            "CS.L is 1 outside",
        ),
        (|s| s.cr4 |= CR4_PCIDE, "CR4"),
        (|s| s.cr3 = 1 << 32, "CR3 points past"),
        (|s| s.rip = 1 << 32, "RIP has bits"),
        (|s| s.cs.base = 1 << 32, "the base of CS"),
        (|s| s.data.attributes = 0, "the data segments"),
        (|s| s.data.attributes |= CODE, "the data segments"),
        (|s| s.data.attributes &= !GRANULAR, "the limit of a segment"),
    ];
    let cases = long_changes
        .iter()
        .map(|case| (long(), case))
        .chain(protected_changes.iter().map(|case| (protected(), case)));
    for (mut state, (change, reason)) in cases {
        change(&mut state);
        let refusal = verdict(&state).unwrap_err();
        assert!(refusal.starts_with(reason), "{refusal} for {reason}");
    }
}
