//! What core needs from the physical CPU it runs on: clock, timer, other CPUs, memory of guests.
//!
//! `bulkhead-hw` and the binary implement it once; the unit tests do with a fake.

use core::sync::atomic::AtomicU64;

use bulkhead_abi::host::HostInfo;

use crate::addr::Hpa;
use crate::id::{CpuId, Vector};
use crate::lifecycle::maker::Maker;
use crate::machine::Machine;
use crate::time::Instant;

/// A page that the hypervisor shares with a partition, as atomic words.
pub type SharedPage = &'static [AtomicU64; 512];

/// Interrupt vectors of the host that came since the last look, a bit each.
pub type HostVectors = [u64; 4];

/// The vector of the CPU's own timer.
pub const TIMER_VECTOR: Vector = Vector(0xef);
/// The vector of [`Host::kick`].
pub const KICK_VECTOR: Vector = Vector(0xee);
/// The vectors that devices may get.
pub const DEVICE_VECTORS: core::ops::RangeInclusive<u8> = 0x30..=0xdf;

/// Most bytes of a log line.
pub const LOG_LINE: usize = 256;

/// How the machine ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MachineEnd {
    /// Power off (or a clean end of the emulator).
    PowerOff,
    /// Restart.
    Reset,
}

/// The physical CPU, and through it the machine. Each CPU has its own.
pub trait Host: Maker {
    /// This CPU.
    fn cpu(&self) -> CpuId;

    /// The TSC now.
    fn now(&self) -> Instant;

    /// Makes the CPU's timer interrupt at `deadline` at the latest; an earlier deadline that is armed already stays.
    fn arm(&mut self, deadline: Instant);

    /// The timer's interrupt came: nothing is armed any more.
    fn disarmed(&mut self);

    /// Interrupts another CPU, so that it looks at its inbox and its vCPUs.
    fn kick(&self, cpu: CpuId);

    /// Takes the host's interrupt vectors that came since the last call.
    fn take_vectors(&mut self) -> HostVectors;

    /// Whether a vector waits for [`Host::take_vectors`]. Asked with interrupts held back, so that a `false` stays true.
    fn has_vectors(&self) -> bool;

    /// Sleeps until an interrupt; returns at once where a vector waits for [`Host::take_vectors`].
    fn idle(&mut self);

    /// Copies memory of a partition; `bytes` does not leave the 4 KiB frame.
    fn read(&mut self, at: Hpa, bytes: &mut [u8]);

    /// Copies into memory of a partition; `bytes` does not leave the 4 KiB frame.
    fn write(&mut self, at: Hpa, bytes: &[u8]);

    /// Zeroes the 4 KiB frame at `frame`, which belongs to a partition.
    fn zero(&mut self, frame: Hpa);

    /// The partition's frame at `frame` as a shared page; the same page each time. `None` where the hypervisor's memory
    /// is exhausted.
    fn shared(&mut self, frame: Hpa) -> Option<SharedPage>;

    /// The message (address, data) with which the function `requester` raises `vector` on `cpu`.
    fn message(&mut self, cpu: CpuId, vector: Vector, requester: u16) -> (u32, u32);

    /// The CPU and vector that a message of [`Host::message`] names.
    fn message_target(&self, address: u32, data: u32) -> Option<(CpuId, Vector)>;

    /// Stops the DMA of all devices before the management partition's memory is used anew.
    fn quiesce_devices(&mut self);

    /// Queues a line of a partition for the console and the log.
    fn print(&mut self, partition: &str, line: &str);

    /// What all CPUs share.
    fn machine(&self) -> &'static Machine;

    /// What is known of the machine, for its managers.
    fn info(&self) -> HostInfo;

    /// Writes pending console output; only outside of the exit path.
    fn flush_console(&mut self);

    /// Copies the oldest log line with a number of at least `from`: its length and the number of the next one.
    fn read_log(&mut self, from: u64, line: &mut [u8; LOG_LINE]) -> Option<(usize, u64)>;

    /// Reports a fault of a partition or the system on the console.
    fn report(&mut self, message: core::fmt::Arguments<'_>);

    /// Ends or restarts the machine.
    fn end(&mut self, end: MachineEnd) -> !;
}
