//! The console page: a guest's serial port as its managers see it.
//!
//! One page per partition, registered by `hypercall::Number::ConsolePage`, which sets the hypervisor's two counters to 0; management
//! does so with its own before. Counters run on and wrap at 2^32; a byte
//! with number n lies at n modulo the ring's size. Who writes a counter stores it with release after the bytes, who reads it loads it with
//! acquire. The hypervisor trusts nothing in the page: it keeps its own counters and takes the other side's modulo the ring.
//!
//! Output: the guest's bytes. Where the ring is full the guest's transmitter stays busy, so that nothing is lost. The event port is raised
//! when the ring is half full, or some milliseconds after the first byte that nobody was told of.
//! Input: bytes for the guest; after storing `input_head` management calls `hypercall::Number::ConsoleInput`. The event port is raised as
//! well when the guest has taken half of the input from a ring that was full.

/// Offset of the number of the next output byte; written by the hypervisor (u32).
pub const OUTPUT_HEAD: usize = 0;
/// Offset of the number of the first output byte not taken; written by management (u32).
pub const OUTPUT_TAIL: usize = 64;
/// Offset of the number of the next input byte; written by management (u32).
pub const INPUT_HEAD: usize = 128;
/// Offset of the number of the first input byte that the guest has not got; written by the hypervisor (u32).
pub const INPUT_TAIL: usize = 192;
/// Offset of the input ring.
pub const INPUT: usize = 1024;
/// Bytes of the input ring.
pub const INPUT_BYTES: usize = 1024;
/// Offset of the output ring.
pub const OUTPUT: usize = 2048;
/// Bytes of the output ring.
pub const OUTPUT_BYTES: usize = 2048;

const _: () = assert!(INPUT + INPUT_BYTES == OUTPUT && OUTPUT + OUTPUT_BYTES == 4096);
const _: () = assert!(INPUT_BYTES.is_power_of_two() && OUTPUT_BYTES.is_power_of_two());
