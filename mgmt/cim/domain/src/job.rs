//! [`Job`]: something that takes time, or that has failed and says why.

use crate::id::{JobId, SystemId};
use crate::problem::Problem;
use core::time::Duration;

/// How long a job stays after its end, unless a client says otherwise.
pub(crate) const KEPT: Duration = Duration::from_secs(300);

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Makes and boots a system.
    Start,
    /// Lets a paused system go on.
    Resume,
    /// Turns a system off.
    TurnOff,
    /// Waits for a guest to power itself off.
    ShutDown,
    /// Pauses a system.
    Pause,
    /// Waits for a guest to power itself off, and starts it again.
    Reboot,
    /// Boots a system anew.
    Reset,
    /// Waits for a guest to give CPUs back.
    TakeProcessors,
    /// Ends all systems and powers the host off.
    StopHost,
    /// Ends all systems and restarts the host.
    RestartHost,
    /// Nothing: it only carries the reason why a method was refused.
    Refused,
}

impl JobKind {
    /// What it does, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            JobKind::Start => "Start",
            JobKind::Resume => "Resume",
            JobKind::TurnOff => "Turn off",
            JobKind::ShutDown => "Shut down",
            JobKind::Pause => "Pause",
            JobKind::Reboot => "Reboot",
            JobKind::Reset => "Reset",
            JobKind::TakeProcessors => "Take processors back",
            JobKind::StopHost => "Shut down the host",
            JobKind::RestartHost => "Restart the host",
            JobKind::Refused => "Refused",
        }
    }

    /// Whether it does something to the host.
    #[must_use]
    pub const fn is_of_host(self) -> bool {
        matches!(self, JobKind::StopHost | JobKind::RestartHost)
    }

    /// How long it may take when the client does not say.
    pub(crate) const fn customary(self) -> Duration {
        match self {
            // A guest may have services to end.
            JobKind::ShutDown | JobKind::Reboot => Duration::from_secs(300),
            // An image may be read from a slow disk.
            JobKind::Start | JobKind::Reset => Duration::from_secs(300),
            _ => Duration::from_secs(60),
        }
    }
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It does its work.
    Running,
    /// It has done it.
    Completed,
    /// A client has ended it before its end; what it began goes on.
    Terminated,
    /// It has failed.
    Failed(Problem),
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// To which system; `None` where there is none, as for a definition that was refused.
    pub system: Option<SystemId>,
    /// How far it is.
    pub state: JobState,
    /// How far it is, in percent.
    pub percent: u8,
    /// When it began, in microseconds since 1970-01-01T00:00:00 UTC.
    pub started: i64,
    /// When its state changed last, on the same scale.
    pub changed: i64,
    /// How long it took, once it has ended.
    pub elapsed: Option<Duration>,
    /// How long it stays after its end.
    pub kept: Duration,
    /// On the monotonic clock: when it began.
    pub(crate) began_at: Duration,
    /// On the monotonic clock: when it fails if it has not ended.
    pub(crate) deadline: Option<Duration>,
    /// On the monotonic clock: when it ended.
    pub(crate) ended_at: Option<Duration>,
}

impl Job {
    /// Why it failed.
    #[must_use]
    pub const fn problem(&self) -> Option<&Problem> {
        match &self.state {
            JobState::Failed(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether it does its work.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        matches!(self.state, JobState::Running)
    }
}
