//! The log: a ring in fixed memory from the first line on, drained to the console by slow paths.
//!
//! Any code that may format calls [`info!`](crate::info) and its siblings: they put a record into
//! the ring. During bring-up ([`Delivery::AtOnce`]) the record goes on to the console as well;
//! afterwards ([`Delivery::WhenIdle`]) the run loops call [`drain_some`] on their passes.
//!
//! Lock order: the ring's lock and the console's are never held together.

mod ring;

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

pub use ring::{Level, Record, Ring};
use spin::Mutex;

use crate::framebuffer::TextScreen;
use crate::percpu::PerCpu;
use crate::{console, registers, warn};

static RING: Mutex<Ring> = Mutex::new(Ring::new());
/// Sequence number of the next record for the console.
static PRINTED: AtomicU64 = AtomicU64::new(0);
static AT_ONCE: AtomicBool = AtomicBool::new(true);
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// When a record reaches the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Before the call that logs it returns.
    AtOnce,
    /// With the next passes of a run loop.
    WhenIdle,
}

/// Sets when records reach the console.
pub fn set_delivery(delivery: Delivery) {
    AT_ONCE.store(delivery == Delivery::AtOnce, Ordering::Relaxed);
}

/// Sets the least severe level that is recorded.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Records a line. Use the macros.
pub fn record(level: Level, text: fmt::Arguments<'_>) {
    if level != Level::Partition && level as u8 > LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let now = registers::tsc();
    RING.lock().push(now, level, text);
    // Release: partner of the exchange in `drain_some`, which then finds the record.
    UNPRINTED.store(true, Ordering::Release);
    if AT_ONCE.load(Ordering::Relaxed) {
        drain();
    }
}

/// Whether records came since the last [`drain_some`], or were left by it.
static UNPRINTED: AtomicBool = AtomicBool::new(false);

/// Most lines that one pass of a run loop prints.
const LINES_A_PASS: u32 = 8;

/// Whether [`drain_some`] has something to print.
#[inline]
pub fn has_unprinted() -> bool {
    UNPRINTED.load(Ordering::Relaxed)
}

/// Prints a few lines of what the console has not shown yet; a few instructions where there is nothing. For the run loop, which
/// comes by on every pass: a guest that prints without end must not keep this CPU from its own guests.
#[inline]
pub fn drain_some() {
    let noted = PerCpu::from_stack().nmis.load(Ordering::Relaxed) != 0;
    if noted || has_unprinted() && UNPRINTED.swap(false, Ordering::Acquire) {
        drain_lines(LINES_A_PASS);
    }
}

/// Prints what the console has not shown yet. Not for exit paths: it waits for the serial port.
pub fn drain() {
    drain_lines(u32::MAX);
}

/// Prints the rest before the machine ends, or waits while another CPU does so, for as long as a console may take.
pub fn drain_at_end() {
    /// Looks, each of some tens of instructions.
    const PATIENCE: u32 = 3_000_000;
    for _ in 0..PATIENCE {
        drain();
        let all_is_printed = RING.lock().read(PRINTED.load(Ordering::Relaxed)).is_none();
        if all_is_printed && console::try_lock().is_some() {
            return;
        }
        core::hint::spin_loop();
    }
}

#[cold]
fn drain_lines(most: u32) {
    PerCpu::all().for_each(report_nmis);
    // The console's lock makes one CPU the drainer; what others add meanwhile it prints too. The
    // outer loop catches a record that was added while the lock was being released.
    let mut left = most;
    while RING.lock().read(PRINTED.load(Ordering::Relaxed)).is_some() {
        let Some(mut console) = console::try_lock() else {
            return;
        };
        left = drain_into(&mut console, left);
        if left == 0 {
            UNPRINTED.store(true, Ordering::Release);
            return;
        }
    }
}

/// Prints the rest of the log, or as many records, with a console that the caller holds; gives up where the ring's holder does not
/// let go. Returns how many more might have been printed.
pub(crate) fn drain_into(console: &mut console::Console, most: u32) -> u32 {
    /// Spins before the holder counts as stopped.
    const PATIENCE: u32 = 1_000_000;
    for printed in 0..most {
        let left = most - printed;
        let position = PRINTED.load(Ordering::Relaxed);
        let Some(ring) = (0..PATIENCE).find_map(|_| RING.try_lock()) else {
            return left;
        };
        let Some((sequence, record)) = ring.read(position) else {
            return left;
        };
        drop(ring);
        if sequence > position {
            let lost = sequence - position;
            console.line(format_args!("bulkhead: {lost} log lines lost\n"));
        }
        console.line(format_args!("{record}\n"));
        PRINTED.store(sequence + 1, Ordering::Relaxed);
    }
    0
}

fn report_nmis(block: &PerCpu) {
    let nmis = block.nmis.swap(0, Ordering::Relaxed);
    if nmis > 0 {
        warn!("CPU {}: {nmis} unexpected NMIs", block.cpu);
    }
}

/// Writes all that the ring still holds to a screen that was not there before.
pub fn replay(screen: &mut TextScreen) {
    let mut next = 0;
    while next < PRINTED.load(Ordering::Relaxed)
        && let Some((sequence, record)) = read(next)
    {
        screen.print(format_args!("{record}\n"));
        next = sequence + 1;
    }
}

/// The oldest record with a sequence number of at least `sequence`, and its number.
pub fn read(sequence: u64) -> Option<(u64, Record)> {
    RING.lock().read(sequence)
}

/// Records an error that the operator must see.
#[macro_export]
macro_rules! error {
    ($($text:tt)*) => { $crate::log::record($crate::log::Level::Error, format_args!($($text)*)) };
}

/// Records something odd that the hypervisor lives with.
#[macro_export]
macro_rules! warn {
    ($($text:tt)*) => { $crate::log::record($crate::log::Level::Warn, format_args!($($text)*)) };
}

/// Records normal progress.
#[macro_export]
macro_rules! info {
    ($($text:tt)*) => { $crate::log::record($crate::log::Level::Info, format_args!($($text)*)) };
}

/// Records detail for developers.
#[macro_export]
macro_rules! debug {
    ($($text:tt)*) => { $crate::log::record($crate::log::Level::Debug, format_args!($($text)*)) };
}
