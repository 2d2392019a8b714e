//! The policy for model-specific registers: which a guest reaches directly, which are emulated, which do not exist.
//!
//! The exit loop sends x2APIC MSRs (0x800 to 0x8ff) to the local APIC first and asks [`route`] for all others.
//! [`DIRECT`] fills the backend's intercept bitmap. [`ControlRules`] checks what guests write to control
//! registers, EFER and XCR0. Sources: SDM 4, APM 2 appendix A. The MSRs that guests touch without a check at
//! start-up were found by booting Linux; they read as zero and ignore writes.

mod bank;
mod control;
mod mtrr;
mod route;

pub use bank::{Bank, BankConfig, BankState, Vendor};
pub use control::{ControlRules, ControlState, canonical, valid_pat};
pub use mtrr::{MemoryType, MtrrState};
pub use route::{Check, DIRECT, DirectMsr, Route, route};

/// Numbers of MSRs that more than this module needs.
pub mod number {
    /// The time-stamp counter.
    pub const TSC: u32 = 0x10;
    /// APIC_BASE.
    pub const APIC_BASE: u32 = 0x1b;
    /// SYSENTER_CS.
    pub const SYSENTER_CS: u32 = 0x174;
    /// SYSENTER_ESP.
    pub const SYSENTER_ESP: u32 = 0x175;
    /// SYSENTER_EIP.
    pub const SYSENTER_EIP: u32 = 0x176;
    /// The page attribute table.
    pub const PAT: u32 = 0x277;
    /// TSC_DEADLINE.
    pub const TSC_DEADLINE: u32 = 0x6e0;
    /// EFER.
    pub const EFER: u32 = 0xc000_0080;
    /// STAR.
    pub const STAR: u32 = 0xc000_0081;
    /// LSTAR.
    pub const LSTAR: u32 = 0xc000_0082;
    /// CSTAR.
    pub const CSTAR: u32 = 0xc000_0083;
    /// SFMASK.
    pub const SFMASK: u32 = 0xc000_0084;
    /// FS.base.
    pub const FS_BASE: u32 = 0xc000_0100;
    /// GS.base.
    pub const GS_BASE: u32 = 0xc000_0101;
    /// KERNEL_GS_BASE.
    pub const KERNEL_GS_BASE: u32 = 0xc000_0102;
    /// TSC_AUX.
    pub const TSC_AUX: u32 = 0xc000_0103;
}
