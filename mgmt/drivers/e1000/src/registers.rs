//! Registers and descriptor fields (13.4, 3.2.3, 3.3.3).

/// Bytes of registers that the driver reaches.
pub const LENGTH: usize = 0x5408;

pub const CTRL: usize = 0x0000;
/// Device control: the card finds speed and duplex by itself.
pub const CTRL_AUTO_SPEED: u32 = 1 << 5;
/// Device control: the link is up.
pub const CTRL_SET_LINK_UP: u32 = 1 << 6;
/// Device control: reset; clears itself.
pub const CTRL_RESET: u32 = 1 << 26;

/// EEPROM read: start, address, done bit and data in the high half. Where address and done bit are, the model says.
pub const EERD: usize = 0x0014;
pub const EERD_START: u32 = 1 << 0;

/// Interrupt causes; reading clears them.
pub const ICR: usize = 0x00c0;
/// Interrupt throttling, in units of 256 ns between two interrupts.
pub const ITR: usize = 0x00c4;
pub const IMS: usize = 0x00d0;
pub const IMC: usize = 0x00d8;
/// A transmitted frame's descriptor was written back.
pub const CAUSE_SENT: u32 = 1 << 0;
/// Received: few descriptors left, none left, a frame.
pub const CAUSES_RECEIVED: u32 = 1 << 4 | 1 << 6 | 1 << 7;

pub const RCTL: usize = 0x0100;
pub const RCTL_ENABLE: u32 = 1 << 1;
pub const RCTL_BROADCAST: u32 = 1 << 15;
/// The frame check sequence does not go to memory. Buffers have 2048 bytes where no other bit says otherwise.
pub const RCTL_STRIP_CRC: u32 = 1 << 26;

pub const TCTL: usize = 0x0400;
pub const TCTL_ENABLE: u32 = 1 << 1;
/// Short frames are padded to 64 bytes.
pub const TCTL_PAD: u32 = 1 << 3;
/// Collision threshold 15 and distance 64 bytes, as the manual wants them for full duplex.
pub const TCTL_COLLISIONS: u32 = 0x0f << 4 | 0x40 << 12;
/// Gaps between frames.
pub const TIPG: usize = 0x0410;
/// The manual's values for copper: 10, 8 and 6.
pub const TIPG_COPPER: u32 = 10 | 8 << 10 | 6 << 20;

/// First register of the receive queue and of the transmit queue; the offsets below are from it.
pub const RECEIVE_QUEUE: usize = 0x2800;
pub const TRANSMIT_QUEUE: usize = 0x3800;
pub const QUEUE_BASE_LOW: usize = 0x00;
pub const QUEUE_BASE_HIGH: usize = 0x04;
pub const QUEUE_BYTES: usize = 0x08;
pub const QUEUE_HEAD: usize = 0x10;
pub const QUEUE_TAIL: usize = 0x18;

/// Hash table of multicast addresses: 128 words.
pub const MULTICAST: usize = 0x5200;
pub const MULTICAST_WORDS: usize = 128;
/// The card's first address: its low 4 bytes, then 2 more and the valid bit.
pub const ADDRESS_LOW: usize = 0x5400;
pub const ADDRESS_HIGH: usize = 0x5404;
pub const ADDRESS_VALID: u32 = 1 << 31;

/// Bytes of a descriptor.
pub const DESCRIPTOR: usize = 16;
/// Its half-word with the length.
pub const DESCRIPTOR_LENGTH: usize = 8;
/// Its half-word with the status in the low byte; errors follow for a received frame.
pub const DESCRIPTOR_STATUS: usize = 12;
/// Status: the card is done with it.
pub const DONE: u16 = 1 << 0;
/// Status of a received frame: it ends here.
pub const END_OF_FRAME: u16 = 1 << 1;
/// Command byte of a frame to send: it ends here, add the frame check sequence, report.
pub const SEND: u8 = 1 << 0 | 1 << 1 | 1 << 3;
