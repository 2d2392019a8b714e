//! The boot loader's archive of files, which the hypervisor shows to this partition.

use mgmt_start::Region;

use crate::paging::PageTables;

/// The archive's bytes; none where there is no archive or it cannot be mapped.
pub fn archive(region: Option<Region>, tables: &mut PageTables) -> &'static [u8] {
    let Some(region) = region else { return &[] };
    let length = usize::try_from(region.length).ok();
    let (Some(()), Some(length)) = (tables.map_constants(region.base, region.length), length)
    else {
        return &[];
    };
    // SAFETY: by the start protocol the hypervisor shows the archive there for as long as the partition is, and lets nobody
    // write to it; it was mapped just now, outside our own memory.
    unsafe { core::slice::from_raw_parts(region.base as *const u8, length) }
}
