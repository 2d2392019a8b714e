//! The errors that operations answer most, each worded once.

use alloc::format;
use cim_model::{CimError, CimStatus, ClassName, InstancePath, NamespaceName};
use core::fmt::Display;

pub(crate) fn error(status: CimStatus, text: impl Display) -> CimError {
    CimError::new(status, format!("{text}"))
}

pub(crate) fn no_namespace(name: &NamespaceName) -> CimError {
    error(
        CimStatus::InvalidNamespace,
        format_args!("There is no namespace \"{name}\"."),
    )
}

pub(crate) fn invalid_class(class: &ClassName) -> CimError {
    error(
        CimStatus::InvalidClass,
        format_args!("There is no class {class} in this namespace."),
    )
}

pub(crate) fn no_class(class: &ClassName) -> CimError {
    error(
        CimStatus::NotFound,
        format_args!("There is no class {class} in this namespace."),
    )
}

pub(crate) fn no_instance(path: &InstancePath) -> CimError {
    error(
        CimStatus::NotFound,
        format_args!("There is no instance {path}."),
    )
}

pub(crate) fn invalid(text: impl Display) -> CimError {
    error(CimStatus::InvalidParameter, text)
}

pub(crate) fn unsupported(text: impl Display) -> CimError {
    error(CimStatus::NotSupported, text)
}

impl From<crate::store::StoreError> for CimError {
    fn from(fault: crate::store::StoreError) -> Self {
        error(
            CimStatus::Failed,
            format_args!("The change could not be saved: {fault}."),
        )
    }
}
