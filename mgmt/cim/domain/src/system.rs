//! [`System`]: a virtual system as it is.

use crate::definition::Definition;
use crate::event::Crash;
use crate::id::{JobId, SystemId};
use crate::state::{Request, State};
use crate::transition;
use alloc::string::String;
use core::time::Duration;

/// A virtual system as it is. Only the domain makes and changes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Its number.
    pub id: SystemId,
    /// The defined configuration: what clients said, and what the next start goes by.
    pub defined: Definition,
    /// The state configuration: what it started with, every choice made. `None` while it holds nothing.
    pub active: Option<Definition>,
    /// What it does.
    pub state: State,
    /// What it was asked last; `None` once something else has changed its state.
    pub requested: Option<Request>,
    /// When its state changed last, in microseconds since 1970-01-01T00:00:00 UTC.
    pub changed: i64,
    /// How it ended the last time it was on, since the management partition started.
    pub last_end: Option<LastEnd>,
    /// The job that is under way.
    pub job: Option<JobId>,
    /// Its state configuration as it will be when its guest has given processors back.
    pub(crate) leaving: Option<Definition>,
    /// Automatic restarts in a row after crashes.
    pub(crate) recoveries: u32,
    /// On the monotonic clock: since when it runs.
    pub(crate) running_since: Option<Duration>,
    /// On the monotonic clock: when it is to be started without being asked.
    pub(crate) start_at: Option<Duration>,
    /// On the monotonic clock: when the machine is asked again to take it down.
    pub(crate) stop_at: Option<Duration>,
}

/// How a system ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastEnd {
    /// Its guest powered it off.
    PoweredOff,
    /// A client turned it off.
    TurnedOff,
    /// It crashed.
    Crashed(Crash),
    /// It could not be started, for this reason.
    NotStarted(String),
}

impl System {
    /// What it can be asked to do now, besides what it does already.
    pub fn available_requests(&self) -> impl Iterator<Item = Request> + use<> {
        transition::available(self.state)
    }

    /// The identifier: what a client gave, or the UUID.
    #[must_use]
    pub fn identifier(&self) -> String {
        match &self.defined.identifier {
            Some(identifier) => identifier.clone(),
            None => alloc::format!("{}", self.defined.uuid),
        }
    }
}
