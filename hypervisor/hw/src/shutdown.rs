//! Ways to end: QEMU's debug exit, reset, halt.

use crate::port::Port;

/// I/O port of QEMU's `isa-debug-exit` device, as our runner configures it.
const DEBUG_EXIT: u16 = 0xf4;
/// I/O ports of QEMU's firmware configuration: selector and data.
const FW_CFG_SELECTOR: u16 = 0x510;
const FW_CFG_DATA: u16 = 0x511;

/// What the runner is told. QEMU ends with status `2 * code + 1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ExitCode {
    /// All went well.
    Clean = 0x10,
    /// The machine lacks what the hypervisor needs.
    CannotRun = 0x11,
    /// The hypervisor crashed.
    Crashed = 0x12,
    /// A partition failed.
    PartitionFailed = 0x13,
}

/// Whether the machine is QEMU: its firmware configuration device says so. The debug exit's port
/// may be anything on other machines.
pub fn is_qemu() -> bool {
    // SAFETY: the device is read-only through these ports; on other machines they are unused
    // (they lie outside of what PCI host bridges decode by default).
    let (mut selector, mut data) = unsafe {
        (
            Port::<u16>::new(FW_CFG_SELECTOR),
            Port::<u8>::new(FW_CFG_DATA),
        )
    };
    selector.write(0);
    b"QEMU".iter().all(|expected| data.read() == *expected)
}

/// Ends QEMU with `code`; returns where there is no QEMU or it has no debug exit.
pub fn exit_qemu(code: ExitCode) {
    if is_qemu() {
        // SAFETY: the debug exit has no DMA; without the device QEMU ignores the write.
        unsafe { Port::<u8>::new(DEBUG_EXIT) }.write(code as u8);
    }
}
