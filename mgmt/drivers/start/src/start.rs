//! The start-up page.

use core::fmt;

use bulkhead_abi::start::{FLAG_IOMMU, FLAG_MANAGEMENT, MAGIC, StartInfo};

/// Smallest page-aligned RAM that makes sense: the image, its heap and DMA buffers.
const MIN_RAM: u64 = 16 << 20;

/// A range of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// First byte.
    pub base: u64,
    /// Bytes.
    pub length: u64,
}

impl Region {
    /// One after the last byte.
    pub fn end(self) -> u64 {
        self.base.saturating_add(self.length)
    }
}

/// The PCI configuration space in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ecam {
    /// Address of bus 0.
    pub base: u64,
    /// Last bus.
    pub last_bus: u8,
}

/// The start-up information, checked.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The partition's own id.
    pub partition: u32,
    /// Its RAM.
    pub ram: Region,
    /// Of that, what neither the image nor the start-up structures use.
    pub free: Region,
    /// TSC rate in Hz.
    pub tsc_hz: u64,
    /// APIC timer rate in Hz before the divider.
    pub apic_timer_hz: u64,
    /// PCI configuration space in memory, where the machine has it.
    pub ecam: Option<Ecam>,
    /// The archive of files that came with the boot loader, outside the RAM; it can only be read.
    pub archive: Option<Region>,
    /// How often the partition was started before.
    pub restarts: u32,
    /// Unix time in seconds at TSC 0, where known.
    pub boot_time: Option<u64>,
    /// Whether an IOMMU confines devices.
    pub confined: bool,
    /// The partition's name.
    pub name: &'a str,
    /// The command line.
    pub command_line: &'a str,
}

/// Why the partition cannot start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// There is no start-up page.
    Magic(u64),
    /// The hypervisor speaks another version of the contract.
    Version(u32),
    /// The partition has no management rights.
    NotManagement,
    /// The memory ranges contradict each other or are too small.
    Memory,
    /// A clock rate is 0.
    Clock,
    /// Name or command line is not UTF-8, or longer than its field.
    Text,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Magic(magic) => {
                write!(f, "the start-up page has the magic {magic:#018x}, not Bulkhead's")
            }
            StartError::Version(version) => write!(
                f,
                "the hypervisor speaks version {version} of the contract, this image version {}",
                bulkhead_abi::VERSION
            ),
            StartError::NotManagement => f.write_str(
                "the partition has no management rights; give it the word management in partitions.conf",
            ),
            StartError::Memory => write!(
                f,
                "the partition's memory is too small or badly laid out; it needs {} MiB",
                MIN_RAM >> 20
            ),
            StartError::Clock => f.write_str("the hypervisor gives no clock rates"),
            StartError::Text => f.write_str("the partition's name or command line is not UTF-8"),
        }
    }
}

impl<'a> Start<'a> {
    /// Checks the page.
    ///
    /// # Errors
    /// What makes it unusable.
    pub fn check(info: &'a StartInfo) -> Result<Self, StartError> {
        if info.magic != MAGIC {
            return Err(StartError::Magic(info.magic));
        }
        if info.version != bulkhead_abi::VERSION {
            return Err(StartError::Version(info.version));
        }
        if info.flags & FLAG_MANAGEMENT == 0 {
            return Err(StartError::NotManagement);
        }
        if info.tsc_hz == 0 || info.apic_timer_hz == 0 {
            return Err(StartError::Clock);
        }
        let ram = Region {
            base: info.ram_base,
            length: info.ram_bytes,
        };
        let sizes = ram.base.checked_add(ram.length).is_some() && ram.length >= MIN_RAM;
        let order = ram.base < info.image_end
            && info.image_end < info.reserved_start
            && info.reserved_start < ram.end();
        if !sizes || !order {
            return Err(StartError::Memory);
        }
        let archive = Region {
            base: info.archive_base,
            length: info.archive_bytes,
        };
        let apart = archive.end() <= ram.base || archive.base >= ram.end();
        let last_bus = (info.ecam_buses >> 8) as u8;
        Ok(Start {
            partition: info.partition,
            ram,
            free: Region {
                base: info.image_end,
                length: info.reserved_start - info.image_end,
            },
            tsc_hz: info.tsc_hz,
            apic_timer_hz: info.apic_timer_hz,
            ecam: (info.ecam_base != 0).then_some(Ecam {
                base: info.ecam_base,
                last_bus,
            }),
            archive: (archive.base != 0 && archive.length != 0 && apart).then_some(archive),
            restarts: info.restarts,
            boot_time: (info.boot_time != 0).then_some(info.boot_time),
            confined: info.flags & FLAG_IOMMU != 0,
            name: text(&info.name)?,
            command_line: usize::try_from(info.command_line_bytes)
                .ok()
                .and_then(|length| info.command_line.get(..length))
                .and_then(|bytes| core::str::from_utf8(bytes).ok())
                .ok_or(StartError::Text)?,
        })
    }
}

/// A zero-padded field.
fn text(field: &[u8]) -> Result<&str, StartError> {
    let length = field.iter().position(|&byte| byte == 0);
    let bytes = field.get(..length.unwrap_or(field.len()));
    core::str::from_utf8(bytes.unwrap_or_default()).map_err(|_| StartError::Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    fn info() -> Box<StartInfo> {
        let mut info = StartInfo::new_box_zeroed().unwrap();
        info.magic = MAGIC;
        info.version = bulkhead_abi::VERSION;
        info.flags = FLAG_MANAGEMENT;
        info.ram_base = 0x400_0000;
        info.ram_bytes = 0x400_0000;
        info.image_end = 0x420_0000;
        info.reserved_start = 0x7ff_0000;
        info.tsc_hz = 1_000_000_000;
        info.apic_timer_hz = 1_000_000_000;
        info.name[..4].copy_from_slice(b"mgmt");
        info.command_line[..7].copy_from_slice(b"ip=dhcp");
        info.command_line_bytes = 7;
        info
    }

    #[test]
    fn an_archive_inside_the_ram_is_none() {
        let mut info = info();
        assert_eq!(Start::check(&info).unwrap().archive, None);
        info.archive_base = 0x3f0_0000;
        info.archive_bytes = 0x10_0000;
        let (base, length) = (0x3f0_0000, 0x10_0000);
        let archive = Start::check(&info).unwrap().archive;
        assert_eq!(archive, Some(Region { base, length }));
        info.archive_bytes += 1;
        assert_eq!(Start::check(&info).unwrap().archive, None);
        info.archive_bytes = u64::MAX;
        assert_eq!(Start::check(&info).unwrap().archive, None);
    }

    #[test]
    fn a_good_page_is_taken() {
        let info = info();
        let start = Start::check(&info).unwrap();
        assert_eq!(start.name, "mgmt");
        assert_eq!(start.command_line, "ip=dhcp");
        assert_eq!(start.free.length, 0x3df_0000);
        assert_eq!(start.ecam, None);
        assert_eq!(start.boot_time, None);
    }

    #[test]
    fn bad_pages_are_refused() {
        let refused = |change: fn(&mut StartInfo)| {
            let mut info = info();
            change(&mut info);
            Start::check(&info).unwrap_err()
        };
        assert_eq!(refused(|i| i.magic = 7), StartError::Magic(7));
        assert_eq!(refused(|i| i.version = 99), StartError::Version(99));
        assert_eq!(refused(|i| i.flags = 0), StartError::NotManagement);
        assert_eq!(refused(|i| i.image_end = 1 << 40), StartError::Memory);
        assert_eq!(refused(|i| i.ram_bytes = 1 << 20), StartError::Memory);
        assert_eq!(refused(|i| i.ram_base = u64::MAX), StartError::Memory);
        assert_eq!(refused(|i| i.tsc_hz = 0), StartError::Clock);
        assert_eq!(refused(|i| i.name[0] = 0xff), StartError::Text);
        assert_eq!(refused(|i| i.command_line_bytes = 4096), StartError::Text);
    }
}
