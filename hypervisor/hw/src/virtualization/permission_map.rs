//! The port and MSR permission maps of both vendors (APM 2 15.10.1, 15.11; SDM 3C 24.6.4, 24.6.9): a set bit intercepts.

use alloc::boxed::Box;

use bulkhead_core::addr::Hpa;
use bulkhead_core::fault::ResourceError;

use super::pages::{Page, Zeroed, physical_of, zeroed_box};

/// 12 KiB: a bit a port, and 3 bits for accesses that reach past port 0xffff.
#[repr(C, align(4096))]
struct PortMap([Page; 3]);

/// AMD's 8 KiB: two bits (read, write) an MSR for each of three ranges of 8192 MSRs.
#[repr(C, align(4096))]
struct MsrMap([Page; 2]);

// SAFETY: pages of bytes may be zero.
unsafe impl Zeroed for PortMap {}
// SAFETY: pages of bytes may be zero.
unsafe impl Zeroed for MsrMap {}

/// The maps of a kind of partitions; they outlive every vCPU that uses them.
pub struct PermissionMaps {
    ports: Box<PortMap>,
    msrs: Box<MsrMap>,
    /// Intel's 4 KiB: a bit an MSR, first for reads of the low and the high range, then for writes.
    split_msrs: Box<Page>,
    /// The same without those of the x2APIC that Intel's CPUs virtualize.
    virtual_apic_msrs: Box<Page>,
}

/// Which accesses of an MSR are let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MsrAccess {
    /// Reads only.
    Read,
    /// Reads and writes.
    ReadWrite,
}

impl PermissionMaps {
    /// Maps that intercept everything.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn intercept_all() -> Result<Self, ResourceError> {
        let mut maps = Self {
            ports: zeroed_box()?,
            msrs: zeroed_box()?,
            split_msrs: zeroed_box()?,
            virtual_apic_msrs: zeroed_box()?,
        };
        maps.ports.0.iter_mut().for_each(|page| page.0.fill(0xff));
        maps.msrs.0.iter_mut().for_each(|page| page.0.fill(0xff));
        maps.split_msrs.0.fill(0xff);
        maps.virtual_apic_msrs.0.fill(0xff);
        let reads = VIRTUAL_READS.iter().cloned().flatten();
        let writes = VIRTUAL_WRITES.map(|msr| msr as usize + SPLIT_WRITES);
        for position in reads.map(|msr| msr as usize).chain(writes) {
            clear(&mut maps.virtual_apic_msrs, position);
        }
        Ok(maps)
    }

    /// Lets the guest reach the ports `first` to `last` itself.
    pub fn open_ports(&mut self, first: u16, last: u16) {
        for port in first..=last {
            let byte = self
                .ports
                .0
                .iter_mut()
                .flat_map(|page| page.0.iter_mut())
                .nth(port as usize / 8);
            if let Some(byte) = byte {
                *byte &= !(1 << (port % 8));
            }
        }
    }

    /// Lets the guest reach an MSR itself; MSRs outside of the three ranges always exit.
    pub fn open_msr(&mut self, msr: u32, access: MsrAccess) {
        let Some(position) = msr_position(msr) else {
            return;
        };
        let bits = match access {
            MsrAccess::Read => 1,
            MsrAccess::ReadWrite => 3,
        };
        let byte = self
            .msrs
            .0
            .iter_mut()
            .flat_map(|page| page.0.iter_mut())
            .nth(position / 8);
        if let Some(byte) = byte {
            *byte &= !(bits << (position % 8));
        }
        let reads = split_position(msr);
        let writes = reads.filter(|_| access == MsrAccess::ReadWrite);
        for position in [reads, writes.map(|read| read + SPLIT_WRITES)]
            .into_iter()
            .flatten()
        {
            clear(&mut self.split_msrs, position);
            clear(&mut self.virtual_apic_msrs, position);
        }
    }

    /// Machine address of the port map; Intel's CPUs take its first two pages.
    pub fn ports(&self) -> Hpa {
        physical_of(&*self.ports)
    }

    /// Machine address of the MSR map in AMD's format.
    pub fn msrs(&self) -> Hpa {
        physical_of(&*self.msrs)
    }

    /// Machine address of the MSR map in Intel's format that leaves to the CPU what it virtualizes of the x2APIC.
    pub fn virtual_apic_msrs(&self) -> Hpa {
        physical_of(&*self.virtual_apic_msrs)
    }

    /// Machine address of the MSR map in Intel's format.
    pub fn split_msrs(&self) -> Hpa {
        physical_of(&*self.split_msrs)
    }
}

/// What the virtual-APIC page shows: priorities, and the vectors in service, level-triggered and requested.
const VIRTUAL_READS: [core::ops::RangeInclusive<u32>; 3] =
    [0x808..=0x808, 0x80a..=0x80a, 0x810..=0x827];
/// What the CPU does by itself: task priority, end of interrupt, self-IPI. All others would reach the host's own APIC.
const VIRTUAL_WRITES: [u32; 3] = [0x808, 0x80b, 0x83f];

fn clear(page: &mut Page, position: usize) {
    if let Some(byte) = page.0.get_mut(position / 8) {
        *byte &= !(1 << (position % 8));
    }
}

/// Distance in bits from the permission to read to that to write in Intel's format.
const SPLIT_WRITES: usize = 0x800 * 8;

/// The bit of the read permission in Intel's format.
fn split_position(msr: u32) -> Option<usize> {
    match msr {
        0..=0x1fff => Some(msr as usize),
        0xc000_0000..=0xc000_1fff => Some(0x400 * 8 + (msr - 0xc000_0000) as usize),
        _ => None,
    }
}

/// The bit of the read permission.
fn msr_position(msr: u32) -> Option<usize> {
    let (range, index) = match msr {
        0..=0x1fff => (0, msr),
        0xc000_0000..=0xc000_1fff => (0x800, msr - 0xc000_0000),
        0xc001_0000..=0xc001_1fff => (0x1000, msr - 0xc001_0000),
        _ => return None,
    };
    Some(range * 8 + index as usize * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte(pages: &[Page], index: usize) -> u8 {
        pages[index / 4096].0[index % 4096]
    }

    #[test]
    fn opening_touches_only_its_own_bits() {
        let mut maps = PermissionMaps::intercept_all().unwrap();
        maps.open_ports(0xcf8, 0xcff);
        assert_eq!(byte(&maps.ports.0, 0xcf8 / 8), 0);
        assert_eq!(byte(&maps.ports.0, 0xcf8 / 8 - 1), 0xff);
        assert_eq!(byte(&maps.ports.0, 0xcf8 / 8 + 1), 0xff);
        maps.open_msr(0xc000_0100, MsrAccess::ReadWrite);
        maps.open_msr(0xc000_0101, MsrAccess::Read);
        assert_eq!(byte(&maps.msrs.0, 0x800 + 0x100 / 4), 0b1111_1000);
        let cleared: u32 = maps
            .msrs
            .0
            .iter()
            .flat_map(|page| page.0)
            .map(|b| b.count_zeros())
            .sum();
        assert_eq!(cleared, 3);
        let split = &maps.split_msrs.0;
        assert_eq!(split[0x400 + 0x100 / 8], 0b1111_1100);
        assert_eq!(split[0xc00 + 0x100 / 8], 0b1111_1110);
        let cleared: u32 = split.iter().map(|b| b.count_zeros()).sum();
        assert_eq!(cleared, 3);
        maps.open_msr(0x4000_0000, MsrAccess::ReadWrite);
    }

    #[test]
    fn of_the_x2apic_only_what_the_cpu_virtualizes_is_open() {
        let mut maps = PermissionMaps::intercept_all().unwrap();
        maps.open_msr(0x174, MsrAccess::ReadWrite);
        let open = |map: &Page, position: usize| map.0[position / 8] >> (position % 8) & 1 == 0;
        for msr in 0..0x2000_usize {
            let (read, write) = (msr, msr + SPLIT_WRITES);
            let other = msr == 0x174;
            assert_eq!(open(&maps.split_msrs, read), other, "{msr:#x}");
            assert_eq!(open(&maps.split_msrs, write), other, "{msr:#x}");
            let map = &maps.virtual_apic_msrs;
            let reads = matches!(msr, 0x808 | 0x80a | 0x810..=0x827);
            assert_eq!(open(map, read), reads || other, "{msr:#x}");
            let writes = matches!(msr, 0x808 | 0x80b | 0x83f);
            assert_eq!(open(map, write), writes || other, "{msr:#x}");
        }
    }

    #[test]
    fn the_last_port_has_a_bit() {
        let mut maps = PermissionMaps::intercept_all().unwrap();
        maps.open_ports(0xffff, 0xffff);
        assert_eq!(byte(&maps.ports.0, 0x1fff), 0x7f);
    }
}
