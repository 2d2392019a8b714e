//! What clients send: embedded instances as typed changes.

mod allocation;
mod boot_source;
mod fields;
mod settings;

pub(crate) use allocation::read as allocation;
pub(crate) use boot_source::read as boot_source;
pub(crate) use settings::read as settings;

use cim_domain::{Problem, ProblemKind};

/// A problem with what a client sent.
pub(crate) fn invalid(
    id: &'static str,
    what: impl Into<alloc::string::String>,
    fix: impl Into<alloc::string::String>,
) -> Problem {
    Problem::new(ProblemKind::Invalid, id, what, fix)
}

/// A property that can only have the value that the host shows, or none.
fn fixed(property: &str) -> Problem {
    invalid(
        "BH-PROPERTY-FIXED",
        "This property cannot be set to that value here",
        "Leave the property out, or set it to NULL",
    )
    .at(property)
}
