//! Whether the TSCs of two CPUs agree: the TSC is the hypervisor's one clock.
//!
//! Both CPUs publish their TSC in one place for a while. A CPU that finds a later time there than
//! its own TSC shows right after is behind: time would run backwards between the two.

use core::sync::atomic::{AtomicU64, Ordering};

use bulkhead_core::time::{Instant, Ticks};

use crate::registers;

/// Readings that each CPU compares.
const ROUNDS: u32 = 2000;

/// The latest reading of either CPU.
static LATEST: AtomicU64 = AtomicU64::new(0);

/// Forgets readings from before; on the boot CPU, before another one starts.
pub(super) fn begin() {
    LATEST.store(0, Ordering::Relaxed);
}

/// Publishes the running CPU's TSC once, and says by how much it is behind the other CPU's.
pub(super) fn behind() -> Ticks {
    // Acquire: the other CPU's reading happened before ours.
    let other = Instant(LATEST.load(Ordering::Acquire));
    let own = registers::tsc();
    LATEST.fetch_max(own.0, Ordering::AcqRel);
    other.since(own)
}

/// Compares for a while, on a CPU that just started; the worst it was behind.
pub(super) fn compare() -> Ticks {
    (0..ROUNDS).map(|_| behind()).max().unwrap_or_default()
}
