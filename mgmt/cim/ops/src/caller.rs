//! Who asks, when, and with which rights.

use cim_model::{DateTime, Text};
use core::time::Duration;

/// What an account may do. Each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads everything, changes nothing.
    ReadOnly,
    /// Also creates, modifies and deletes instances and invokes methods.
    Operator,
    /// Also changes classes, qualifiers, namespaces and accounts, and ends the host.
    Administrator,
}

impl Role {
    /// The name in the store and in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Role::ReadOnly => "read-only",
            Role::Operator => "operator",
            Role::Administrator => "administrator",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Role::ReadOnly, Role::Operator, Role::Administrator]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// The two clocks that operations need. The layers below read no clock themselves, so tests own the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Time since an arbitrary start, never going back; timeouts count on it.
    pub monotonic: Duration,
    /// Microseconds since 1970-01-01T00:00:00 UTC, for what clients see.
    pub unix_micros: i64,
}

impl Clock {
    /// The wall time as a CIM datetime in UTC, if it lies in the calendar.
    pub fn datetime(self) -> Option<DateTime> {
        DateTime::from_unix_micros(self.unix_micros).ok()
    }
}

/// An authenticated client during one request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The name of the account.
    pub user: Text,
    /// The rights of the account.
    pub role: Role,
    /// Where the request comes from, for the audit record.
    pub peer: Text,
    /// The time of the request.
    pub clock: Clock,
}
