//! [`HostEnd`] and [`HostStop`]: the end of the whole machine.

use crate::id::{JobId, SystemId};
use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

/// How the machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostEnd {
    /// It is powered off.
    PowerOff,
    /// It starts again from its firmware.
    Restart,
}

/// How systems are ended before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Each as its AutomaticShutdownAction says, those that start last first.
    Orderly,
    /// All at once, whatever they say.
    AtOnce,
}

/// What the host was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRequest {
    /// How it is to end.
    pub end: HostEnd,
    /// How its systems are to end before.
    pub manner: Manner,
}

/// The stop of the host that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStop {
    /// What was asked for.
    pub request: HostRequest,
    /// The job that does it.
    pub job: JobId,
    /// The systems that were on when it began: those that "restart if previously active".
    pub(crate) was_on: BTreeSet<SystemId>,
    /// What was done about each so far.
    pub(crate) asked: BTreeMap<SystemId, Asked>,
    /// On the monotonic clock: when the client's patience ends, and what is left is turned off.
    pub(crate) deadline: Option<Duration>,
    /// The machine has been told to end.
    pub(crate) is_done: bool,
}

/// What was done about a system, and until when that may take on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Its guest was asked.
    Guest(Duration),
    /// It is turned off.
    TurnOff(Duration),
}
