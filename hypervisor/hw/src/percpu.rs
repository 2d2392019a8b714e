//! The per-CPU block.
//!
//! It lies at the end of the CPU's region ([`crate::layout`]), so that it is found in two ways: through
//! GS, and from the stack pointer, for code that runs while GS still belongs to a guest.

use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use bulkhead_core::id::{ApicId, CpuId, Vector};

use crate::gdt::CpuTables;
use crate::layout::{self, CPU_REGION_BYTES, MAX_CPUS, PER_CPU_OFFSET};
use crate::msr::Msr;
use crate::windows::Windows;

/// What one CPU keeps for itself. Other CPUs touch only the atomics.
#[repr(C, align(4096))]
pub struct PerCpu {
    /// The block's own address, so that `gs:0` gives it.
    this: usize,
    /// Interrupt vectors that arrived, one bit each; set by the interrupt stubs.
    pub pending: [AtomicU64; 4],
    /// NMIs that arrived.
    pub nmis: AtomicU32,
    /// Whether the CPU has arrived in Rust code on its own stack.
    pub online: AtomicBool,
    /// The CPU's number.
    pub cpu: CpuId,
    /// The CPU's local APIC.
    pub apic: ApicId,
    /// Temporary mappings.
    pub(crate) windows: Windows,
    pub(crate) tables: CpuTables,
}

const _: () = assert!(size_of::<PerCpu>() as u64 <= CPU_REGION_BYTES - PER_CPU_OFFSET);

/// Where the pending bits are, counted from the last byte of the region (for the interrupt stubs).
pub(crate) const PENDING_FROM_LAST: i64 =
    PER_CPU_OFFSET as i64 + offset_of!(PerCpu, pending) as i64 - (CPU_REGION_BYTES as i64 - 1);
/// Where the count of NMIs is, counted the same way.
pub(crate) const NMIS_FROM_LAST: i64 =
    PER_CPU_OFFSET as i64 + offset_of!(PerCpu, nmis) as i64 - (CPU_REGION_BYTES as i64 - 1);

/// A bit for each CPU whose block exists.
static CREATED: AtomicU64 = AtomicU64::new(0);
const _: () = assert!(MAX_CPUS <= 64);

impl PerCpu {
    /// The blocks of all CPUs that were created, those that did not arrive included.
    pub fn all() -> impl Iterator<Item = &'static PerCpu> {
        // Pairs with the release in `create`.
        let created = CREATED.load(Ordering::Acquire);
        (0..MAX_CPUS as u16)
            .filter(move |number| created >> number & 1 == 1)
            .map(|number| {
                let address = layout::per_cpu(CpuId(number)).as_u64() as usize;
                // SAFETY: the bit says that the block was filled; it stays for ever.
                unsafe { &*core::ptr::with_exposed_provenance(address) }
            })
    }

    /// Fills the block of `cpu` and gives it out for good.
    ///
    /// # Safety
    /// The region of `cpu` must be mapped as [`crate::layout`] says, its block must be zero, and
    /// this must be the only call for that CPU.
    pub unsafe fn create(cpu: CpuId, apic: ApicId) -> &'static PerCpu {
        let address = layout::per_cpu(cpu).as_u64() as usize;
        let block = core::ptr::with_exposed_provenance_mut::<PerCpu>(address);
        // SAFETY: the caller promised a mapped block that nobody else uses yet.
        unsafe {
            block.write(PerCpu {
                this: address,
                pending: [const { AtomicU64::new(0) }; 4],
                nmis: AtomicU32::new(0),
                online: AtomicBool::new(false),
                cpu,
                apic,
                windows: Windows::new(cpu),
                tables: CpuTables::new(cpu),
            });
        }
        CREATED.fetch_or(1 << cpu.0, Ordering::Release);
        // SAFETY: filled just now, and never written as a whole again.
        unsafe { &*block }
    }

    /// Makes this the block of the running CPU: descriptor tables and GS.
    ///
    /// # Safety
    /// The block must be that of the running CPU, and the IDT must be loaded by
    /// [`crate::idt::load`] right after.
    pub unsafe fn install(&'static self) {
        // SAFETY: the block is mapped for good and belongs to this CPU.
        unsafe {
            self.tables.load();
            Msr::GS_BASE.write(self.this as u64);
        }
    }

    /// The block of the running CPU. Only with the hypervisor's GS, that is not between the exit
    /// from a guest and the reload of the host's segments.
    #[inline]
    pub fn current() -> &'static PerCpu {
        let address: usize;
        // SAFETY: reads the block's first word; GS base is set before any caller can run.
        unsafe {
            asm!("mov {}, gs:[0]", out(reg) address, options(readonly, nostack, preserves_flags));
        }
        // SAFETY: the word holds the address of the block, which lives for ever.
        unsafe { &*core::ptr::with_exposed_provenance(address) }
    }

    /// The block of the running CPU, found from the stack pointer: right on every stack of a CPU's
    /// region, whatever GS holds.
    #[inline]
    pub fn from_stack() -> &'static PerCpu {
        let address: u64;
        // SAFETY: only copies the stack pointer.
        unsafe {
            asm!("mov {}, rsp", out(reg) address, options(nomem, nostack, preserves_flags));
        }
        let block = (address & !(CPU_REGION_BYTES - 1)) + PER_CPU_OFFSET;
        // SAFETY: stacks lie in the region of their CPU, whose block is mapped for good. Code on
        // the boot stack runs before any CPU is created and has no caller of this.
        unsafe { &*core::ptr::with_exposed_provenance(block as usize) }
    }

    /// Takes one vector that arrived, the highest first.
    #[inline]
    pub fn take_pending(&self) -> Option<Vector> {
        for (index, word) in self.pending.iter().enumerate().rev() {
            let bits = word.load(Ordering::Relaxed);
            if bits != 0 {
                let bit = 63 - bits.leading_zeros();
                // Pairs with the stub's locked bit set: what the interrupt announces is visible.
                word.fetch_and(!(1 << bit), Ordering::Acquire);
                return Some(Vector((index as u32 * 64 + bit) as u8));
            }
        }
        None
    }

    /// Whether any vector arrived that was not taken.
    #[inline]
    pub fn any_pending(&self) -> bool {
        let sum = self
            .pending
            .iter()
            .fold(0, |sum, word| sum | word.load(Ordering::Relaxed));
        sum != 0
    }
}

// SAFETY: the plain fields are written before the block is shared and only read afterwards; the
// windows and tables are used by the owning CPU alone, which `Windows` checks by its own flag.
unsafe impl Sync for PerCpu {}
