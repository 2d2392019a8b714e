use crate::testing::{Case, ElfBuilder, File, RSDP, VIRTUAL, map, note};
use crate::{FileIndex, Kind, Piece, Refusal};

const ENTRY: u64 = 0x20_0010;

fn builder(class64: bool) -> ElfBuilder {
    let entry = note(b"Xen", 18, &(ENTRY as u32).to_le_bytes());
    let notes = [note(b"GNU", 3, b"build"), entry].concat();
    ElfBuilder {
        class64,
        entry: 0x20_0000 + VIRTUAL,
        segments: vec![
            (
                1,
                0x20_0000,
                b"code that runs in the guest".to_vec(),
                0x3000,
            ),
            (1, 0x40_0000, b"data".to_vec(), 4),
            (4, 0, notes.clone(), notes.len() as u64),
        ],
        sections: vec![],
    }
}

#[test]
fn segments_are_loaded_and_the_notes_entry_is_entered() {
    for class64 in [false, true] {
        let loaded = Case::default().load(&File::new(builder(class64).build()));
        assert_eq!(loaded.bytes(0x20_0000, 4), b"code");
        assert_eq!(loaded.bytes(0x40_0000, 4), b"data");
        let bss = loaded.bytes(0x20_0000 + 27, 0x3000 - 27);
        assert!(bss.iter().all(|byte| *byte == 0));
        let boot = &loaded.plan.boot;
        assert_eq!((boot.rip, boot.cr0, boot.cr4), (ENTRY, 0x11, 0));
        assert_eq!(boot.cs.attributes, 0xc9b);
    }
}

#[test]
fn the_start_info_says_what_there_is() {
    let case = Case {
        command_line: "root=/dev/vda".into(),
        modules: vec![
            (File::new(*b"first module"), "one"),
            (File::new(vec![7; 5000]), ""),
        ],
        ..Case::default()
    };
    let loaded = case.load(&File::new(builder(true).build()));
    let info = loaded.plan.boot.registers[3];
    assert_eq!(loaded.u32(info), 0x336e_c578);
    assert_eq!((loaded.u32(info + 4), loaded.u32(info + 8)), (1, 0));
    assert_eq!(loaded.text(loaded.u64(info + 24)), "root=/dev/vda");
    assert_eq!(loaded.u64(info + 32), RSDP.at.0);

    assert_eq!(loaded.u32(info + 12), 2);
    let list = loaded.u64(info + 16);
    let first = loaded.u64(list);
    assert_eq!(first % 4096, 0);
    assert!(first >= 0x40_0000, "behind the kernel");
    assert_eq!(loaded.u64(list + 8), 12);
    assert_eq!(loaded.bytes(first, 12), b"first module");
    assert_eq!(loaded.text(loaded.u64(list + 16)), "one");
    assert_eq!(loaded.bytes(loaded.u64(list + 32), 5000), [7; 5000]);
    assert_eq!(loaded.u64(list + 48), 0);

    let lines = map(64);
    assert_eq!(loaded.u32(info + 48) as usize, lines.len());
    for (line, at) in lines.iter().zip((loaded.u64(info + 40)..).step_by(24)) {
        assert_eq!(loaded.u64(at), line.start.0);
        assert_eq!(loaded.u64(at + 8), line.bytes);
        assert_eq!(loaded.u32(at + 16), line.kind.number());
    }
}

#[test]
fn segments_that_do_not_fit_are_refused() {
    let load = |segment| {
        let mut elf = builder(true);
        elf.segments[1] = segment;
        Case::default().refusal(&File::new(elf.build()))
    };
    let piece = Piece::Segment(1);
    let refusal = load((1, 0x20_2fff, vec![1], 1));
    let other = Piece::Segment(0);
    let at = 0x20_2fff;
    assert_eq!(refusal, Refusal::Overlap { piece, other, at });
    for (at, bytes) in [
        (0xe_0000, 1),
        (0x3ff_ffff, 2),
        (u64::MAX, 1),
        (1 << 40, 1 << 40),
        (0x40_0000, u64::MAX),
    ] {
        let refusal = load((1, at, vec![1], bytes));
        assert_eq!(refusal, Refusal::NotUsable { piece, at, bytes });
    }
    let refusal = load((1, 0x40_0000, vec![1, 2], 1));
    assert!(matches!(refusal, Refusal::Damaged(_)));
}

#[test]
fn an_entry_point_outside_is_refused() {
    let mut elf = builder(true);
    let notes = note(b"Xen", 18, &0x1234_5678_9abc_u64.to_le_bytes());
    elf.segments[2].2 = notes;
    let refusal = Case::default().refusal(&File::new(elf.build()));
    assert_eq!(refusal, Refusal::EntryOutside(0x1234_5678_9abc));
}

#[test]
fn a_file_cut_off_is_refused() {
    let whole = builder(true).build();
    for bytes in 4..whole.len() {
        let case = Case {
            kind: Kind::Pvh,
            ..Case::default()
        };
        let refusal = case.refusal(&File::new(&whole[..bytes]));
        let known = [Refusal::Truncated(FileIndex::Image), Refusal::WrongMachine];
        assert!(known.contains(&refusal), "{bytes}: {refusal}");
    }
}

#[test]
fn other_elf_files_are_refused_with_a_hint() {
    let mut elf = builder(true);
    elf.segments.truncate(2);
    let file = File::new(elf.build());
    assert_eq!(Case::default().refusal(&file), Refusal::PlainElf);
    let case = Case {
        kind: Kind::Pvh,
        ..Case::default()
    };
    assert_eq!(case.refusal(&file), Refusal::NotOfKind(Kind::Pvh));

    let mut arm = builder(true).build();
    arm[18] = 0xb7;
    assert_eq!(case.refusal(&File::new(arm)), Refusal::WrongMachine);
    let mut big_endian = builder(true).build();
    big_endian[5] = 2;
    assert_eq!(case.refusal(&File::new(big_endian)), Refusal::WrongMachine);
    let mut many = builder(true);
    many.segments = vec![many.segments[0].clone(); 65];
    let refusal = case.refusal(&File::new(many.build()));
    assert_eq!(refusal, Refusal::TooManySegments(65));
}

#[test]
fn modules_that_do_not_fit_are_refused_by_number() {
    let mut big = File::new(*b"");
    big.bytes = 61 << 20;
    let case = Case {
        modules: vec![(File::new(*b"small"), ""), (big, "")],
        ..Case::default()
    };
    let refusal = case.refusal(&File::new(builder(true).build()));
    let (piece, bytes) = (Piece::Module(1), 61 << 20);
    assert_eq!(refusal, Refusal::NoRoom { piece, bytes });
    assert!(refusal.to_string().contains("module 2"));
}

#[test]
fn a_note_in_a_segment_aligned_to_8_is_found() {
    // As .note.gnu.property has it: the contents end at a multiple of 8, and the next note begins there.
    let mut notes = note(b"GNU", 5, &[1; 12]);
    notes.resize(notes.len().next_multiple_of(8), 0);
    notes.extend(note(b"Xen", 18, &(ENTRY as u32).to_le_bytes()));
    let mut elf = builder(true);
    elf.segments[2].2 = notes;
    let loaded = Case::default().load(&File::new(elf.build()));
    assert_eq!(loaded.plan.boot.rip, ENTRY);
}
