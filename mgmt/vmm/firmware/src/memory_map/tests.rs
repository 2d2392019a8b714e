use super::*;

fn lines(bytes: u64) -> Vec<(u64, u64, MemoryKind)> {
    let map = memory_map(RamLayout { bytes });
    for pair in map.windows(2) {
        assert!(pair[0].end() <= pair[1].start, "{pair:x?}");
    }
    map.iter()
        .map(|line| (line.start.0, line.end().0, line.kind))
        .collect()
}

#[test]
fn a_small_system_has_ram_up_to_its_end() {
    let usable: Vec<_> = lines(16 << 20)
        .into_iter()
        .filter(|line| line.2 == MemoryKind::Usable)
        .collect();
    assert_eq!(
        usable,
        [
            (0, 0x9_fc00, MemoryKind::Usable),
            (1 << 20, 16 << 20, MemoryKind::Usable)
        ]
    );
}

#[test]
fn a_big_system_has_ram_above_the_hole() {
    let lines = lines(5 << 30);
    assert!(lines.contains(&(1 << 20, 3 << 30, MemoryKind::Usable)));
    assert!(lines.contains(&(4 << 30, 6 << 30, MemoryKind::Usable)));
    assert!(lines.contains(&(0xe000_0000, 0xe010_0000, MemoryKind::Reserved)));
    assert!(lines.contains(&(0xe_0000, 0x10_0000, MemoryKind::Reserved)));
}
