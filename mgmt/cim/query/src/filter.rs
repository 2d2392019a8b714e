//! [`Filter`]: a DMTF:FQL filter query, which is a condition and nothing else.

use crate::ast::Condition;
use crate::check::Checker;
use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::language::Language;
use crate::oracle::{ClassOracle, Row};
use crate::parser::Parser;
use crate::truth::Truth;

/// A filter on the instances of an enumeration (DSP0212).
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The condition an instance must fulfil.
    pub condition: Condition,
}

impl Filter {
    /// Parses a filter query.
    ///
    /// # Errors
    /// [`QueryError`] with the position of the first mistake.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let mut parser = Parser::new(Language::Fql, query)?;
        let condition = parser.condition()?;
        parser.end()?;
        Ok(Filter { condition })
    }

    /// Checks names and types against the class whose instances are to be filtered.
    ///
    /// # Errors
    /// [`QueryError`] for a property the class does not have, or values that cannot be compared.
    pub fn check(&self, class: &str, oracle: &dyn ClassOracle) -> Result<(), QueryError> {
        Checker::new(class, "", oracle).condition(&self.condition)
    }

    /// Whether a row passes.
    pub fn matches(&self, row: &Row<'_>, oracle: &dyn ClassOracle) -> Truth {
        Evaluator::new(row, "", oracle).condition(&self.condition)
    }
}
