//! Who may use a console.

use core::time::Duration;

use mgmt_executor::Instant;

/// What an account may do at a console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pass {
    /// Watch and type.
    Type,
    /// Only watch.
    Watch,
    /// Nothing: name or password are wrong.
    Denied,
    /// Nothing before that time is over: too many wrong passwords came.
    Wait(Duration),
}

/// Checks credentials, with the same accounts and the same patience as every other way in.
pub trait Gate {
    /// What these credentials, sent by `peer`, allow at the console of that name.
    fn check(&self, console: &str, peer: &str, user: &str, password: &str, now: Instant) -> Pass;
}
