//! The APIC's registers in memory, for the bare test bed: QEMU's emulated CPU has no x2APIC mode there.

const BASE: u64 = 0xfee0_0000;

/// The firmware has turned the APIC on.
pub fn enable() {}

/// Writes the register at offset `register` * 16.
pub fn write(register: u32, value: u32) {
    let address = (BASE + u64::from(register) * 16) as *mut u32;
    // SAFETY: the composition root maps the page; callers pass registers that exist and can be written.
    unsafe { address.write_volatile(value) };
}
