//! Start of the further CPUs (SDM 3A 9.4.4): INIT, start-up, and the wait for their arrival.

mod clocks;

use core::sync::atomic::{AtomicU64, Ordering};

use bulkhead_boot::{MemoryKind, MemoryRegion, PhysicalBytes};
use bulkhead_core::addr::{Hpa, HpaRange, PAGE_SIZE};
use bulkhead_core::id::{ApicId, CpuId};
use bulkhead_core::time::{Hertz, Ticks};

use crate::layout::Stack;
use crate::percpu::PerCpu;
use crate::space::SpaceError;
use crate::{apic, registers, space, warn};

/// What the entry code offers for further CPUs.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Real-mode code that runs at the start of any page below 1 MiB.
    pub trampoline: &'static [u8],
    /// Page-table root, stack top, and argument of the next CPU to arrive.
    pub mailbox: &'static [AtomicU64; 3],
}

/// The page below 1 MiB that further CPUs start at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StartPage(u8);

impl StartPage {
    /// Picks a page of usable RAM below 640 KiB that `reserved` does not touch; the highest, since
    /// boot loaders keep their data low. Page 0 stays untouched: it has the BIOS's vectors.
    pub fn choose(memory: &[MemoryRegion], reserved: &[HpaRange]) -> Option<Self> {
        (1..0xa0_u8).rev().map(StartPage).find(|page| {
            let Some(range) = HpaRange::new(page.address(), PAGE_SIZE) else {
                return false;
            };
            let usable = memory.iter().any(|region| {
                region.kind == MemoryKind::Usable
                    && region.range.start <= range.start
                    && region.range.end >= range.end
            });
            let claimed = memory
                .iter()
                .filter(|region| region.kind != MemoryKind::Usable)
                .map(|region| &region.range)
                .chain(reserved)
                .any(|taken| taken.overlaps(&range));
            usable && !claimed
        })
    }

    /// Its address.
    pub const fn address(self) -> Hpa {
        Hpa::new(self.0 as u64 * PAGE_SIZE)
    }

    /// Copies the trampoline there, through the early identity map; false where it does not fit.
    ///
    /// # Safety
    /// The early identity map must be active, and the page unused.
    pub unsafe fn fill(self, entry: &Entry, memory: &impl PhysicalBytes) -> bool {
        let bytes = entry.trampoline.len();
        if bytes > PAGE_SIZE as usize || memory.slice(self.address(), bytes).is_none() {
            return false;
        }
        let target = core::ptr::with_exposed_provenance_mut(self.address().as_u64() as usize);
        // SAFETY: the page is RAM of no other use and mapped, says the caller.
        unsafe { core::ptr::copy_nonoverlapping(entry.trampoline.as_ptr(), target, bytes) };
        true
    }
}

/// Why a CPU does not take part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// It did not arrive within a second.
    NoAnswer,
    /// There is no memory for its stacks.
    Memory(SpaceError),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StartError::NoAnswer => f.write_str("it does not answer"),
            StartError::Memory(error) => write!(f, "no memory for its stacks: {error}"),
        }
    }
}

/// Resets the CPUs with these APICs, so that they wait for start-up.
///
/// # Safety
/// Nothing may rely on what these CPUs were doing.
pub unsafe fn reset(apics: impl Iterator<Item = ApicId>, tsc: Hertz) {
    for apic in apics {
        // SAFETY: passed on from the caller.
        unsafe { apic::send_init(apic) };
    }
    // SDM 3A 9.4.4.1: 10 ms between INIT and start-up, for all of them at once.
    wait(milliseconds(10, tsc), || false);
}

fn milliseconds(count: u64, tsc: Hertz) -> Ticks {
    Ticks(tsc.get() / 1000 * count)
}

/// Starts the CPU with this APIC, which was [`reset`], and waits until it has arrived.
///
/// # Errors
/// [`StartError`]; the CPU stays out then, even if it arrives later.
///
/// # Safety
/// `page` must hold the trampoline of `entry`; the boot CPU must run on the final tables with its
/// APIC enabled; `cpu` and `apic` must not be in use.
pub unsafe fn start(
    cpu: CpuId,
    apic: ApicId,
    page: StartPage,
    entry: &Entry,
    tsc: Hertz,
) -> Result<&'static PerCpu, StartError> {
    space::map_cpu_region(cpu).map_err(StartError::Memory)?;
    // SAFETY: the region was mapped just now, by this only call for the CPU.
    let block = unsafe { PerCpu::create(cpu, apic) };
    space::attach_windows(block);
    let [root, stack, argument] = entry.mailbox;
    root.store(space::root().as_u64(), Ordering::Relaxed);
    argument.store(
        (&raw const *block).expose_provenance() as u64,
        Ordering::Relaxed,
    );
    // The stack is the ticket that a CPU takes: Release, so that it finds the other words set.
    stack.store(Stack::MAIN.top(cpu).as_u64(), Ordering::Release);
    clocks::begin();
    let mut behind = Ticks(0);
    let mut is_online = || {
        behind = behind.max(clocks::behind());
        block.online.load(Ordering::Acquire)
    };
    for patience in [milliseconds(20, tsc), milliseconds(1000, tsc)] {
        // SAFETY: the target waits for start-up, and the page is filled. A CPU that runs already ignores the second start-up.
        unsafe { apic::send_startup(apic, page.0) };
        // Pairs with the release in `arrived`.
        if wait(patience, &mut is_online) {
            report(behind, CpuId(0));
            return Ok(block);
        }
    }
    // Withdraw the ticket. A CPU that took it at the last moment is given time to arrive.
    if stack.swap(0, Ordering::AcqRel) == 0
        && wait(milliseconds(1000, tsc), || {
            block.online.load(Ordering::Acquire)
        })
    {
        return Ok(block);
    }
    Err(StartError::NoAnswer)
}

/// Tells the boot CPU that the CPU of `block`, on which this runs, is ready. On a further CPU the
/// clocks are compared first: the boot CPU is in [`start`] then.
pub fn arrived(block: &PerCpu) {
    if block.cpu != CpuId(0) {
        report(clocks::compare(), block.cpu);
    }
    block.online.store(true, Ordering::Release);
}

/// Warns where a CPU's clock is behind. RDTSC is not ordered with loads, and may be early by a few
/// hundred ticks of instructions in flight.
fn report(behind: Ticks, cpu: CpuId) {
    const IN_FLIGHT: Ticks = Ticks(500);
    if behind > IN_FLIGHT {
        warn!("the TSC of CPU {cpu} is {} ticks behind", behind.0);
    }
}

/// Spins until `done` or until `patience` has passed; whether `done`.
fn wait(patience: Ticks, mut done: impl FnMut() -> bool) -> bool {
    let end = registers::tsc() + patience;
    while registers::tsc() < end {
        if done() {
            return true;
        }
        core::hint::spin_loop();
    }
    done()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(start: u64, end: u64, kind: MemoryKind) -> MemoryRegion {
        MemoryRegion {
            range: HpaRange {
                start: Hpa::new(start),
                end: Hpa::new(end),
            },
            kind,
        }
    }

    #[test]
    fn the_start_page_is_the_highest_free_one() {
        let memory = [
            region(0, 0x9_fc00, MemoryKind::Usable),
            region(0x9_fc00, 0xa_0000, MemoryKind::Reserved),
            region(0x10_0000, 0x4000_0000, MemoryKind::Usable),
        ];
        assert_eq!(StartPage::choose(&memory, &[]), Some(StartPage(0x9e)));
        let taken = [region(0x9_0000, 0x9_f000, MemoryKind::Usable).range];
        assert_eq!(StartPage::choose(&memory, &taken), Some(StartPage(0x8f)));
    }

    #[test]
    fn overlapping_reservations_win_and_page_zero_is_never_used() {
        let memory = [
            region(0, 0x3000, MemoryKind::Usable),
            region(0x1000, 0x3000, MemoryKind::Reserved),
        ];
        assert_eq!(StartPage::choose(&memory, &[]), None);
    }
}
