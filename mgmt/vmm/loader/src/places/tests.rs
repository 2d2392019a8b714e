use super::*;
use vmm_ram::Gpa;

fn line(start: u64, bytes: u64, kind: MemoryKind) -> MemoryRange {
    MemoryRange {
        start: Gpa(start),
        bytes,
        kind,
    }
}

fn places() -> Places {
    Places::new(&[
        line(0, 0x9_0000, MemoryKind::Usable),
        line(0x9_0000, 0x7_0000, MemoryKind::Reserved),
        line(0x10_0000, 0x10_0000, MemoryKind::Usable),
        line(0x20_0000, 0x10_0000, MemoryKind::Usable),
        line(1 << 32, 1 << 30, MemoryKind::Usable),
    ])
}

#[test]
fn a_claim_must_be_free_memory() {
    let mut places = places();
    assert_eq!(places.claim(0x1f_0000, 0x2_0000, Piece::Kernel), Ok(()));
    for (at, bytes) in [
        (0x8_f000, 0x1001),
        (0x9_0000, 1),
        (0xf_ffff, 2),
        (0x2f_ffff, 2),
        (u64::MAX, 2),
        (1 << 32, 1),
    ] {
        let refused = places.claim(at, bytes, Piece::Stack);
        let piece = Piece::Stack;
        assert_eq!(refused, Err(Refusal::NotUsable { piece, at, bytes }));
    }
    for (at, bytes) in [(0x1e_ffff, 2), (0x20_ffff, 1), (0x1e_0000, 0x10_0000)] {
        let refused = places.claim(at, bytes, Piece::Stack);
        assert!(matches!(
            refused,
            Err(Refusal::Overlap {
                other: Piece::Kernel,
                ..
            })
        ));
    }
    assert_eq!(places.claim(0x21_0000, 1, Piece::Stack), Ok(()));
    assert_eq!(places.end_of_taken(), 0x21_0001);
}

#[test]
fn no_bytes_need_no_place() {
    assert_eq!(places().claim(0x9_0000, 0, Piece::Kernel), Ok(()));
}

#[test]
fn places_are_found_from_below_and_from_above() {
    let mut places = places();
    places.claim(0x10_1000, 0x1000, Piece::Kernel).unwrap();
    let all = 0..END;
    assert_eq!(
        places.lowest(0x8000, 0x1000, 0x8_9000..END, Piece::Stack),
        Ok(0x10_2000)
    );
    assert_eq!(places.lowest(8, 8, 1..END, Piece::Stack), Ok(8));
    assert_eq!(
        places.highest(0x1001, 0x1000, all.clone(), Piece::Initrd),
        Ok(0x2f_e000)
    );
    assert_eq!(
        places.highest(0x1000, 0x1000, all.clone(), Piece::Initrd),
        Ok(0x2f_d000)
    );
    // Not enough is left above what was taken, so it goes below the hole.
    assert_eq!(
        places.highest(0x8_0000, 0x1000, 0..0x11_0000, Piece::Initrd),
        Ok(0x1_0000)
    );
    let piece = Piece::Initrd;
    let bytes = 0x100_0000;
    assert_eq!(
        places.highest(bytes, 1, all.clone(), piece),
        Err(Refusal::NoRoom { piece, bytes })
    );
    assert_eq!(
        places.lowest(bytes, 1, all, piece),
        Err(Refusal::NoRoom { piece, bytes })
    );
}

#[test]
fn borders_of_lines_are_no_borders_of_memory() {
    let places = places();
    assert_eq!(places.usable_end(0x10_0000), Some(0x30_0000));
    assert_eq!(places.usable_end(0x9_0000), None);
}
