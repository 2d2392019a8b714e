//! A compiler for MOF, the text form of CIM classes (DSP0004 Annex A), with exact error positions.
//!
//! Two users: the build script of `cim-schema` compiles the whole schema with [`Compiler`], and the
//! server reads embedded instances that old clients send as MOF with [`parse_instances`]. The latter
//! come from the network, so everything is bounded ([`limits`]) and nothing panics.
//!
//! The way of a text: [`lexer`] (tokens) → [`parser`] (the tree of [`ast`]) → linking (the rules between
//! declarations) → [`Schema`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ast;
mod compiler;
mod error;
pub mod fuzz;
pub mod lexer;
pub mod limits;
mod link;
pub mod parser;
pub mod schema;
mod source;
mod types;

pub use compiler::{Compiler, Include, Included, NoIncludes};
pub use error::{Fault, MofError, Rule};
pub use parser::parse_instances;
pub use schema::Schema;
pub use source::{FileId, Position, SourceMap};
pub use types::{
    ArraySize, FlavorSpec, Flavors, OverrideFlavor, Propagation, Scope, Scopes, TypeName,
};
