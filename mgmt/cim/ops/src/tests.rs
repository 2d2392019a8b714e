//! The operations over a small demonstration world: one host, its virtual systems and their processors.

mod associations;
mod classes;
mod indication_service;
mod indications;
mod instances;
mod interop;
mod pulls;
mod queries;
mod world;
