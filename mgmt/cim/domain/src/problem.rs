//! [`Problem`]: why something is refused or has failed, as sentences for people.

use alloc::string::String;
use core::fmt;

/// What kind of problem it is; clients get a return code or a status by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The request itself is wrong.
    Invalid,
    /// It names something that does not exist.
    NotFound,
    /// It makes something that exists already.
    Exists,
    /// The system is in a state in which this cannot be done.
    State,
    /// Something else is being done to the system.
    Busy,
    /// This product does not do that.
    Unsupported,
    /// The host has not enough of a resource.
    Resources,
    /// The configuration store refused; nothing has changed.
    Store,
    /// It took too long.
    TimedOut,
    /// The guest did it.
    Guest,
    /// The machine failed.
    Machine,
}

/// A problem. Nothing has changed where it is the answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind.
    pub kind: ProblemKind,
    /// An identifier for programs, as in `BH-MEMORY-TOO-LARGE`; it never changes its meaning.
    pub id: &'static str,
    /// Where it is, as in `ResourceSettings[1].VirtualQuantity`; empty when it is nowhere in particular.
    pub place: String,
    /// What is wrong and why: a sentence without its full stop.
    pub what: String,
    /// What to change: a sentence without its full stop; empty where the client can do nothing.
    pub fix: String,
}

impl Problem {
    /// A problem without a place.
    pub fn new(
        kind: ProblemKind,
        id: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Problem {
            kind,
            id,
            place: String::new(),
            what: what.into(),
            fix: fix.into(),
        }
    }

    /// The same problem at a place, in front of the place that it has.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = if self.place.is_empty() {
            alloc::format!("{place}")
        } else {
            alloc::format!("{place}.{}", self.place)
        };
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}.", self.what)?;
        if !self.fix.is_empty() {
            write!(f, " {}.", self.fix)?;
        }
        Ok(())
    }
}

impl core::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_sentences_with_a_place() {
        let problem = Problem::new(
            ProblemKind::Invalid,
            "BH-X",
            "9 is too many",
            "Give at most 8",
        );
        assert_eq!(problem.to_string(), "9 is too many. Give at most 8.");
        let placed = problem.at("VirtualQuantity").at("ResourceSettings[1]");
        assert_eq!(
            placed.to_string(),
            "ResourceSettings[1].VirtualQuantity: 9 is too many. Give at most 8."
        );
    }
}
