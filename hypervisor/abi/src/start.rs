//! How a partition starts by the direct boot protocol.
//!
//! vCPU 0 starts at the image's entry point in 64-bit mode, interrupts off, with RDI = GPA of the
//! [`StartInfo`] page, RSP at the top of a small stack, flat segments (CS 0x8, data 0x10), and page tables that map
//! guest-virtual = guest-physical for the first 512 GiB (writable, executable); on a CPU without pages of 1 GiB, for the first
//! 4 GiB and up to four gigabytes of the first RAM range, its last one included. All of these lie in the partition's own RAM, in the last 64 KiB of its first RAM range, and are its own to replace. The other vCPUs wait for INIT-SIPI.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First field of a [`StartInfo`]: "BULKHEAD" in ASCII, little-endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"BULKHEAD");

/// The partition has management rights.
pub const FLAG_MANAGEMENT: u32 = 1;
/// An IOMMU confines the partition's devices; without it, device addresses are machine addresses.
pub const FLAG_IOMMU: u32 = 2;

/// What a partition is told at its start; one page, zero-padded.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct StartInfo {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`crate::VERSION`].
    pub version: u32,
    /// `FLAG_*`.
    pub flags: u32,
    /// The partition's own id.
    pub partition: u32,
    /// Number of vCPUs.
    pub vcpus: u32,
    /// GPA of the first byte of RAM that holds the image.
    pub ram_base: u64,
    /// Bytes of RAM from there.
    pub ram_bytes: u64,
    /// GPA of the first byte after the loaded image (and its zeroed data): free memory up to `reserved_start`.
    pub image_end: u64,
    /// GPA where this page, the stack and the page tables begin: free memory ends here until they are replaced.
    pub reserved_start: u64,
    /// The guest's TSC rate in Hz.
    pub tsc_hz: u64,
    /// The virtual APIC timer's rate in Hz, before the divider.
    pub apic_timer_hz: u64,
    /// For management: GPA of the host's PCI ECAM (segment 0, bus 0), 0 if none.
    pub ecam_base: u64,
    /// For management: first bus of the ECAM in bits 7:0, last bus in bits 15:8.
    pub ecam_buses: u32,
    /// How many times this partition was started before (restarts after crashes included).
    pub restarts: u32,
    /// For management: GPA of the first byte of the file archive (cpio newc) given at boot, 0 if none.
    pub archive_base: u64,
    /// Bytes of the archive.
    pub archive_bytes: u64,
    /// For management: Unix time in seconds at TSC 0 as the machine's clock told, 0 if unknown.
    pub boot_time: u64,
    /// Length of the command line in bytes.
    pub command_line_bytes: u32,
    /// Zero.
    pub pad: u32,
    /// The partition's name, UTF-8, zero-padded.
    pub name: [u8; 64],
    /// The command line, UTF-8, zero-padded.
    pub command_line: [u8; 2048],
}

const _: () = assert!(size_of::<StartInfo>() <= 4096);
