//! The structures (DSP0134, chapter 7).

use alloc::string::String;
use alloc::vec::Vec;

use crate::BoardFacts;
use vmm_ram::RamRange;

/// Who made all this.
const VENDOR: &str = "Bulkhead";
const PRODUCT: &str = "Bulkhead virtual system";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// mm/dd/yyyy; required, and of no use to anyone.
const RELEASE_DATE: &str = "01/01/2026";
/// A structure that others name, by kind and number.
const fn handle(kind: u8, number: u16) -> u16 {
    ((kind as u16) << 8).wrapping_add(number)
}
/// No error information.
const NO_ERROR_HANDLE: u16 = 0xfffe;
/// The names of memory devices are those of a module each 16 GiB, as real machines have them.
const DEVICE_BYTES: u64 = 16 << 30;
/// Sockets beyond are as good as the first, and must not fill the room.
const MAX_SOCKETS: u32 = 64;
/// More memory devices tell nothing.
const MAX_DEVICES: u64 = 64;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// All structures, one behind the other.
pub fn all(facts: &BoardFacts<'_>) -> Vec<u8> {
    let mut table = Vec::new();
    firmware().end(&mut table);
    system(facts).end(&mut table);
    chassis(facts).end(&mut table);
    let per_socket = facts.vcpus_per_socket().max(1);
    let sockets = facts.vcpus.div_ceil(per_socket).min(MAX_SOCKETS);
    for socket in 0..sockets {
        processor(facts, socket as u16).end(&mut table);
    }
    let devices = facts.ram.bytes.div_ceil(DEVICE_BYTES).clamp(1, MAX_DEVICES);
    memory_array(facts.ram.bytes, devices).end(&mut table);
    for device in 0..devices {
        let before = device.saturating_mul(DEVICE_BYTES);
        let left = facts.ram.bytes.saturating_sub(before);
        // The last one has what is left.
        let bytes = if device.saturating_add(1) == devices {
            left
        } else {
            DEVICE_BYTES
        };
        memory_device(device as u16, bytes).end(&mut table);
    }
    for (number, range) in (0u16..).zip(facts.ram.ranges()) {
        mapped_address(number, devices, range).end(&mut table);
    }
    boot_status().end(&mut table);
    Structure::new(127, 0).end(&mut table);
    table
}

fn firmware() -> Structure {
    Structure::new(0, 0)
        .text(VENDOR)
        .text(VERSION)
        .word(0)
        .text(RELEASE_DATE)
        .byte(0)
        // No characteristics are known.
        .quad(1 << 3)
        .byte(0)
        // It is virtual.
        .byte(1 << 4)
        // No versions of this, none of an embedded controller.
        .bytes(&[0xff; 4])
}

fn system(facts: &BoardFacts<'_>) -> Structure {
    Structure::new(1, 0)
        .text(VENDOR)
        .text(PRODUCT)
        .text(VERSION)
        .text(&uuid_text(&facts.uuid))
        .bytes(&uuid(facts.uuid))
        // Woken by the power switch.
        .byte(6)
        .text("")
        .text("")
}

fn chassis(facts: &BoardFacts<'_>) -> Structure {
    Structure::new(3, 0)
        .text(VENDOR)
        // Other.
        .byte(1)
        .text(VERSION)
        .text("")
        .text(facts.name)
        // All is safe, nothing is locked.
        .bytes(&[3, 3, 3, 3])
        .double(0)
        // No height, one power cord, no contained elements.
        .bytes(&[0, 1, 0, 0])
        .text("")
}

fn processor(facts: &BoardFacts<'_>, socket: u16) -> Structure {
    let before = u32::from(socket).saturating_mul(facts.vcpus_per_socket());
    let threads = facts
        .vcpus
        .saturating_sub(before)
        .min(facts.vcpus_per_socket());
    let cores = threads.div_ceil(u32::from(facts.threads_per_core));
    // 0xff: see the words behind.
    let small = |count: u32| u8::try_from(count).unwrap_or(u8::MAX);
    let wide = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
    Structure::new(4, socket)
        .text("CPU")
        // Central processor of another family: CPUID tells.
        .bytes(&[3, 1])
        .text(VENDOR)
        .quad(0)
        .text("")
        // Voltage, clocks: unknown.
        .byte(0)
        .word(0)
        .word(0)
        .word(0)
        // In its socket and enabled; upgraded in no known way.
        .bytes(&[0x41, 1])
        // No cache structures.
        .word(0xffff)
        .word(0xffff)
        .word(0xffff)
        .text("")
        .text("")
        .text("")
        .bytes(&[small(cores), small(cores), small(threads)])
        // 64-bit, several cores.
        .word(1 << 2 | u16::from(cores > 1) << 3)
        .word(1)
        .word(wide(cores))
        .word(wide(cores))
        .word(wide(threads))
}

fn memory_array(bytes: u64, devices: u64) -> Structure {
    // 0x8000_0000: see the last field.
    let kib = u32::try_from(bytes / KIB).ok().filter(|kib| *kib < 1 << 31);
    Structure::new(16, 0)
        // Somewhere else, system memory, no error correction.
        .bytes(&[1, 3, 3])
        .double(kib.unwrap_or(1 << 31))
        .word(NO_ERROR_HANDLE)
        .word(devices as u16)
        .quad(if kib.is_some() { 0 } else { bytes })
}

fn memory_device(number: u16, bytes: u64) -> Structure {
    let mib = bytes / MIB;
    // 0x7fff: see the extended size.
    let small = u16::try_from(mib).ok().filter(|mib| *mib < 0x7fff);
    let extended = if small.is_some() { 0 } else { mib as u32 };
    Structure::new(17, number)
        .word(handle(16, 0))
        .word(NO_ERROR_HANDLE)
        // Widths are unknown.
        .word(0xffff)
        .word(0xffff)
        .word(small.unwrap_or(0x7fff))
        // A DIMM in no set.
        .bytes(&[9, 0])
        .text("Memory")
        .text("")
        // RAM of another kind.
        .byte(7)
        .word(1 << 1)
        .word(0)
        .text(VENDOR)
        .text("")
        .text("")
        .text("")
        .byte(0)
        .double(extended)
        .word(0)
        .word(0)
        .word(0)
        .word(0)
}

fn mapped_address(number: u16, devices: u64, range: RamRange) -> Structure {
    let last = range.end().0.saturating_sub(1);
    // All ones: see the extended addresses.
    let small = u32::try_from(last / KIB).ok().filter(|kib| *kib < u32::MAX);
    let (start, end) = match small {
        Some(end) => ((range.start.0 / KIB) as u32, end),
        None => (u32::MAX, u32::MAX),
    };
    let extended = |address: u64| if small.is_some() { 0 } else { address };
    Structure::new(19, number)
        .double(start)
        .double(end)
        .word(handle(16, 0))
        .byte(u8::try_from(devices).unwrap_or(u8::MAX))
        .quad(extended(range.start.0))
        .quad(extended(last))
}

fn boot_status() -> Structure {
    // No error.
    Structure::new(32, 0).bytes(&[0; 7])
}

/// The first three fields are little-endian here (DSP0134 7.2.1).
const fn uuid(uuid: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = uuid;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

fn uuid_text(uuid: &[u8; 16]) -> String {
    use core::fmt::Write;

    let mut text = String::new();
    for (index, byte) in uuid.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        // A string takes everything.
        write!(text, "{byte:02x}").ok();
    }
    text
}

/// A structure under way: its fields, and the texts behind them.
struct Structure {
    fields: Vec<u8>,
    texts: Vec<u8>,
    count: u8,
}

impl Structure {
    fn new(kind: u8, number: u16) -> Self {
        let mut fields = Vec::from([kind, 0]);
        fields.extend_from_slice(&handle(kind, number).to_le_bytes());
        Self {
            fields,
            texts: Vec::new(),
            count: 0,
        }
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.fields.extend_from_slice(bytes);
        self
    }

    fn byte(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    fn word(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn double(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn quad(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// The number of a text, 0 for none. What does not print is shown as `?`.
    fn text(mut self, text: &str) -> Self {
        if text.is_empty() {
            return self.byte(0);
        }
        self.count = self.count.saturating_add(1);
        for character in text.chars().take(MAX_TEXT) {
            let printed = u8::try_from(character)
                .ok()
                .filter(|byte| (b' '..=b'~').contains(byte));
            self.texts.push(printed.unwrap_or(b'?'));
        }
        self.texts.push(0);
        let number = self.count;
        self.byte(number)
    }

    /// Adds it to the table.
    fn end(mut self, table: &mut Vec<u8>) {
        let length = self.fields.len() as u8;
        if let Some(field) = self.fields.get_mut(1) {
            *field = length;
        }
        table.append(&mut self.fields);
        if self.texts.is_empty() {
            table.push(0);
        }
        table.append(&mut self.texts);
        table.push(0);
    }
}

/// Longer texts help nobody.
const MAX_TEXT: usize = 64;
