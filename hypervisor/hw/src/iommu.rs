//! Isolation of devices: every DMA access is confined to the memory of the partition that owns the device.
//!
//! Bring-up parses the firmware's description ([`ivrs`]), starts the units ([`amd::Iommu::start`])
//! and gives the management partition's devices its domain. From the start every device is blocked
//! until it is attached. All logic works through [`amd::Registers`] and the page-table engine's
//! ports, so it runs on the host against a fake unit.

pub mod amd;
pub mod ivrs;
pub mod machine;
