//! The event page: how the hypervisor tells the management partition that something happened.
//!
//! One page of 512 words of 64 bits. Word 0 is the selector: bit n is set when word n (1 to 63) has bits set
//! since the partition last looked. Port p (64 to 4095) is bit p % 64 of word p / 64. The hypervisor
//! sets the port's bit, then the selector's bit, then, where the selector was 0, posts the vector; all with
//! atomic operations. The partition takes the selector by an atomic exchange with 0, then each word
//! so. Events coalesce and never get lost: the port says what to look at, the state there says what is new.

/// Smallest port (the selector word has no ports).
pub const FIRST_PORT: u16 = 64;

/// One more than the largest port.
pub const PORTS: u16 = 4096;
