//! Snapshots (DSP1042): their place in the model. There are none yet, and the capabilities say so.

use crate::element::{SNAPSHOT_CAPABILITIES, SNAPSHOT_SERVICE, SNAPSHOT_SERVICE_CAPABILITIES};
use alloc::format;
use alloc::vec::Vec;
use cim_domain::System;
use cim_model::Instance;

pub(super) fn service() -> Instance {
    super::service("Snapshots of virtual systems", SNAPSHOT_SERVICE)
}

pub(super) fn service_capabilities() -> Instance {
    Instance::new(SNAPSHOT_SERVICE_CAPABILITIES)
        .with(
            "ElementName",
            "What the snapshot service can do: nothing yet",
        )
        .with("SynchronousMethodsSupported", Vec::<u16>::new())
        // The schema spells it so.
        .with("AynchronousMethodsSupported", Vec::<u16>::new())
        .with("SnapshotTypesSupported", Vec::<u16>::new())
}

pub(super) fn capabilities(system: &System) -> Instance {
    let name = &system.defined.name;
    Instance::new(SNAPSHOT_CAPABILITIES)
        .with(
            "ElementName",
            format!("Snapshots that can be taken of {name}: none yet"),
        )
        .with("SnapshotTypesEnabled", Vec::<u16>::new())
        .with("GuestOSNotificationEnabled", false)
}
