//! [`QueryError`]: why a query is refused, and where.

use alloc::string::String;
use cim_model::{CimError, CimStatus, Text};
use core::fmt;

/// A refused query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// What is wrong.
    pub kind: QueryErrorKind,
    /// The first character that is wrong, counted from 1.
    pub position: usize,
}

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The text does not follow the grammar.
    Syntax {
        /// What the grammar has at this position.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A language feature that this server does not offer.
    Unsupported(Feature),
    /// The query or its nesting is larger than the server accepts.
    Limit(&'static str),
    /// The class does not exist.
    UnknownClass(Text),
    /// The class has no such property.
    UnknownProperty(Text),
    /// Two values cannot be compared, or a function does not take this value.
    Types(&'static str),
    /// A LIKE pattern is malformed.
    Pattern(&'static str),
}

/// An optional feature of the query languages (DSP0202 clause 6 lists those of CQL).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the feature names of DSP0202")]
pub enum Feature {
    Join,
    Subquery,
    ResultSetOperations,
    Aggregation,
    ForeignNamespace,
    ReferenceTraversal,
    Function,
}

impl Feature {
    const fn name(self) -> &'static str {
        match self {
            Feature::Join => "joins",
            Feature::Subquery => "subqueries",
            Feature::ResultSetOperations => "result set operations (DISTINCT, FIRST, ORDER BY)",
            Feature::Aggregation => "aggregations",
            Feature::ForeignNamespace => "foreign namespaces",
            Feature::ReferenceTraversal => "properties of referenced instances",
            Feature::Function => "this function",
        }
    }
}

impl QueryError {
    pub(crate) fn new(kind: QueryErrorKind, position: usize) -> Self {
        QueryError { kind, position }
    }

    /// The status code of DSP0200: INVALID_QUERY, or QUERY_FEATURE_NOT_SUPPORTED.
    pub const fn status(&self) -> CimStatus {
        match self.kind {
            QueryErrorKind::Unsupported(_) => CimStatus::QueryFeatureNotSupported,
            _ => CimStatus::InvalidQuery,
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: ", self.position)?;
        match &self.kind {
            QueryErrorKind::Syntax { expected, found } => {
                write!(f, "expected {expected}, found {found}")
            }
            QueryErrorKind::Unsupported(feature) => {
                write!(f, "{} are not supported", feature.name())
            }
            QueryErrorKind::Limit(what) => write!(f, "{what}"),
            QueryErrorKind::UnknownClass(class) => write!(f, "there is no class {class}"),
            QueryErrorKind::UnknownProperty(name) => write!(f, "there is no property {name}"),
            QueryErrorKind::Types(what) => write!(f, "{what}"),
            QueryErrorKind::Pattern(what) => write!(f, "in the LIKE pattern: {what}"),
        }
    }
}

impl core::error::Error for QueryError {}

impl From<QueryError> for CimError {
    fn from(error: QueryError) -> Self {
        CimError::new(
            error.status(),
            alloc::format!("The query is refused: {error}."),
        )
    }
}
