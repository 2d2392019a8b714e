//! The host bridge at 00:00.0.

use crate::{Function, Identity};

/// The function at 00:00.0, which operating systems look for to see that there is a bus at all. The ids are those of a generic
/// host bridge of virtual machines, for which no driver and no quirk of Linux exists.
pub fn host_bridge() -> Function {
    Function::new(Identity {
        vendor: 0x1b36,
        device: 0x0008,
        class: 0x06_00_00,
        revision: 0,
        subsystem_vendor: 0x1af4,
        subsystem: 0x1100,
    })
}
