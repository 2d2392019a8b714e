//! A CIM_BootSourceSetting as a change of a definition.

use super::fields::Fields;
use crate::boot_string;
use cim_domain::{Boot, DefinitionChange, Patch, Problem};
use cim_model::Instance;

/// Reads a boot source: its BootString says all that the system boots from the next start on.
///
/// # Errors
/// What is wrong with it, with the name of the property.
pub(crate) fn read(instance: Instance) -> Result<DefinitionChange, Problem> {
    const PROPERTY: &str = "BootString";
    let mut fields = Fields::new(instance);
    let text = fields.text(PROPERTY)?;
    for shown in ["ElementName", "BIOSBootString", "StructuredBootString"] {
        fields.ignore(shown);
    }
    fields.only("FailThroughSupported", &[2])?;
    fields.finish()?;
    let boot = match text {
        Patch::Keep => return Ok(DefinitionChange::default()),
        Patch::Clear => Boot::default(),
        Patch::Set(text) => boot_string::read(&text).map_err(|problem| problem.at(PROPERTY))?,
    };
    Ok(DefinitionChange {
        kernel: patch(boot.kernel),
        initrd: patch(boot.initrd),
        command_line: patch(boot.command_line),
        format: patch(boot.format),
        modules: Patch::Set(boot.modules),
        load_address: patch(boot.load_address),
        entry_address: patch(boot.entry_address),
        ..DefinitionChange::default()
    })
}

fn patch<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Clear, Patch::Set)
}
