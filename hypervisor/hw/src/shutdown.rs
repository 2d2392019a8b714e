//! Ways to end: QEMU's debug exit, power off, reset.

use spin::Once;

use crate::acpi::{Acpi, Fadt, SoftOff};
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

/// What the firmware says about ends: set once at bring-up.
static FACTS: Once<(Fadt, Option<SoftOff>)> = Once::new();

/// Remembers how this machine is reset and switched off.
pub fn use_acpi(acpi: &Acpi) {
    if let Some(fadt) = acpi.fadt {
        FACTS.call_once(|| (fadt, acpi.soft_off));
    }
}

const SLEEP_ENABLE: u16 = 1 << 13;
const SLEEP_TYPE: u16 = 7 << 10;
/// ACPI mode is on.
const SCI_ENABLE: u16 = 1;
/// Polls until ACPI mode counts as not coming.
const PATIENCE: u32 = 1_000_000;

/// Switches the machine off by ACPI; returns where it cannot.
pub fn power_off() {
    let Some((fadt, Some(soft_off))) = FACTS.get() else {
        return;
    };
    let [Some(first), second] = fadt.pm1_control else {
        return;
    };
    // SAFETY: the firmware says that these are the power-management registers, which have no DMA.
    let mut control = unsafe { Port::<u16>::new(first) };
    if let Some((port, value)) = fadt.enable
        && control.read() & SCI_ENABLE == 0
    {
        // SAFETY: as above.
        unsafe { Port::<u8>::new(port) }.write(value);
        for _ in 0..PATIENCE {
            if control.read() & SCI_ENABLE != 0 {
                break;
            }
        }
    }
    let order = |old: u16, kind: u8| old & !SLEEP_TYPE | u16::from(kind) << 10 | SLEEP_ENABLE;
    let old = control.read();
    control.write(order(old, soft_off.a));
    if let Some(second) = second {
        // SAFETY: as above.
        let mut control = unsafe { Port::<u16>::new(second) };
        let old = control.read();
        control.write(order(old, soft_off.b));
    }
}

/// Restarts the machine: by ACPI's reset register, by the PC's reset control register, then by the
/// keyboard controller. Returns where none of them works.
pub fn reset() {
    let register = FACTS.get().and_then(|(fadt, _)| fadt.reset);
    if let Some((register, value)) = register
        && let Some(port) = register.port()
    {
        // SAFETY: the firmware says that this register resets the machine.
        unsafe { Port::<u8>::new(port) }.write(value);
    }
    // SAFETY: these registers reset the machine and do nothing else.
    unsafe {
        Port::<u8>::new(0xcf9).write(0x02);
        Port::<u8>::new(0xcf9).write(0x06);
        Port::<u8>::new(0x64).write(0xfe);
    }
}
