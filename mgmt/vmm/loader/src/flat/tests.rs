use vmm_ram::Gpa;

use crate::testing::{Case, File};
use crate::{Flat, Kind, Mode, Piece, Refusal};

fn case(flat: Flat) -> Case {
    Case {
        kind: Kind::Flat(flat),
        ..Case::default()
    }
}

#[test]
fn below_1_mib_it_runs_in_real_mode() {
    let loaded = case(Flat::at(Gpa(0x7c00))).load(&File::new(*b"boot"));
    assert_eq!(loaded.bytes(0x7c00, 4), b"boot");
    let boot = &loaded.plan.boot;
    assert_eq!((boot.cs.selector, boot.cs.base, boot.rip), (0, 0, 0x7c00));
    assert_eq!((boot.cs.attributes, boot.cs.limit), (0x9b, 0xffff));
    assert_eq!(boot.cr0 & 1, 0);
    assert_eq!((boot.data.base, boot.data.attributes), (0, 0x93));
    // A stack that is not in the program.
    assert_eq!(boot.registers[4], 0x2000);

    let loaded = case(Flat::at(Gpa(0x8_1234))).load(&File::new(*b"boot"));
    let boot = &loaded.plan.boot;
    assert_eq!((boot.cs.selector, boot.cs.base), (0x8000, 0x8_0000));
    assert_eq!(boot.rip, 0x1234);
}

#[test]
fn above_it_runs_in_32_bit_mode() {
    let flat = Flat {
        entry: Gpa(0x20_0002),
        ..Flat::at(Gpa(0x20_0000))
    };
    let loaded = case(flat).load(&File::new(*b"boot"));
    assert_eq!(loaded.bytes(0x20_0000, 4), b"boot");
    let boot = &loaded.plan.boot;
    assert_eq!((boot.rip, boot.cr0, boot.efer), (0x20_0002, 0x11, 0));
    assert_eq!((boot.cs.attributes, boot.cs.base), (0xc9b, 0));
    assert_eq!(loaded.u64(boot.gdt_base + 0x10), 0x00cf_9b00_0000_ffff);
    assert!(boot.registers[4] > 0);
    assert_eq!(Flat::default(), Flat::at(Gpa(0x10_0000)));
}

#[test]
fn it_may_run_in_64_bit_mode() {
    let flat = Flat {
        mode: Mode::Long,
        ..Flat::at(Gpa(0x8000))
    };
    let boot = case(flat).load(&File::new(*b"boot")).plan.boot;
    assert_eq!((boot.rip, boot.cr0), (0x8000, 0x8000_0011));
    assert_eq!(boot.cs.attributes, 0xa9b);
    assert_ne!(boot.cr3, 0);
}

#[test]
fn what_cannot_be_is_refused() {
    let file = File::new(*b"boot");
    let bad = |entry, mode| Flat {
        entry: Gpa(entry),
        mode,
        ..Flat::at(Gpa(0x10_0000))
    };
    for flat in [
        bad(0x10_0000, Mode::Real),
        bad(0x10_0004, Mode::Protected),
        bad(0xf_ffff, Mode::Long),
    ] {
        let refusal = case(flat).refusal(&file);
        assert!(matches!(refusal, Refusal::EntryMode(_)), "{refusal}");
    }
    for load in [
        0x9_fbfe,
        0xa_0000,
        64 << 20,
        u64::MAX,
        u64::MAX - 3,
        1 << 32,
    ] {
        let flat = Flat {
            mode: Mode::Protected,
            ..Flat::at(Gpa(load))
        };
        let refusal = case(flat).refusal(&file);
        assert!(matches!(refusal, Refusal::NotUsable { .. }), "{refusal}");
    }
    let refusal = case(Flat::default()).refusal(&File::new(*b""));
    assert_eq!(refusal, Refusal::NothingToLoad);
    let mut ordered = case(Flat::default());
    ordered.modules.push((File::new(*b""), ""));
    assert_eq!(ordered.refusal(&file), Refusal::ModulesNotTaken);
    ordered.modules.clear();
    ordered.command_line = "x".into();
    assert_eq!(ordered.refusal(&file), Refusal::CommandLineNotTaken);
}

#[test]
fn a_program_that_fills_the_first_64_kib_has_no_room_for_a_stack() {
    let refusal = case(Flat::at(Gpa(0x800))).refusal(&File::new([0; 0x1_0000]));
    let (piece, bytes) = (Piece::Stack, 4096);
    assert_eq!(refusal, Refusal::NoRoom { piece, bytes });
}
