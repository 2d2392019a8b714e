//! Boot control (DSP1012): the service, its capabilities, and what systems boot.

use crate::boot_string;
use crate::element::{
    self, BOOT_CAPABILITIES, BOOT_CONFIG, BOOT_SERVICE, BOOT_SOURCE, Configuration, Element,
};
use alloc::format;
use cim_domain::{Domain, System, SystemId};
use cim_model::Instance;

/// FailThroughSupported: there is no other source that could be tried.
const NO_FAIL_THROUGH: u16 = 2;

pub(super) fn service() -> Instance {
    super::service("Boot of virtual systems", BOOT_SERVICE)
}

pub(super) fn capabilities() -> Instance {
    /// BootConfigCapabilities: applies boot configurations; the order of one source cannot be changed.
    const CONFIGURATIONS: [u16; 2] = [3, 6];
    /// BootStringsSupported: BootString.
    const STRINGS: [u16; 1] = [2];
    Instance::new(BOOT_CAPABILITIES)
        .with("ElementName", "What the boot service can do")
        .with("ElementNameEditSupported", false)
        .with("BootConfigCapabilities", CONFIGURATIONS.to_vec())
        .with("BootStringsSupported", STRINGS.to_vec())
}

pub(super) fn config(system: &System, configuration: Configuration) -> Instance {
    let id = Element::BootConfig(system.id, configuration).instance_id();
    let name = &system.defined.name;
    let name = match configuration {
        Configuration::Defined => format!("What {name} boots at its next start"),
        Configuration::State => format!("What {name} has booted"),
    };
    Instance::new(BOOT_CONFIG)
        .with("ElementName", name)
        .with("InstanceID", id.unwrap_or_default())
        .with("ConfigurationName", configuration.name())
}

pub(super) fn source(
    domain: &Domain,
    system: SystemId,
    configuration: Configuration,
) -> Option<Instance> {
    let boot = element::boot(domain, system, configuration)?;
    let kernel = boot.kernel.as_ref()?;
    let id = Element::BootSource(system, configuration).instance_id();
    Some(
        Instance::new(BOOT_SOURCE)
            .with("ElementName", format!("Kernel {kernel}"))
            .with("InstanceID", id?)
            .with("ConfigurationName", configuration.name())
            .with("BootString", boot_string::of(boot))
            .with("BIOSBootString", format!("{kernel}"))
            .with("StructuredBootString", "BH:image:1")
            .with("FailThroughSupported", NO_FAIL_THROUGH),
    )
}
