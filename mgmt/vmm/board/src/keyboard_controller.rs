//! What remains of the keyboard controller: its pulse on the reset line.

use vmm_pci::Width;

use crate::map;

/// Output full, self-test passed, not locked; and never busy with input.
///
/// A kernel that looks for a controller empties it first, finds that it does not get empty, and says that there is none
/// (Linux after 16 bytes); one that resets by it waits for "not busy", which is so at once. All ones, as where there is
/// nothing, would let the second wait long.
const STATUS: u64 = 0x15;

/// The guest has pulsed the reset line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ResetPulse;

/// Reads one of its ports.
pub(crate) fn read(port: u16, width: Width) -> u64 {
    match (port, width) {
        (map::KEYBOARD_COMMAND, Width::Byte) => STATUS,
        _ => width.ones(),
    }
}

/// Writes one of its ports. The hypervisor takes the pulse itself where it can; this is for where it cannot.
pub(crate) fn write(port: u16, value: u64) -> Option<ResetPulse> {
    (port == map::KEYBOARD_COMMAND && value & 0xff == 0xfe).then_some(ResetPulse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reset_command_does_anything() {
        assert_eq!(write(0x64, 0xfe), Some(ResetPulse));
        assert_eq!(write(0x64, 0xaa), None);
        assert_eq!(write(0x60, 0xfe), None);
        assert_eq!(read(0x64, Width::Byte) & 3, 1);
        assert_eq!(read(0x60, Width::Byte), 0xff);
    }
}
