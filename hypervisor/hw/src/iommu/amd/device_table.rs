//! The device table (48882, 2.2.2): for each requester id, what it may do.

use bulkhead_core::addr::{Hpa, PAGE_SIZE};
use bulkhead_core::id::Bdf;
use bulkhead_core::paging::{Format, TableMemory};

use super::DomainId;
use super::format::AmdVi;
use super::interrupts::{InterruptTable, LENGTH_FIELD};
use crate::iommu::ivrs::Ivrs;

/// Bytes of the table: 32 for each of the 65,536 requester ids.
pub const DEVICE_TABLE_BYTES: u64 = 32 << 16;

const VALID: u64 = 1 << 0;
const TRANSLATION_VALID: u64 = 1 << 1;
const MODE_SHIFT: u32 = 9;
const READ: u64 = 1 << 61;
const WRITE: u64 = 1 << 62;

/// Second quadword: system management messages, from setting bits 4 and 5.
const SYSTEM_MANAGEMENT_SHIFT: u32 = 40;

/// Third quadword: the interrupt fields count.
const INTERRUPTS_VALID: u64 = 1 << 0;
/// Fixed and arbitrated interrupts go through the interrupt table; else they are aborted.
const INTERRUPTS_REMAP: u64 = 2 << 60;
/// INIT, ExtINT and NMI pass: setting bits 0 to 2.
const SYSTEM_PASS_SHIFT: u32 = 56;
/// LINT0 and LINT1 pass: setting bits 6 and 7.
const LINT_PASS_SHIFT: u32 = 62;

/// What a device is allowed: a domain and the root of its page tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Grant {
    /// No access at all, reported under this domain.
    Nothing(DomainId, Hpa),
    /// What the domain reaches, and the interrupts that it may raise.
    Domain(DomainId, Hpa, InterruptTable),
}

/// The table in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeviceTable {
    base: Hpa,
}

impl DeviceTable {
    /// The table at `base`, [`DEVICE_TABLE_BYTES`] of the hypervisor's memory.
    pub(super) const fn new(base: Hpa) -> Self {
        DeviceTable { base }
    }

    /// The value of the base register.
    pub(super) const fn register(&self) -> u64 {
        self.base.as_u64() | (DEVICE_TABLE_BYTES / PAGE_SIZE - 1)
    }

    /// The domain in an entry.
    pub(super) fn domain_of(&self, memory: &impl TableMemory, device: Bdf) -> DomainId {
        let slot = self.base.wrapping_add(u64::from(device.0) * 32);
        DomainId(memory.load(slot.wrapping_add(8)) as u16)
    }

    /// Writes an entry by four stores that keep it valid throughout. A change from one domain to
    /// another must pass through [`Grant::Nothing`] and an invalidation.
    pub(super) fn write(
        &self,
        memory: &mut impl TableMemory,
        device: Bdf,
        grant: Grant,
        description: &Ivrs,
    ) {
        let [first, second, third] = entry(device, grant, description);
        let slot = self.base.wrapping_add(u64::from(device.0) * 32);
        let quad = |index: u64| slot.wrapping_add(index * 8);
        match grant {
            // Withdraw first what counts, and then the rest.
            Grant::Nothing(..) => {
                memory.store(slot, first);
                memory.store(quad(1), second);
                memory.store(quad(2), third);
            }
            Grant::Domain(..) => {
                memory.store(quad(2), third);
                memory.store(quad(1), second);
                memory.store(slot, first);
            }
        }
        memory.store(quad(3), 0);
    }
}

/// The quadwords of an entry; the fourth is 0.
fn entry(device: Bdf, grant: Grant, description: &Ivrs) -> [u64; 3] {
    let (domain, root, access, remap) = match grant {
        Grant::Nothing(domain, root) => (domain, root, 0, 0),
        Grant::Domain(domain, root, interrupts) => {
            let table = interrupts.base().as_u64() | LENGTH_FIELD | INTERRUPTS_REMAP;
            (domain, root, READ | WRITE, table)
        }
    };
    let mode = u64::from(AmdVi.root_level().number()) << MODE_SHIFT;
    let setting = u64::from(description.setting_of(device));
    // The hypervisor's own interrupt sources are left alone, and so is everything where the
    // firmware does not say which ids those use.
    let controlled = description.describes_interrupts() && !description.is_special(device);
    let interrupts = if controlled {
        let system = (setting & 0b111) << SYSTEM_PASS_SHIFT;
        let lint = (setting >> 6) << LINT_PASS_SHIFT;
        INTERRUPTS_VALID | remap | system | lint
    } else {
        0
    };
    [
        VALID | TRANSLATION_VALID | mode | root.as_u64() | access,
        u64::from(domain.get()) | (setting >> 4 & 0b11) << SYSTEM_MANAGEMENT_SHIFT,
        interrupts,
    ]
}
