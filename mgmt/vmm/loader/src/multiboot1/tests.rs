use crate::testing::{Case, ElfBuilder, File, Loaded, VIRTUAL, map};
use crate::{Demand, Kind, Refusal};

/// A header with those flags and fields behind them.
fn header(flags: u32, fields: &[u32]) -> Vec<u8> {
    let sum = 0u32.wrapping_sub(0x1bad_b002u32.wrapping_add(flags));
    [&[0x1bad_b002, flags, sum], fields]
        .concat()
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

fn elf(class64: bool, flags: u32) -> File {
    File::new(builder(class64, flags).build())
}

fn builder(class64: bool, flags: u32) -> ElfBuilder {
    let up = if class64 { VIRTUAL } else { 0 };
    let mut code = header(flags, &[]);
    code.extend(b"code");
    ElfBuilder {
        class64,
        entry: 0x10_000c + up,
        segments: vec![(1, 0x10_0000, code, 0x8000)],
        sections: vec![],
    }
}

fn case() -> Case {
    Case {
        command_line: "kernel option".into(),
        modules: vec![
            (File::new(vec![5; 4096]), "disk.img writable"),
            (File::new(*b"two"), ""),
        ],
        ..Case::default()
    }
}

#[test]
fn an_elf_kernel_is_entered_by_its_physical_address() {
    for class64 in [false, true] {
        let loaded = case().load(&elf(class64, 3));
        assert_eq!(loaded.bytes(0x10_000c, 4), b"code");
        let boot = &loaded.plan.boot;
        assert_eq!((boot.rip, boot.registers[0]), (0x10_000c, 0x2bad_b002));
        assert_eq!((boot.cr0, boot.cs.attributes), (0x11, 0xc9b));
        check(&loaded);
    }
}

/// Reads the information as a kernel does.
fn check(loaded: &Loaded) {
    let info = loaded.plan.boot.registers[3];
    let field = |index: u64| u64::from(loaded.u32(info + index * 4));
    assert_eq!(field(0), 0b10_0100_1101);
    assert_eq!((field(1), field(2)), (639, 63 << 10));
    assert_eq!(loaded.text(field(4)), "kernel option");
    assert_eq!(loaded.text(field(16)), "Bulkhead");

    assert_eq!(field(5), 2);
    let list = field(6);
    let first = u64::from(loaded.u32(list));
    assert_eq!(first % 4096, 0);
    assert_eq!(u64::from(loaded.u32(list + 4)), first + 4096);
    assert_eq!(loaded.bytes(first, 4096), [5; 4096]);
    let text = u64::from(loaded.u32(list + 8));
    assert_eq!(loaded.text(text), "disk.img writable");
    let second = u64::from(loaded.u32(list + 16));
    assert_eq!(second, first + 4096);
    assert_eq!(loaded.bytes(second, 3), b"two");
    assert_eq!(loaded.text(u64::from(loaded.u32(list + 24))), "");

    let lines = map(64);
    assert_eq!(field(11), 24 * lines.len() as u64);
    for (line, at) in lines.iter().zip((field(12)..).step_by(24)) {
        assert_eq!(loaded.u32(at), 20);
        assert_eq!(loaded.u64(at + 4), line.start.0);
        assert_eq!(loaded.u64(at + 12), line.bytes);
        assert_eq!(loaded.u32(at + 20), line.kind.number());
    }
}

#[test]
fn address_fields_load_what_is_no_elf_file() {
    let mut file = vec![0x90; 0x100];
    file.extend(header(
        1 << 16,
        &[0x20_0040, 0x20_0000, 0x20_0060, 0x20_1000, 0x20_005c],
    ));
    file.resize(0x200, 0xcc);
    let loaded = case().load(&File::new(file.clone()));
    // What is before the load address in the file is not loaded.
    assert_eq!(loaded.bytes(0x20_0000, 0x60), file[0xc0..0x120]);
    assert!(loaded.bytes(0x20_0060, 0xfa0).iter().all(|byte| *byte == 0));
    assert_eq!(loaded.plan.boot.rip, 0x20_005c);
    check(&loaded);
}

#[test]
fn no_end_means_the_whole_file() {
    let mut file = header(1 << 16, &[0x20_0000, 0x20_0000, 0, 0, 0x20_0020]);
    file.resize(0x3000, 0x90);
    let loaded = Case::default().load(&File::new(file.clone()));
    assert_eq!(loaded.bytes(0x20_0000, 0x3000), file);
}

#[test]
fn contradicting_addresses_are_refused() {
    for fields in [
        [0x1f_ffff, 0x20_0000, 0, 0, 0x20_0000],
        [0x20_0001, 0x20_0000, 0, 0, 0x20_0000],
        [0x20_0000, 0x20_0000, 0x1f_ffff, 0, 0x20_0000],
        [0x20_0000, 0x20_0000, 0x20_0010, 0x20_0008, 0x20_0000],
        [0x20_0000, 0x20_0000, 0x20_0010, 0, 0x20_0010],
        [0x20_0000, 0x20_0000, 0x20_1000, 0, 0x20_0000],
        [0x20_0000, 0x20_0000, 0x20_0000, 0, 0x20_0000],
        [0xffff_fff0, 0xffff_fff0, 0, 0, 0xffff_fff0],
        [0, u32::MAX, 0, 0, 0],
    ] {
        let file = File::new(header(1 << 16, &fields));
        let refusal = Case::default().refusal(&file);
        let known = matches!(
            refusal,
            Refusal::Damaged(_)
                | Refusal::EntryOutside(_)
                | Refusal::Truncated(_)
                | Refusal::NothingToLoad
                | Refusal::NotUsable { .. }
        );
        assert!(known, "{fields:x?}: {refusal}");
    }
}

#[test]
fn demands_that_cannot_be_met_are_refused() {
    let refusal = Case::default().refusal(&elf(false, 0b100));
    assert_eq!(refusal, Refusal::Demands(Demand::Display));
    let refusal = Case::default().refusal(&elf(false, 0b1_0000));
    assert_eq!(refusal, Refusal::Demands(Demand::Flag(0b1_0000)));
    // The other half is for loaders that know it.
    Case::default().load(&elf(false, 1 << 31));
}

#[test]
fn a_header_that_is_none_is_not_taken() {
    let case = Case {
        kind: Kind::Multiboot1,
        ..Case::default()
    };
    let mut wrong_sum = header(0, &[]);
    wrong_sum[8] ^= 1;
    let mut late = vec![0; 8184];
    late.extend(header(0, &[]));
    let mut odd = vec![0; 2];
    odd.extend(header(0, &[]));
    for file in [wrong_sum, late, odd] {
        let refusal = case.refusal(&File::new(file));
        assert_eq!(refusal, Refusal::NotOfKind(Kind::Multiboot1));
    }
    // A header without addresses in a file that is no ELF.
    let refusal = case.refusal(&File::new(header(0, &[])));
    assert_eq!(refusal, Refusal::NothingToLoad);
}

#[test]
fn symbol_tables_are_loaded_for_the_kernel() {
    for class64 in [false, true] {
        let mut builder = builder(class64, 0);
        builder.sections = vec![
            (0, 0, vec![]),
            (3, 0, b"\0.shstrtab\0".to_vec()),
            (1, 0x10_0000, b"text".to_vec()),
            (2, 0, vec![9; 48]),
            (1, 0, b"debug".to_vec()),
        ];
        let loaded = case().load(&File::new(builder.build()));
        let info = loaded.plan.boot.registers[3];
        assert_ne!(loaded.u32(info) & 1 << 5, 0);
        let [count, size, headers, names] =
            [28, 32, 36, 40].map(|at| u64::from(loaded.u32(info + at)));
        assert_eq!((count, names), (5, 1));
        assert_eq!(size, if class64 { 64 } else { 40 });
        let address = |section: u64| {
            let at = headers + section * size + if class64 { 16 } else { 12 };
            u64::from(loaded.u32(at))
        };
        assert_eq!(loaded.bytes(address(1), 11), b"\0.shstrtab\0");
        assert_eq!(loaded.bytes(address(3), 48), [9; 48]);
        assert_eq!([0, 2, 4].map(address), [0, 0x10_0000, 0]);
    }
}

#[test]
fn damaged_section_headers_are_left_out() {
    let mut builder = builder(true, 0);
    builder.sections = vec![(3, 0, b"names".to_vec())];
    let good = builder.build();
    for (at, byte) in [(58, 63), (47, 0x7f), (60, 200), (61, 200)] {
        let mut file = good.clone();
        file[at] = byte;
        let loaded = Case::default().load(&File::new(file));
        let info = loaded.plan.boot.registers[3];
        assert_eq!(loaded.u32(info) & 1 << 5, 0);
    }
    // A table that is not all in the file stays where it is.
    let mut file = good.clone();
    let size = good.len() - 64 + 32;
    file[size..size + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    let loaded = Case::default().load(&File::new(file));
    let headers = u64::from(loaded.u32(loaded.plan.boot.registers[3] + 36));
    assert_eq!(loaded.u64(headers + 16), 0);
}
