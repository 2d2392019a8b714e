//! The machine's devices as far as the hypervisor cares: which addresses are theirs, and how to silence them.

use alloc::vec::Vec;

use bulkhead_boot::{BootInfo, MemoryKind};
use bulkhead_core::addr::{Hpa, HpaRange, PageSize};
use bulkhead_core::device_windows::DeviceWindows;
use bulkhead_core::window_area::WindowArea;
use bulkhead_hw::port::Port;

use super::shared::Shared;

/// PCI configuration by ports: address and data.
pub const PCI_CONFIG_PORTS: (u16, u16) = (0xcf8, 0xcff);

const FOUR_GIB: u64 = 1 << 32;
/// Where local APICs and interrupt messages live.
const APIC_AREA: (u64, u64) = (0xfec0_0000, 0x40_0000);
/// Where firmware lives in flash below 4 GiB.
const FIRMWARE_AREA: (u64, u64) = (0xff00_0000, 0x100_0000);

/// Where AMD's CPUs have messages on their buses; no memory is there on machines that have more below.
const BUS_MESSAGES: (u64, u64) = (0xfd_0000_0000, 0x3_0000_0000);

/// Where RAM ends, of what lies below `limit`.
fn ram_end(boot: &BootInfo, limit: u64) -> u64 {
    boot.memory
        .iter()
        .filter(|region| !matches!(region.kind, MemoryKind::Reserved | MemoryKind::Unknown(_)))
        .map(|region| region.range.end.as_u64())
        .filter(|&end| end <= limit)
        .max()
        .unwrap_or(0)
}

/// Where the management partition sees the memory of others: away from all registers that the firmware has placed above 4 GiB.
/// `hidden` are registers of the hypervisor's own devices.
pub fn window_area(shared: &Shared, hidden: &[HpaRange]) -> WindowArea {
    let mut ranges = hidden.to_vec();
    ranges.extend(HpaRange::new(Hpa::new(BUS_MESSAGES.0), BUS_MESSAGES.1));
    for space in &shared.acpi.config_spaces {
        let buses = u64::from(space.last_bus) + 1;
        ranges.extend(HpaRange::new(space.base, buses << 20));
    }
    for function in functions(shared.facts.ecam_buses.1) {
        high_registers(function, &mut ranges);
    }
    let ram_end = ram_end(&shared.boot, u64::MAX);
    WindowArea::choose(shared.features.physical_bits, ram_end, ranges)
}

/// What the management partition may touch: all that is neither RAM nor the hypervisor's nor the window area.
/// `hidden` are registers of the hypervisor's own devices.
pub fn windows(shared: &Shared, area: &WindowArea, hidden: &[HpaRange]) -> DeviceWindows {
    let (boot, acpi) = (&shared.boot, &shared.acpi);
    let physical_bits = shared.features.physical_bits;
    let mut windows = Vec::new();
    let mut add = |start: u64, end: u64| {
        let start = Hpa::new(start).align_up(PageSize::Size2M);
        if let Some(start) = start.filter(|start| start.as_u64() < end) {
            windows.push(HpaRange {
                start,
                end: Hpa::new(end),
            });
        }
    };
    add(ram_end(boot, FOUR_GIB), FOUR_GIB);
    add(
        ram_end(boot, u64::MAX).max(FOUR_GIB),
        1 << physical_bits.min(52),
    );
    let mut denied = Vec::new();
    let mut deny = |start: u64, bytes: u64| {
        denied.extend(HpaRange::new(Hpa::new(start), bytes));
    };
    deny(APIC_AREA.0, APIC_AREA.1);
    deny(FIRMWARE_AREA.0, FIRMWARE_AREA.1);
    for io_apic in &acpi.madt.io_apics {
        deny(io_apic.address.as_u64(), 0x1000);
    }
    if let Some(hpet) = &acpi.hpet {
        deny(hpet.address.as_u64(), 0x1000);
    }
    denied.extend(hidden);
    denied.extend(HpaRange::new(Hpa::new(area.start().as_u64()), area.bytes()));
    DeviceWindows::new(windows, denied)
}

/// Command register; bit 1 turns memory decoding on, bit 2 is bus master.
const COMMAND: u32 = 4;
const MEMORY: u32 = 1 << 1;
const BUS_MASTER: u32 = 1 << 2;
/// Class, header type, BARs, and a bridge's window for prefetchable memory.
const CLASS: u32 = 8;
const HEADER: u32 = 0xc;
const FIRST_BAR: u32 = 0x10;
const LAST_BAR: u32 = 0x24;
const PREFETCHABLE: u32 = 0x24;

/// Takes bus mastership from every PCI function, so that no DMA of an earlier owner goes on.
pub fn quiesce(last_bus: u8) {
    for address in functions(last_bus) {
        // Class 6: bridges keep forwarding.
        if config_read(address | CLASS) >> 24 != 6 {
            // The status half is write-one-to-clear: zeros leave it.
            let command = config_read(address | COMMAND) & 0xffff;
            config_write(address | COMMAND, command & !BUS_MASTER);
        }
    }
}

/// The PCI functions that are there, as addresses of their configuration.
fn functions(last_bus: u8) -> impl Iterator<Item = u32> {
    (0..=u32::from(last_bus))
        .flat_map(|bus| (0..32).map(move |device| bus << 16 | device << 11))
        .filter(|function_0| config_read(*function_0) & 0xffff != 0xffff)
        .flat_map(|function_0| {
            // Bit 23 of the header word: several functions.
            let several = config_read(function_0 | HEADER) & 1 << 23 != 0;
            let count = if several { 8 } else { 1 };
            (0..count).map(move |function| function_0 | function << 8)
        })
        .filter(|address| config_read(*address) & 0xffff != 0xffff)
}

/// Adds what a function decodes above 4 GiB (PCI 3.0, 6.2.5.1; PCI bridge 1.2, 3.2.5).
fn high_registers(function: u32, ranges: &mut Vec<HpaRange>) {
    match config_read(function | HEADER) >> 16 & 0x7f {
        0 => {
            let mut register = FIRST_BAR;
            while register < LAST_BAR {
                let low = config_read(function | register);
                // A memory BAR of 64 bits takes two registers.
                if low & 7 != 4 {
                    register += 4;
                    continue;
                }
                let base = pair(low & !0xf, config_read(function | (register + 4)));
                if base >= FOUR_GIB {
                    let bytes = bar_bytes(function, register);
                    ranges.extend(HpaRange::new(Hpa::new(base), bytes));
                }
                register += 8;
            }
        }
        1 => {
            // The window for prefetchable memory, where it has 64 bits and is open.
            let word = config_read(function | PREFETCHABLE);
            if word & 0xf == 1 {
                // Bits 31:20 of base and limit are in bits 15:4 and 31:20 of the word.
                let base = pair(word << 16 & 0xfff0_0000, config_read(function | 0x28));
                let last = pair(word | 0xf_ffff, config_read(function | 0x2c));
                if FOUR_GIB <= base && base < last {
                    ranges.extend(HpaRange::new(Hpa::new(base), last - base + 1));
                }
            }
        }
        _ => {}
    }
}

/// What a BAR of 64 bits decodes, asked for while it decodes nothing.
fn bar_bytes(function: u32, register: u32) -> u64 {
    let command = config_read(function | COMMAND) & 0xffff;
    config_write(function | COMMAND, command & !MEMORY);
    let high = register + 4;
    let before = [register, high].map(|register| config_read(function | register));
    config_write(function | register, u32::MAX);
    config_write(function | high, u32::MAX);
    let mask = pair(
        config_read(function | register) & !0xf,
        config_read(function | high),
    );
    config_write(function | register, before[0]);
    config_write(function | high, before[1]);
    config_write(function | COMMAND, command);
    (!mask).wrapping_add(1)
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn config_ports() -> (Port<u32>, Port<u32>) {
    // SAFETY: configuration accesses are used here while the management partition, the other user, stands still or is not there
    // yet; the registers read and written have no side effect on memory but to stop DMA, and what BARs decode is restored.
    unsafe { (Port::new(0xcf8), Port::new(0xcfc)) }
}

fn config_read(address: u32) -> u32 {
    let (mut select, mut data) = config_ports();
    select.write(1 << 31 | address & !3);
    data.read()
}

fn config_write(address: u32, value: u32) {
    let (mut select, mut data) = config_ports();
    select.write(1 << 31 | address & !3);
    data.write(value);
}
