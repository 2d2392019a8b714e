//! The machine's devices as far as the hypervisor cares: which addresses are theirs, and how to silence them.

use alloc::vec::Vec;

use bulkhead_boot::{BootInfo, MemoryKind};
use bulkhead_core::addr::{Hpa, HpaRange, PageSize};
use bulkhead_core::device_windows::DeviceWindows;
use bulkhead_hw::acpi::Acpi;
use bulkhead_hw::port::Port;

/// PCI configuration by ports: address and data.
pub const PCI_CONFIG_PORTS: (u16, u16) = (0xcf8, 0xcff);

const FOUR_GIB: u64 = 1 << 32;
/// Where local APICs and interrupt messages live.
const APIC_AREA: (u64, u64) = (0xfec0_0000, 0x40_0000);
/// Where firmware lives in flash below 4 GiB.
const FIRMWARE_AREA: (u64, u64) = (0xff00_0000, 0x100_0000);

/// What the management partition may touch: all that is neither RAM nor the hypervisor's.
/// `hidden` are registers of the hypervisor's own devices.
pub fn windows(
    boot: &BootInfo,
    acpi: &Acpi,
    physical_bits: u8,
    hidden: impl Iterator<Item = HpaRange>,
) -> DeviceWindows {
    let ram_end = |limit: u64| {
        boot.memory
            .iter()
            .filter(|region| !matches!(region.kind, MemoryKind::Reserved | MemoryKind::Unknown(_)))
            .map(|region| region.range.end.as_u64())
            .filter(|&end| end <= limit)
            .max()
            .unwrap_or(0)
    };
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
    add(ram_end(FOUR_GIB), FOUR_GIB);
    add(ram_end(u64::MAX).max(FOUR_GIB), 1 << physical_bits.min(52));
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
    DeviceWindows::new(windows, denied)
}

/// Command register; bit 2 is bus master.
const COMMAND: u32 = 4;
const BUS_MASTER: u32 = 1 << 2;

/// Takes bus mastership from every PCI function, so that no DMA of an earlier owner goes on.
pub fn quiesce(last_bus: u8) {
    for bus in 0..=u32::from(last_bus) {
        for device in 0..32 {
            let function_0 = bus << 16 | device << 11;
            if config_read(function_0) & 0xffff == 0xffff {
                continue;
            }
            // Bit 23 of the header word: several functions.
            let functions = if config_read(function_0 | 0xc) & 1 << 23 != 0 {
                8
            } else {
                1
            };
            for function in 0..functions {
                let address = function_0 | function << 8;
                // Class 6: bridges keep forwarding.
                if config_read(address) & 0xffff != 0xffff && config_read(address | 8) >> 24 != 6 {
                    // The status half is write-one-to-clear: zeros leave it.
                    let command = config_read(address | COMMAND) & 0xffff;
                    config_write(address | COMMAND, command & !BUS_MASTER);
                }
            }
        }
    }
}

fn config_ports() -> (Port<u32>, Port<u32>) {
    // SAFETY: configuration accesses are used here while the management partition, the other user, stands still;
    // the registers read and written have no side effect on memory but to stop DMA.
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
