//! [`Event`]: what the machine reports.

use alloc::string::String;
use core::fmt;

/// What happened to a system. Events of a system come in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Loading has come this far, in percent. Optional, for jobs to show.
    Progress(u8),
    /// It runs: the end of a start.
    Started,
    /// It could not be started; everything that it held has been given back.
    StartFailed(StartFailure),
    /// Its CPUs are out of guest mode and stay out: the end of a pause.
    Paused,
    /// They run again: the end of a pause.
    Resumed,
    /// It has been asked to restart by its guest, or a reset has begun; its image is being loaded again.
    Resetting,
    /// It runs again after a reset.
    ResetDone,
    /// Its guest has given back the CPUs that it was asked for.
    ProcessorsLeft,
    /// Its guest does not give them back, for this reason. A sentence without its full stop.
    ProcessorsKept(String),
    /// It is off and everything that it held has been given back: after a stop, or because its guest powered it off.
    PoweredOff,
    /// It has crashed. Its CPUs stand still; what it holds is given back once the domain has called for a stop.
    Crashed(Crash),
}

/// A crash, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// The cause in a sentence without its full stop.
    pub reason: String,
    /// The record: registers, address and the like, as lines; may be empty.
    pub record: String,
}

/// Why a system could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartFailure {
    /// Not enough memory, tables or slots. A sentence without its full stop.
    Resources(String),
    /// The kernel or another file is missing or cannot be booted. A sentence without its full stop.
    Image(String),
    /// Anything else that went wrong below. A sentence without its full stop.
    Machine(String),
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartFailure::Resources(text)
            | StartFailure::Image(text)
            | StartFailure::Machine(text) => f.write_str(text),
        }
    }
}
