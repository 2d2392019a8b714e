//! The image itself: where its parts are, and what its entry code offers.

use core::sync::atomic::AtomicU64;

use bulkhead_core::addr::{Hpa, HpaRange, Hva, PageSize};
use bulkhead_core::paging::Permissions;
use bulkhead_hw::layout::IMAGE_BASE;
use bulkhead_hw::smp::Entry;
use bulkhead_hw::space::ImagePart;

// Symbols of boot/link.ld (only their addresses mean something) and of boot/entry/entry.S.
unsafe extern "C" {
    static image_text_start: u8;
    static image_text_end: u8;
    static image_rodata_start: u8;
    static image_rodata_end: u8;
    static image_data_start: u8;
    static image_data_end: u8;
    static boot_stack: u8;
    static boot_stack_top: u8;
    static trampoline_start: u8;
    static trampoline_end: u8;
    static ap_mailbox: [AtomicU64; 3];
    /// Addresses of the early page tables and of the number of GiB that they map.
    static boot_layout: [u64; 2];
}

/// Where the loader put the image (`image_load_start` of the linker script).
const LOAD_START: Hpa = Hpa::new(0x20_0000);

/// The parts of the image and what they allow.
pub fn parts() -> [ImagePart; 3] {
    let part = |start: *const u8, end: *const u8, permissions| ImagePart {
        start: Hva::new(start.addr() as u64),
        end: Hva::new(end.addr() as u64),
        permissions,
    };
    [
        part(
            &raw const image_text_start,
            &raw const image_text_end,
            Permissions::RX,
        ),
        part(
            &raw const image_rodata_start,
            &raw const image_rodata_end,
            Permissions::R,
        ),
        part(
            &raw const image_data_start,
            &raw const image_data_end,
            Permissions::RW,
        ),
    ]
}

/// The physical memory that the image takes, the early page tables included.
pub fn range() -> HpaRange {
    let end = (&raw const image_data_end).addr() as u64 - IMAGE_BASE;
    HpaRange {
        start: LOAD_START,
        end: Hpa::new(end)
            .align_up(PageSize::Size4K)
            .unwrap_or(LOAD_START),
    }
}

/// The stack of the first stage: its lowest address, and its size in bytes.
pub fn boot_stack_range() -> (Hva, u64) {
    let start = (&raw const boot_stack).addr() as u64;
    let end = (&raw const boot_stack_top).addr() as u64;
    (Hva::new(start), end - start)
}

/// What is needed to start further CPUs.
pub fn smp_entry() -> Entry {
    let start = &raw const trampoline_start;
    let bytes = (&raw const trampoline_end).addr() - start.addr();
    // SAFETY: both symbols are in one read-only section, the end after the start; the mailbox is
    // only ever used through atomics.
    unsafe {
        Entry {
            trampoline: core::slice::from_raw_parts(start, bytes),
            mailbox: &ap_mailbox,
        }
    }
}

/// How far the early identity map reaches.
pub fn identity_bytes() -> u64 {
    // SAFETY: a constant table in read-only memory.
    let address = unsafe { boot_layout[1] };
    // SAFETY: the word lies in the low part of the image, which only the identity map shows; this
    // is called while that map is active.
    let gigabytes = unsafe { *core::ptr::with_exposed_provenance::<u32>(address as usize) };
    u64::from(gigabytes) << 30
}
