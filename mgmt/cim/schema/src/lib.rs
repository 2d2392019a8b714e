//! The CIM schema as static tables, compiled at build time from the MOF in `mof/`.
//!
//! The operations layer answers class and qualifier operations from here, providers and codec look up
//! types. Everything lies in read-only memory ([`TABLE_BYTES`] of it): lookups neither parse nor allocate.
//!
//! The tables keep each class as declared; inheritance is resolved on the way through the API:
//!
//! - [`class`] finds a [`Class`]; [`Class::superclass`], [`Class::subclasses`], [`Class::descendants`] and
//!   [`Class::is_a`] move in the hierarchy;
//! - [`Class::properties`] and [`Class::methods`] include inherited features, `local_…` only declared ones;
//!   each [`Property`] knows [`Property::class_origin`], [`Property::propagated`] and what it overrides;
//! - `qualifiers()` of any element yields those in force by the rules of flavors (DSP0004 5.1.2.3),
//!   `local_qualifiers()` those stated in the declaration;
//! - [`instances_from_mof`] reads embedded instances in the form of old clients;
//! - [`Class::to_model`] makes the `cim-model` form with the options of GetClass.
//!
//! ```
//! let service = cim_schema::class("CIM_VirtualSystemManagementService").unwrap();
//! assert_eq!(service.superclass().unwrap().name(), "CIM_Service");
//!
//! let system = cim_schema::class("CIM_System").unwrap();
//! assert!(system.descendants().any(|class| class.name() == "CIM_ComputerSystem"));
//!
//! let state = service.property("EnabledState").unwrap();
//! let meanings = state.qualifier("Values").unwrap().value();
//! assert_eq!(meanings.strings().nth(2), Some("Enabled"));
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod class;
mod constant;
mod instance;
mod meaning;
mod method;
mod model;
mod property;
mod qualifier;
mod tables;

pub use class::{Class, class, classes, is_a, roots};
pub use constant::Constant;
pub use instance::instances_from_mof;
pub use method::{Method, Parameter};
pub use model::{Detail, Features, Origin, Qualifiers};
pub use property::Property;
pub use qualifier::{Qualifier, QualifierType, qualifier_type, qualifier_types};

/// Bytes that the schema takes in read-only memory.
pub const TABLE_BYTES: usize = tables::size();

#[cfg(test)]
mod tests;
