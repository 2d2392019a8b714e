//! The image library: a file system of the host with its files.

use crate::element::{IMAGE, IMAGE_LIBRARY};
use crate::values::{enabled_state, operational_status, requested_state};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use cim_domain::{Domain, ImageFormat, ImageName};
use cim_model::{CimType, Instance, Value};

/// CodeSet: UTF-8.
const UTF_8: u16 = 7;
/// PersistenceType: persistent.
const PERSISTENT: u16 = 2;
/// Characters of a name.
const MAX_NAME: u32 = 255;

/// The library.
pub(super) fn library(domain: &Domain) -> Instance {
    let files = domain.images().len();
    Instance::new(IMAGE_LIBRARY)
        .with("ElementName", "Image library")
        .with("EnabledState", enabled_state::ENABLED)
        .with("RequestedState", requested_state::NOT_APPLICABLE)
        .with("OperationalStatus", vec![operational_status::OK])
        .with("ReadOnly", false)
        .with("CaseSensitive", true)
        .with("CasePreserved", true)
        .with("CodeSet", vec![UTF_8])
        .with("MaxFileNameLength", MAX_NAME)
        .with("FileSystemType", "BH:image-library")
        .with("PersistenceType", PERSISTENT)
        .with("NumberOfFiles", u64::try_from(files).unwrap_or(u64::MAX))
}

/// An image.
pub(super) fn image(domain: &Domain, name: &ImageName) -> Option<Instance> {
    let image = domain.image(name)?;
    let digits =
        |digest: [u8; 32]| -> String { digest.iter().map(|byte| format!("{byte:02x}")).collect() };
    let format = match image.format {
        ImageFormat::LinuxKernel => Some("linux"),
        ImageFormat::Elf => Some("elf"),
        ImageFormat::Unknown => None,
    };
    let users = domain.users_of(name).count();
    let date = image.unix_micros.map(super::moment);
    let date = date.unwrap_or(Value::null(CimType::DateTime));
    Some(
        Instance::new(IMAGE)
            .with("ElementName", name.as_str().to_owned())
            .with("OperationalStatus", vec![operational_status::OK])
            .with("FileSize", image.bytes)
            .with("CreationDate", date.clone())
            .with("LastModified", date)
            .with("Readable", true)
            .with("Writeable", image.removable)
            .with("InUseCount", u64::try_from(users).unwrap_or(u64::MAX))
            .with(
                "SHA256",
                Value::or_null(image.sha256.map(digits), CimType::String),
            )
            .with("Format", Value::or_null(format, CimType::String))
            .with("Removable", image.removable),
    )
}
