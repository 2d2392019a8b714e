//! The CIM classes of system virtualization over the domain model.
//!
//! Called by the composition root (the management partition, the simulator): it makes a [`Model`] of a
//! [`Domain`](cim_domain::Domain), hands it to [`install`], and later reports to the model what the machine does. The
//! operations of `cim-ops` then call the providers here, which turn embedded instances into typed changes and the domain's
//! facts into instances.
//!
//! How it is arranged:
//! - an [`Element`] is everything that shows as an instance; it knows its class and its path, and is found from a path;
//! - one provider serves all of them: it lists elements by class and has `shown` build an instance;
//! - methods and changes of instances are in `methods`; what clients send is read in `given`;
//! - associations are declared as data in `links`.
//!
//! Invariants: a provider never holds the domain while a stream is pulled; after each change the notices of the domain
//! become life-cycle events; a refusal always carries its sentence, in a CIM_Error or in a job that has failed.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod boot_string;
mod element;
mod elements;
mod faults;
mod given;
mod links;
mod methods;
mod metric;
mod model;
mod notices;
mod profiles;
mod provider;
mod setup;
mod shown;
mod values;

pub use element::{Configuration, Element, Limit};
pub use model::Model;
pub use setup::{install, namespace};

#[cfg(test)]
mod tests;
