//! [`CimError`]: what a CIM operation answers when it fails.

use crate::{CimStatus, Instance, Text};
use alloc::vec::Vec;
use core::fmt;

/// A failed CIM operation: the ERROR element of a response (DSP0201 5.2.6.4).
#[derive(Clone, Debug, PartialEq)]
pub struct CimError {
    /// The status code.
    pub status: CimStatus,
    /// One clear sentence for the operator.
    pub description: Text,
    /// Complete instances of CIM_Error with the details; usually none.
    pub instances: Vec<Instance>,
}

impl CimError {
    /// An error with a status and a sentence.
    pub fn new(status: CimStatus, description: impl Into<Text>) -> Self {
        CimError {
            status,
            description: description.into(),
            instances: Vec::new(),
        }
    }

    /// Adds a CIM_Error instance.
    #[must_use]
    pub fn with_instance(mut self, instance: Instance) -> Self {
        self.instances.push(instance);
        self
    }
}

impl From<CimStatus> for CimError {
    fn from(status: CimStatus) -> Self {
        CimError::new(status, status.name())
    }
}

impl fmt::Display for CimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.description)
    }
}

impl core::error::Error for CimError {}
