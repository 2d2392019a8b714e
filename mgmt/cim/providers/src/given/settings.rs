//! A VSSD as a change of a definition.

use super::fields::Fields;
use super::{fixed, invalid};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use cim_domain::{
    BootFormat, BootModule, DefinitionChange, ImageName, Patch, Problem, RecoveryAction,
    ShutdownAction, StartupAction, Uuid,
};
use cim_model::{CimType, Instance};

const BASE: &str = "CIM_VirtualSystemSettingData";

/// Reads a VSSD.
///
/// # Errors
/// What is wrong with it, with the name of the property.
pub(crate) fn read(instance: Instance) -> Result<DefinitionChange, Problem> {
    if !cim_schema::is_a(instance.class.as_str(), BASE) {
        let what = format!("{} is no class of virtual system settings", instance.class);
        let fix = "Give an instance of BH_VirtualSystemSettingData or CIM_VirtualSystemSettingData";
        return Err(invalid("BH-CLASS", what, fix));
    }
    let mut fields = Fields::new(instance);
    let change = DefinitionChange {
        name: fields.text("ElementName")?,
        identifier: fields.text("VirtualSystemIdentifier")?,
        uuid: fields.text("UUID")?.try_map(|text| {
            Uuid::parse(&text).ok_or_else(|| {
                let what = format!("\"{text}\" is no UUID");
                let fix = "Give 32 hexadecimal digits as 8-4-4-4-12, or NULL";
                invalid("BH-UUID", what, fix).at("UUID")
            })
        })?,
        system_type: fields.text("VirtualSystemType")?,
        description: fields.text("Description")?,
        notes: fields.texts("Notes")?,
        startup: fields.choice(
            "AutomaticStartupAction",
            &[
                (2, StartupAction::None),
                (3, StartupAction::IfActive),
                (4, StartupAction::Always),
            ],
            "2 (None), 3 (Restart if previously active) or 4 (Always startup)",
        )?,
        startup_delay: fields.interval("AutomaticStartupActionDelay")?,
        startup_sequence: fields.number("AutomaticStartupActionSequenceNumber", CimType::Uint16)?,
        shutdown: fields.choice(
            "AutomaticShutdownAction",
            &[(2, ShutdownAction::TurnOff), (4, ShutdownAction::ShutDown)],
            "2 (Turn Off) or 4 (Shutdown)",
        )?,
        recovery: fields.choice(
            "AutomaticRecoveryAction",
            &[(2, RecoveryAction::None), (3, RecoveryAction::Restart)],
            "2 (None) or 3 (Restart)",
        )?,
        kernel: image(&mut fields, "Kernel")?,
        initrd: image(&mut fields, "Initrd")?,
        command_line: fields.text("CommandLine")?,
        format: fields.text("BootFormat")?.try_map(|name| {
            BootFormat::from_name(&name).ok_or_else(|| {
                let what = format!("\"{name}\" is no boot format");
                let fix =
                    "Give \"linux\", \"pvh\", \"multiboot\", \"multiboot2\" or \"flat\", or NULL";
                invalid("BH-BOOT-FORMAT", what, fix).at("BootFormat")
            })
        })?,
        modules: modules(&mut fields)?,
        load_address: fields.number("LoadAddress", CimType::Uint64)?,
        entry_address: fields.number("EntryAddress", CimType::Uint64)?,
    };
    fields.ignore("CreationTime");
    fields.finish()?;
    Ok(change)
}

fn image(fields: &mut Fields, property: &'static str) -> Result<Patch<ImageName>, Problem> {
    fields
        .text(property)?
        .try_map(|name| named(&name, property))
}

fn named(name: &str, property: &'static str) -> Result<ImageName, Problem> {
    ImageName::new(name).ok_or_else(|| {
        let what = format!("\"{name}\" cannot be the name of an image");
        let fix = "Give a name that the image library has, or NULL";
        invalid("BH-IMAGE-NAME", what, fix).at(property)
    })
}

fn modules(fields: &mut Fields) -> Result<Patch<Vec<BootModule>>, Problem> {
    let images = fields.texts("Modules")?;
    let arguments = fields.texts("ModuleArguments")?;
    if let (None, Patch::Set(_)) = (images.given(), &arguments) {
        return Err(fixed("ModuleArguments"));
    }
    let mut arguments = match arguments {
        Patch::Set(arguments) => arguments,
        Patch::Keep | Patch::Clear => Vec::new(),
    };
    images.try_map(|names| {
        if arguments.len() > names.len() {
            let what = "There are more texts than modules";
            let fix = "Give one text for each of Modules";
            return Err(invalid("BH-MODULES", what, fix).at("ModuleArguments"));
        }
        arguments.resize(names.len(), String::new());
        let pairs = names.into_iter().zip(core::mem::take(&mut arguments));
        pairs
            .map(|(name, arguments)| {
                Ok(BootModule {
                    image: named(&name, "Modules")?,
                    arguments,
                })
            })
            .collect()
    })
}
