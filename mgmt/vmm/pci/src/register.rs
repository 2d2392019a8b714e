//! Registers of a type 0 configuration header (6.1).

/// Bytes of a function's conventional configuration space.
pub(crate) const CONFIG_BYTES: usize = 256;

pub(crate) const VENDOR: usize = 0x00;
pub(crate) const DEVICE: usize = 0x02;
/// The command register, 16 bits: [`command`].
pub const COMMAND: u16 = 0x04;
/// The status register, 16 bits.
pub const STATUS: u16 = 0x06;
pub(crate) const REVISION: usize = 0x08;
pub(crate) const CLASS: usize = 0x09;
/// The first of six BARs.
pub(crate) const BAR0: usize = 0x10;
pub(crate) const SUBSYSTEM_VENDOR: usize = 0x2c;
pub(crate) const SUBSYSTEM: usize = 0x2e;
/// Offset of the first capability.
pub const CAPABILITIES: u16 = 0x34;
/// Where firmware tells the operating system the interrupt; the device does not use it.
pub const INTERRUPT_LINE: u16 = 0x3c;
pub(crate) const INTERRUPT_PIN: usize = 0x3d;
/// Where capabilities may begin.
pub(crate) const FIRST_CAPABILITY: usize = 0x40;

/// Bits of the command register (6.2.2).
pub mod command {
    /// BARs in memory answer.
    pub const MEMORY: u16 = 1 << 1;
    /// The function may reach memory and send messages.
    pub const BUS_MASTER: u16 = 1 << 2;
    pub(crate) const PARITY: u16 = 1 << 6;
    pub(crate) const SERR: u16 = 1 << 8;
    /// The function may not assert its pin.
    pub const INTX_DISABLE: u16 = 1 << 10;
}

/// Bits of the low byte of the status register (6.2.3).
pub(crate) mod status {
    /// The function has an interrupt to signal by its pin.
    pub const INTERRUPT: u8 = 1 << 3;
    /// There is a list of capabilities.
    pub const CAPABILITIES: u8 = 1 << 4;
}
