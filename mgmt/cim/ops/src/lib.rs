//! The operations layer: one typed request and response per operation of DSP0200, over the schema, the
//! configuration store and the providers.
//!
//! Called by the protocol layer (`cim-server`), which turns CIM-XML into [`Request`]s and [`Response`]s into
//! CIM-XML. It calls the domain model through [`Provider`] and [`Association`]. It does no I/O and reads no
//! clock: time comes with the [`Caller`], persistence goes through [`Store`].
//!
//! Invariants:
//! - every operation passes the same checks in the same order: rights, namespace, class, instance;
//! - large responses are lazy streams; their memory does not depend on their length;
//! - a change is in the store before anybody is told of it;
//! - each attempted change leaves an [`AuditRecord`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod ahead;
mod association;
mod audit;
mod builder;
mod caller;
mod catalog;

mod embedded;
mod engine;
mod enumeration;
mod events;
mod fault;
pub mod indications;
pub mod interop;
mod invoke;
mod layout;
mod links;
mod operations;
mod provider;
mod query;
mod read;
mod registry;
mod request;
mod response;
mod rights;
mod settings;
mod shape;
mod store;
mod traverse;
mod write;

pub use association::{Association, End, Link, Sources, Walk};
pub use audit::{AuditRecord, AuditTrail};
pub use builder::{Builder, ReadEmbedded};
pub use caller::{Caller, Clock, Role};
pub use catalog::{Catalog, CatalogLimits, SchemaKind};
pub use events::{Event, EventKind, EventQueue};
pub use layout::{ClassKind, Layout, PropertyLayout};
pub use operations::Operations;
pub use provider::{Context, Provider, argument};
pub use request::{
    Argument, AssociatorFilter, ClassView, Depth, InstanceView, OpenOptions, Operation, PullKind,
    ReferenceFilter, Request,
};
pub use response::{Batch, BatchObjects, MethodResult, Response, Stream};
pub use settings::Settings;
pub use store::{MemoryStore, Record, RecordKey, Store, StoreError};

#[cfg(test)]
mod tests;
