//! The query languages of WBEM: DMTF:CQL (DSP0202), WQL as clients send it, and the filter language
//! DMTF:FQL (DSP0212).
//!
//! Called by the operations layer for ExecQuery, OpenQueryInstances, filtered enumerations and indication
//! filters. All three languages share one lexer, one condition grammar (with switches per language) and one
//! evaluator with three-valued logic.
//!
//! Invariants:
//! - parsing is bounded ([`MAX_LENGTH`], [`MAX_DEPTH`]) and its errors name the position and what was
//!   expected there;
//! - evaluation cannot fail: what cannot be compared is [`Truth::Unknown`]. [`SelectQuery::check`] and
//!   [`Filter::check`] find such mistakes before a query is accepted;
//! - LIKE patterns match in time linear in the text, whatever the pattern.
//!
//! ```
//! use cim_query::{Language, SelectQuery};
//! let query = SelectQuery::parse(Language::Cql, "SELECT Name FROM CIM_System WHERE Name LIKE 'vm.*'");
//! assert_eq!(query.map(|query| query.class.to_string()), Ok("CIM_System".to_string()));
//!
//! let error = SelectQuery::parse(Language::Cql, "SELECT * FROM").unwrap_err();
//! assert_eq!(error.to_string(), "at character 14: expected a class name, found the end");
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod ast;
mod check;
mod compare;
mod error;
mod eval;
mod filter;
mod function;
pub mod fuzz;
mod language;
mod lexer;
mod oracle;
mod parser;
mod path;
mod pattern;
mod project;
mod select;
mod symbols;
mod token;
mod truth;

pub use ast::{
    Arithmetic, Comparison, Condition, Function, Operand, PropertyPath, Quantifier, Segment,
};
pub use error::{Feature, QueryError, QueryErrorKind};
pub use filter::Filter;
pub use language::Language;
pub use oracle::{ClassOracle, PropertyKind, Row};
pub use parser::MAX_DEPTH;
pub use pattern::{Pattern, PatternError};
pub use project::Column;
pub use select::{SelectList, SelectQuery};
pub use token::MAX_LENGTH;
pub use truth::Truth;

#[cfg(test)]
mod tests;
