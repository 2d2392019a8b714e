//! Entry point for the fuzzer (`cargo xtask fuzz loader`).
//!
//! The bytes are the image. Every plan that comes out is checked against the promises of [`crate::Plan`], and carried out.

use alloc::vec::Vec;
use core::convert::Infallible;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use vmm_ram::{Gpa, GuestRam, MemoryKind, MemoryRange};

use crate::{Flat, ImageFile, Kind, LoadOrder, Mode, Module, Plan, Rsdp, identify, plan};

/// RAM of the guest that nothing ever runs in.
pub const RAM_BYTES: u64 = 32 << 20;

/// A file in memory.
struct Bytes<'a>(&'a [u8]);

impl ImageFile for Bytes<'_> {
    type Error = Infallible;

    fn bytes(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), Infallible> {
        let end = offset.checked_add(into.len() as u64);
        assert!(
            end.is_some_and(|end| end <= self.bytes()),
            "a read beyond the file"
        );
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        into.copy_from_slice(rest.get(..into.len()).unwrap_or_default());
        Ok(())
    }
}

/// Loads the bytes as an image of every kind, and as module as well, into what has [`RAM_BYTES`].
///
/// # Panics
/// A plan breaks its promises.
pub fn load(data: &[u8], ram: &impl GuestRam) {
    let file = Bytes(data);
    assert!(ready(identify(&file)).is_some(), "nothing waits here");
    let modules = [Module {
        file: &file,
        text: "module",
    }];
    let map = memory_map();
    let long = Flat {
        load: Gpa(0x20_0000),
        entry: Gpa(0x20_0000),
        mode: Mode::Long,
    };
    for kind in [
        Kind::Auto,
        Kind::Linux,
        Kind::Pvh,
        Kind::Multiboot1,
        Kind::Multiboot2,
        Kind::Flat(Flat::default()),
        Kind::Flat(Flat::at(Gpa(0x7c00))),
        Kind::Flat(long),
    ] {
        let flat = matches!(kind, Kind::Flat(_));
        let order = LoadOrder {
            image: &file,
            kind,
            modules: if flat { &[] } else { &modules },
            command_line: if flat { "" } else { "console=ttyS0" },
            memory_map: &map,
            rsdp: Some(Rsdp {
                at: Gpa(0xe_0000),
                bytes: [0; 36],
            }),
        };
        let planned = ready(plan(&order));
        if let Some(Ok(plan)) = planned {
            check(&plan, &map, data.len() as u64);
            let applied = ready(plan.apply(&order, ram, &mut [0; 4096]));
            assert!(matches!(applied, Some(Ok(()))), "{applied:?}");
        } else {
            assert!(planned.is_some(), "nothing waits here");
        }
    }
}

/// Whether the bytes are an image whose kind can be guessed, and that can be loaded.
pub fn plans(data: &[u8]) -> bool {
    let file = Bytes(data);
    let order = LoadOrder {
        image: &file,
        kind: Kind::Auto,
        modules: &[],
        command_line: "",
        memory_map: &memory_map(),
        rsdp: None,
    };
    matches!(ready(plan(&order)), Some(Ok(_)))
}

/// What the firmware of a small guest says.
fn memory_map() -> [MemoryRange; 4] {
    let line = |start, end, kind| MemoryRange {
        start: Gpa(start),
        bytes: end - start,
        kind,
    };
    [
        line(0, 0x9_fc00, MemoryKind::Usable),
        line(0x9_fc00, 0xa_0000, MemoryKind::Reserved),
        line(0xe_0000, 0x10_0000, MemoryKind::Reserved),
        line(0x10_0000, RAM_BYTES, MemoryKind::Usable),
    ]
}

/// Asserts what a plan promises.
fn check(plan: &Plan, map: &[MemoryRange], file_bytes: u64) {
    for copy in &plan.copies {
        let end = copy.offset.checked_add(copy.bytes);
        assert!(
            end.is_some_and(|end| end <= file_bytes),
            "a copy of what is not in the file: {copy:?}"
        );
    }
    let mut ranges: Vec<_> = plan.ranges().collect();
    ranges.sort_unstable();
    let mut before = 0;
    for (start, bytes) in ranges {
        let end = start.checked_add(bytes).map_or(u64::MAX, |end| end.0);
        let usable = map.iter().any(|line| {
            line.kind == MemoryKind::Usable && line.start <= start && end <= line.end().0
        });
        assert!(usable, "{start} to {end:#x} is not usable memory");
        assert!(before <= start.0, "{start} is written twice");
        before = end;
    }
    let boot = &plan.boot;
    let entry = boot.cs.base.wrapping_add(boot.rip);
    let loaded = plan.ranges().any(|(start, bytes)| {
        entry
            .checked_sub(start.0)
            .is_some_and(|offset| offset < bytes)
    });
    assert!(loaded, "the entry point {entry:#x} is nowhere");
}

/// The result of a future that never waits; `None` where it does.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
