//! A RASD as a change of an allocation.

use super::fields::Fields;
use super::invalid;
use crate::values::{mapping_behavior, resource_sub_type, resource_type};
use alloc::format;
use alloc::vec::Vec;
use cim_domain::{
    AllocationChange, ConsoleKind, HostDevice, Mapping, Patch, Problem, ResourceKind,
};
use cim_model::{CimType, Instance};

const BASE: &str = "CIM_ResourceAllocationSettingData";

/// Reads a RASD. `device` finds the device of the host that a URI in HostResource names.
///
/// # Errors
/// What is wrong with it, with the name of the property.
pub(crate) fn read(
    instance: Instance,
    device: impl Fn(&str) -> Option<HostDevice>,
) -> Result<AllocationChange, Problem> {
    let class = instance.class.clone();
    if !cim_schema::is_a(class.as_str(), BASE) {
        let what = format!("{class} is no class of resource allocations");
        let fix = format!("Give an instance of {BASE} or of one of its subclasses");
        return Err(invalid("BH-CLASS", what, fix));
    }
    let is = |wanted: &str| cim_schema::is_a(class.as_str(), wanted);
    let mut fields = Fields::new(instance);
    let number: Patch<u16> = fields.number("ResourceType", CimType::Uint16)?;
    let sub_type = fields.text("ResourceSubType")?;
    let number = match number.given() {
        Some(number) => Some(*number),
        None if is("CIM_ProcessorAllocationSettingData") => Some(resource_type::PROCESSOR),
        None if is("CIM_MemoryAllocationSettingData") => Some(resource_type::MEMORY),
        None => None,
    };
    let sub_type = sub_type.given().map(alloc::string::String::as_str);
    let (kind, console) = match number {
        Some(number) => kind_of(number, sub_type)?,
        None => (None, None),
    };
    let change = AllocationChange {
        kind,
        console,
        name: fields.text("ElementName")?,
        pool: fields.text("PoolID")?,
        quantity: fields.number("VirtualQuantity", CimType::Uint64)?,
        quantity_units: fields.text("VirtualQuantityUnits")?,
        allocation_units: fields.text("AllocationUnits")?,
        reservation: fields.number("Reservation", CimType::Uint64)?,
        limit: fields.number("Limit", CimType::Uint64)?,
        weight: fields.number("Weight", CimType::Uint32)?,
        maximum: fields.number("MaximumQuantity", CimType::Uint32)?,
        sockets: fields.number("Sockets", CimType::Uint32)?,
        cores: fields.number("CoresPerSocket", CimType::Uint32)?,
        threads: fields.number("ThreadsPerCore", CimType::Uint32)?,
        mapping: mapping(&mut fields)?,
        host: hosts(&mut fields, device)?,
    };
    fields.ignore("Description");
    // Unknown, or virtualized.
    fields.only("ConsumerVisibility", &[0, 3])?;
    fields.only("AutomaticAllocation", &[1])?;
    fields.only("AutomaticDeallocation", &[1])?;
    same(&mut fields, "ProcessorArchitecture", "DMTF:x86")?;
    same(&mut fields, "InstructionSet", "DMTF:x86:64")?;
    fields.finish()?;
    Ok(change)
}

fn mapping(fields: &mut Fields) -> Result<Patch<Mapping>, Problem> {
    const CHOICES: [(u16, Option<Mapping>); 5] = [
        (mapping_behavior::UNKNOWN, None),
        (mapping_behavior::NOT_SUPPORTED, None),
        (mapping_behavior::DEDICATED, Some(Mapping::Dedicated)),
        (mapping_behavior::SOFT_AFFINITY, Some(Mapping::SoftAffinity)),
        (mapping_behavior::HARD_AFFINITY, Some(Mapping::HardAffinity)),
    ];
    let what = "3 (Dedicated), 4 (Soft Affinity), 5 (Hard Affinity)";
    let choice = fields.choice("MappingBehavior", &CHOICES, what)?;
    Ok(match choice {
        Patch::Keep => Patch::Keep,
        Patch::Clear | Patch::Set(None) => Patch::Clear,
        Patch::Set(Some(mapping)) => Patch::Set(mapping),
    })
}

fn hosts(
    fields: &mut Fields,
    device: impl Fn(&str) -> Option<HostDevice>,
) -> Result<Patch<Vec<HostDevice>>, Problem> {
    const PROPERTY: &str = "HostResource";
    let found = fields.texts(PROPERTY)?.try_map(|uris| {
        let each = uris.iter().map(|uri| {
            device(uri).ok_or_else(|| {
                let what = format!("\"{uri}\" names no device of the host");
                let fix = "Give the URI of a CIM_Processor or of the CIM_Memory of the host";
                invalid("BH-HOST-RESOURCE", what, fix).at(PROPERTY)
            })
        });
        each.collect::<Result<Vec<_>, _>>()
    })?;
    Ok(match found {
        Patch::Set(none) if none.is_empty() => Patch::Clear,
        other => other,
    })
}

/// A property that can only be NULL or this text.
fn same(fields: &mut Fields, property: &'static str, only: &str) -> Result<(), Problem> {
    match fields.text(property)? {
        Patch::Set(text) if text != only => {
            let what = format!("\"{text}\" is not supported");
            let fix = format!("Give \"{only}\" or NULL");
            Err(invalid("BH-CHOICE", what, fix).at(property))
        }
        _ => Ok(()),
    }
}

type Kind = (Option<ResourceKind>, Option<ConsoleKind>);

fn kind_of(number: u16, sub_type: Option<&str>) -> Result<Kind, Problem> {
    let unknown = |sub_type: &str| {
        let what = format!("There is no ResourceSubType \"{sub_type}\" of this kind of resource");
        let fix = format!(
            "Leave it out, or give \"{}\" or \"{}\" with ResourceType 13",
            resource_sub_type::VIRTIO_CONSOLE,
            resource_sub_type::VIRTIO_ENTROPY
        );
        invalid("BH-SUB-TYPE", what, fix).at("ResourceSubType")
    };
    let plain = |kind: Kind| match sub_type {
        None | Some("") => Ok(kind),
        Some(other) => Err(unknown(other)),
    };
    match number {
        resource_type::PROCESSOR => plain((Some(ResourceKind::Processor), None)),
        resource_type::MEMORY => plain((Some(ResourceKind::Memory), None)),
        resource_type::SERIAL_PORT => {
            plain((Some(ResourceKind::Console), Some(ConsoleKind::Serial)))
        }
        resource_type::IO_DEVICE => match sub_type {
            Some(resource_sub_type::VIRTIO_CONSOLE) => {
                Ok((Some(ResourceKind::Console), Some(ConsoleKind::Virtio)))
            }
            Some(resource_sub_type::VIRTIO_ENTROPY) => Ok((Some(ResourceKind::Entropy), None)),
            other => Err(unknown(other.unwrap_or_default())),
        },
        other => {
            let what = format!("Resources of type {other} are not available");
            let fix = "Give 3 (Processor), 4 (Memory), 13 (I/O Device) or 21 (Serial port)";
            Err(invalid("BH-KIND", what, fix).at("ResourceType"))
        }
    }
}
