use vmm_ram::fake::FakeRam;

use super::*;
use crate::testing::{File, map, ready};
use crate::{Flat, Kind, plan};

/// Applies a plan for a program of 5 bytes at 1 MiB to other circumstances.
fn apply(file: &File, ram_bytes: u64, buffer: usize) -> Result<FakeRam, ApplyError<&'static str>> {
    let good = File::new(*b"12345");
    let map = map(16);
    let order = |image| LoadOrder {
        image,
        kind: Kind::Flat(Flat::default()),
        modules: &[],
        command_line: "",
        memory_map: &map,
        rsdp: None,
    };
    let plan = ready(plan(&order(&good))).unwrap();
    let ram = FakeRam::new(ram_bytes);
    ready(plan.apply(&order(file), &ram, &mut vec![0; buffer]))?;
    Ok(ram)
}

#[test]
fn a_small_buffer_does_as_well() {
    let ram = apply(&File::new(*b"12345"), 16 << 20, 2).unwrap();
    let mut bytes = [0; 6];
    ram.read(Gpa(1 << 20), &mut bytes).unwrap();
    assert_eq!(&bytes, b"12345\0");
}

#[test]
fn what_cannot_be_carried_out_is_said() {
    let good = File::new(*b"12345");
    assert_eq!(apply(&good, 16 << 20, 0).unwrap_err(), ApplyError::NoBuffer);
    let refused = apply(&good, 1 << 20, 100).unwrap_err();
    assert!(matches!(refused, ApplyError::NotRam(_)));
    let mut broken = File::new(*b"12345");
    broken.broken = true;
    let unread = apply(&broken, 16 << 20, 100).unwrap_err();
    assert_eq!(
        unread.to_string(),
        "the image cannot be read: the disk is broken"
    );
}
