//! The operations over a small demonstration world: one host, its virtual systems and their processors.

mod associations;
mod classes;
mod instances;
mod pulls;
mod queries;
mod world;
