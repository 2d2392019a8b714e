//! The vocabulary that every CIM crate shares: types, values, names, paths, instances, classes, errors.
//!
//! Called by the schema tables, the repository and operations, the providers, the query evaluators and the
//! CIM-XML codec. The crate knows the rules that belong to a single value (ranges, literal syntax, the order
//! of two datetimes, when two keys are the same key) and nothing about XML, HTTP or the repository.
//!
//! Invariants:
//! - names compare without regard to case and keep the spelling they were made with;
//! - a [`Value`] always knows its [`ValueType`], also when it is NULL;
//! - the key bindings of an [`InstancePath`] are sorted by name and carry no name twice.
//!
//! ```
//! use cim_model::{InstancePath, Instance, Value, CimType};
//!
//! let path = InstancePath::new("CIM_ComputerSystem")
//!     .with_namespace("root/cimv2")
//!     .with_key("Name", "vm1");
//! assert_eq!(path.to_string(), "root/cimv2:CIM_ComputerSystem.Name=\"vm1\"");
//!
//! let instance = Instance::new("CIM_ComputerSystem")
//!     .with("Name", "vm1")
//!     .with("EnabledState", 2u16)
//!     .with("ElementName", Value::null(CimType::String));
//! assert_eq!(instance.get("enabledstate").and_then(Value::as_u64), Some(2));
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod calendar;
mod class;
mod coerce;
mod datetime;
mod error;
mod fold;
pub mod fuzz;
mod instance;
mod key;
mod literal;
mod name;
mod path;
mod qualifier;
mod scalar;
mod status;
mod text;
mod types;
mod uri;
mod value;

pub use class::{ClassDecl, MethodDecl, ParameterDecl, PropertyDecl};
pub use coerce::CoerceError;
pub use datetime::{DateTime, DateTimeError, Interval, Timestamp};
pub use error::CimError;
pub use fold::{compare_names, is_identifier, same_name};
pub use instance::{Instance, Property};
pub use key::{KeyBinding, KeyError, KeyValue};
pub use literal::LiteralError;
pub use name::{
    ClassName, HostName, MethodName, NamespaceName, ParameterName, PropertyName, QualifierName,
};
pub use path::{ClassPath, InstancePath, ObjectPath};
pub use qualifier::{Flavors, Qualifier, QualifierDecl, Scopes};
pub use scalar::Scalar;
pub use status::CimStatus;
pub use text::Text;
pub use types::{CimType, EmbeddedKind, Shape, ValueType};
pub use uri::{UriError, UriFormat};
pub use value::{ArrayValue, Value};
