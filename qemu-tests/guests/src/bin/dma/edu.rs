//! QEMU's educational PCI device (1234:11e8, docs/specs/edu of QEMU): a DMA engine and a message-signalled interrupt.

use micro_guests::{check, cpu, fail, wait};

/// Its DMA buffer, as its DMA engine addresses it.
const BUFFER: u64 = 0x4_0000;
/// Registers in BAR 0.
const IDENTIFICATION: u64 = 0;
const RAISE: u64 = 0x60;
const ACKNOWLEDGE: u64 = 0x64;
const DMA_SOURCE: u64 = 0x80;
const DMA_DESTINATION: u64 = 0x88;
const DMA_COUNT: u64 = 0x90;
const DMA_COMMAND: u64 = 0x98;
/// Bits of the command.
const RUN: u64 = 1;
const TO_MEMORY: u64 = 2;

/// Configuration registers.
const COMMAND: u32 = 4;
const BAR_0: u32 = 0x10;
const CAPABILITIES: u32 = 0x34;
/// Memory space and bus master.
const MEMORY_AND_DMA: u32 = 0b110;
/// Where the BAR goes if the firmware gave it no place: below the I/O APIC, above what firmware uses.
const PLACE: u32 = 0xfe00_0000;
const MSI: u32 = 5;
const MSI_ENABLE: u32 = 1 << 16;

/// The device.
pub struct Edu {
    /// Its requester id: bus 0, device and function.
    pub requester: u16,
    registers: u64,
}

impl Edu {
    /// Finds it on bus 0 and switches on its registers and its DMA.
    pub fn find() -> Self {
        let found = (0..32).find(|device| config_read(device << 3, 0) == 0x11e8_1234);
        let Some(device) = found else {
            fail(format_args!("there is no device 1234:11e8"))
        };
        let function = device << 3;
        if config_read(function, BAR_0) & !0xf == 0 {
            config_write(function, BAR_0, PLACE);
        }
        let command = config_read(function, COMMAND) & 0xffff;
        config_write(function, COMMAND, command | MEMORY_AND_DMA);
        let edu = Self {
            requester: function as u16,
            registers: u64::from(config_read(function, BAR_0) & !0xf),
        };
        let identification = edu.read(IDENTIFICATION);
        check!(
            identification & 0xffff == 0xed,
            "its identification is {identification:#x}"
        );
        edu
    }

    /// DMA from memory into the device's buffer.
    pub fn fetch(&self, from: u64, bytes: usize) {
        self.dma(from, BUFFER, bytes, RUN);
    }

    /// DMA from the device's buffer into memory.
    pub fn store(&self, to: u64, bytes: usize) {
        self.dma(BUFFER, to, bytes, RUN | TO_MEMORY);
    }

    fn dma(&self, from: u64, to: u64, bytes: usize, command: u64) {
        self.write_long(DMA_SOURCE, from);
        self.write_long(DMA_DESTINATION, to);
        self.write_long(DMA_COUNT, bytes as u64);
        self.write_long(DMA_COMMAND, command);
        wait::until("the end of a DMA", 5000, || {
            u64::from(self.read(DMA_COMMAND)) & RUN == 0
        });
    }

    /// Has its interrupt sent as this message.
    pub fn program_message(&self, address: u32, data: u32) {
        let function = u32::from(self.requester);
        let mut at = config_read(function, CAPABILITIES) & 0xfc;
        while at != 0 && config_read(function, at) & 0xff != MSI {
            at = config_read(function, at) >> 8 & 0xfc;
        }
        check!(at != 0, "it has no message-signalled interrupt");
        let control = config_read(function, at);
        // A 64-bit address: the data are behind its upper half.
        config_write(function, at + 4, address);
        config_write(function, at + 8, 0);
        config_write(function, at + 12, data);
        config_write(function, at, control | MSI_ENABLE);
    }

    /// Raises its interrupt, once.
    pub fn interrupt(&self) {
        self.write(RAISE, 1);
        self.write(ACKNOWLEDGE, 1);
    }

    fn read(&self, register: u64) -> u32 {
        // SAFETY: a register of the device, outside of all memory.
        unsafe { ((self.registers + register) as *const u32).read_volatile() }
    }

    fn write(&self, register: u64, value: u32) {
        // SAFETY: as above; the device accesses only what a test asks for.
        unsafe { ((self.registers + register) as *mut u32).write_volatile(value) };
    }

    fn write_long(&self, register: u64, value: u64) {
        // SAFETY: as above.
        unsafe { ((self.registers + register) as *mut u64).write_volatile(value) };
    }
}

fn config_read(function: u32, register: u32) -> u32 {
    cpu::out32(0xcf8, 1 << 31 | function << 8 | register);
    cpu::in32(0xcfc)
}

fn config_write(function: u32, register: u32, value: u32) {
    cpu::out32(0xcf8, 1 << 31 | function << 8 | register);
    cpu::out32(0xcfc, value);
}
