//! The FADT (ACPI 6.5, 5.2.9): power management registers and what the board has.

use alloc::vec::Vec;

use acpi_tables::fadt::{FADTBuilder, Flags, PmProfile};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use vmm_ram::Gpa;

use super::{OEM, OEM_REVISION, OEM_TABLE, bytes};
use crate::layout;

/// IAPC_BOOT_ARCH: devices on the ISA bus, no VGA, no ASPM. The bit for an i8042 stays clear: what is at its ports takes
/// only a reset.
const BOOT_ARCHITECTURE: u16 = 1 << 0 | 1 << 2 | 1 << 4;
/// Latencies that mean that C2 and C3 do not exist.
const NO_C2: u16 = 0x0fff;
const NO_C3: u16 = 0xffff;

/// The table. There is no SMI, so ACPI mode is always on.
pub fn table(facs: Gpa, dsdt: Gpa) -> Vec<u8> {
    let mut table = FADTBuilder::new(OEM, OEM_TABLE, OEM_REVISION)
        .preferred_pm_profile(PmProfile::EnterpriseServer)
        .flag(Flags::Wbinvd)
        .flag(Flags::ProcC1)
        // The power button is in the registers (flag clear), a sleep button is nowhere.
        .flag(Flags::SlpButton)
        // The clock cannot wake the machine.
        .flag(Flags::FixRtc)
        .flag(Flags::TmrValExt)
        .flag(Flags::ResetRegSup)
        .flag(Flags::Headless);
    // All tables are below 1 MiB.
    table.firmware_ctrl = (facs.0 as u32).into();
    table.dsdt = (dsdt.0 as u32).into();
    table.x_dsdt = dsdt.0.into();
    table.sci_int = u16::from(layout::SCI).into();
    table.pm1a_evt_blk = u32::from(layout::PM1A_EVENT).into();
    table.pm1a_cnt_blk = u32::from(layout::PM1A_CONTROL).into();
    table.pm_tmr_blk = u32::from(layout::PM_TIMER).into();
    table.gpe0_blk = u32::from(layout::GPE0).into();
    table.gpe0_blk_len = 2;
    table.pm1_evt_len = 4;
    table.pm1_cnt_len = 2;
    table.pm_tmr_len = 4;
    table.x_pm1a_evt_blk = port(layout::PM1A_EVENT, 32, AccessSize::WordAccess);
    table.x_pm1a_cnt_blk = port(layout::PM1A_CONTROL, 16, AccessSize::WordAccess);
    table.x_pm_tmr_blk = port(layout::PM_TIMER, 32, AccessSize::DwordAccess);
    table.x_gpe0_blk = port(layout::GPE0, 16, AccessSize::ByteAccess);
    table.p_lvl2_lat = NO_C2.into();
    table.p_lvl3_lat = NO_C3.into();
    table.century = layout::CLOCK_CENTURY;
    table.iapc_boot_arch = BOOT_ARCHITECTURE.into();
    table.reset_reg = port(layout::RESET_PORT, 8, AccessSize::ByteAccess);
    table.reset_value = layout::RESET_VALUE;
    bytes(&table.finalize())
}

fn port(port: u16, bits: u8, access: AccessSize) -> GAS {
    GAS::new(AddressSpace::SystemIo, bits, 0, access, u64::from(port))
}
