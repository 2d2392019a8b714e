//! Configurations: BH_VirtualSystemSettingData.

use crate::element::{Configuration, Element, SETTINGS};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cim_domain::{BootFormat, Definition, RecoveryAction, ShutdownAction, StartupAction, System};
use cim_model::{CimType, Instance, Value, ValueType};

/// The AutomaticStartupAction of an action.
const fn startup(action: StartupAction) -> u16 {
    match action {
        StartupAction::None => 2,
        StartupAction::IfActive => 3,
        StartupAction::Always => 4,
    }
}

/// The AutomaticShutdownAction of an action.
const fn shutdown(action: ShutdownAction) -> u16 {
    match action {
        ShutdownAction::TurnOff => 2,
        ShutdownAction::ShutDown => 4,
    }
}

/// The AutomaticRecoveryAction of an action.
const fn recovery(action: RecoveryAction) -> u16 {
    match action {
        RecoveryAction::None => 2,
        RecoveryAction::Restart => 3,
    }
}

/// A configuration of a system.
pub(crate) fn instance(
    system: &System,
    configuration: Configuration,
    definition: &Definition,
) -> Instance {
    /// Changeable and persistent.
    const PERSISTENT: u16 = 2;
    /// Not changeable and transient.
    const FIXED: u16 = 3;
    let (caption, changeable) = match configuration {
        Configuration::Defined => ("Defined configuration of a virtual system", PERSISTENT),
        Configuration::State => ("State of a virtual system", FIXED),
    };
    let id = Element::Settings(system.id, configuration).instance_id();
    let boot = &definition.boot;
    let text = |value: Option<String>| Value::or_null(value, CimType::String);
    let images = boot.modules.iter().map(|module| module.image.to_string());
    let arguments = boot.modules.iter().map(|module| module.arguments.clone());
    let none = boot.modules.is_empty();
    let list = |items: Vec<String>| match none {
        true => Value::Null(ValueType::array(CimType::String)),
        false => items.into(),
    };
    let delay = definition.startup.delay.map(super::interval);
    Instance::new(SETTINGS)
        .with("Caption", caption)
        .with("Description", text(definition.description.clone()))
        .with("ElementName", definition.name.clone())
        .with("InstanceID", id.unwrap_or_default())
        .with("ChangeableType", changeable)
        .with("ConfigurationName", configuration.name())
        .with("VirtualSystemIdentifier", system.identifier())
        .with("VirtualSystemType", text(definition.system_type.clone()))
        .with(
            "Notes",
            Value::or_null(definition.notes.clone(), ValueType::array(CimType::String)),
        )
        .with("CreationTime", super::moment(definition.created))
        .with(
            "AutomaticStartupAction",
            Value::or_null(definition.startup.action.map(startup), CimType::Uint16),
        )
        .with(
            "AutomaticStartupActionDelay",
            delay.unwrap_or(Value::null(CimType::DateTime)),
        )
        .with(
            "AutomaticStartupActionSequenceNumber",
            Value::or_null(definition.startup.sequence, CimType::Uint16),
        )
        .with(
            "AutomaticShutdownAction",
            Value::or_null(definition.shutdown.map(shutdown), CimType::Uint16),
        )
        .with(
            "AutomaticRecoveryAction",
            Value::or_null(definition.recovery.map(recovery), CimType::Uint16),
        )
        .with("UUID", definition.uuid.to_string())
        .with(
            "Kernel",
            text(boot.kernel.as_ref().map(ToString::to_string)),
        )
        .with(
            "Initrd",
            text(boot.initrd.as_ref().map(ToString::to_string)),
        )
        .with("CommandLine", text(boot.command_line.clone()))
        .with(
            "BootFormat",
            Value::or_null(boot.format.map(BootFormat::name), CimType::String),
        )
        .with("Modules", list(images.collect()))
        .with("ModuleArguments", list(arguments.collect()))
        .with(
            "LoadAddress",
            Value::or_null(boot.load_address, CimType::Uint64),
        )
        .with(
            "EntryAddress",
            Value::or_null(boot.entry_address, CimType::Uint64),
        )
}
