use super::*;
use crate::testing::{Case, ElfBuilder, File, ready};

fn format(content: &[u8]) -> Format {
    ready(identify(&File::new(content))).unwrap()
}

#[test]
fn files_that_are_no_kernels_have_names() {
    let at = |offset: usize, bytes: &[u8]| {
        let mut file = vec![0; 40 << 10];
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
        file
    };
    assert_eq!(format(b"070701000"), Format::Cpio);
    assert_eq!(format(&at(0, b"\x1f\x8b\x08")), Format::Compressed);
    assert_eq!(format(&at(0x8001, b"CD001")), Format::Iso9660);
    assert_eq!(format(&at(0, b"QFI\xfb")), Format::Qcow2);
    assert_eq!(format(&at(510, b"\x55\xaa")), Format::BootSector);
    assert_eq!(format(b""), Format::Raw);
    assert_eq!(format(&[0x55; 600]), Format::Raw);
    assert_eq!(format(b"\x7fELF"), Format::Elf);
    assert_eq!(Format::Iso9660.to_string(), "iso9660");
}

#[test]
fn a_file_that_cannot_be_read_is_no_format() {
    let mut file = File::new([0; 100]);
    file.broken = true;
    assert_eq!(ready(identify(&file)), Err("the disk is broken"));
}

#[test]
fn what_is_no_kernel_is_not_loaded_by_guess() {
    let refusal = Case::default().refusal(&File::new(*b"#!/bin/sh"));
    assert_eq!(refusal, Refusal::UnknownFormat);
    let elf = ElfBuilder {
        class64: true,
        entry: 0,
        segments: vec![],
        sections: vec![],
    };
    let refusal = Case::default().refusal(&File::new(elf.build()));
    assert_eq!(refusal, Refusal::PlainElf);
}

#[test]
fn a_multiboot_header_in_an_elf_file_counts() {
    let mut header = vec![0; 4];
    header.extend(
        [0x1bad_b002u32, 0, 0u32.wrapping_sub(0x1bad_b002)]
            .map(u32::to_le_bytes)
            .concat(),
    );
    let elf = ElfBuilder {
        class64: false,
        entry: 0x20_0000,
        segments: vec![(1, 0x20_0000, header, 16)],
        sections: vec![],
    };
    assert_eq!(format(&elf.build()), Format::Multiboot1);
    assert_eq!(Format::Multiboot1.kind(), Some(Kind::Multiboot1));
}
