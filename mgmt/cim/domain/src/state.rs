//! [`State`] and [`Request`]: what a system does, and what it can be asked to do.

/// What a system does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It is off and holds nothing.
    Off,
    /// It is being made and loaded.
    Starting,
    /// It runs.
    Running,
    /// Its CPUs are being stopped.
    Pausing,
    /// Its CPUs stand still; it keeps its memory.
    Paused,
    /// Its CPUs are about to run again.
    Resuming,
    /// It runs, and its power button has been pressed.
    ShuttingDown,
    /// It is being loaded again; it keeps its memory.
    Resetting,
    /// It is being turned off.
    Stopping,
    /// It has crashed and is being taken down.
    Crashing,
    /// It has crashed and holds nothing.
    Crashed,
}

impl State {
    /// Every state.
    pub const ALL: [State; 11] = [
        State::Off,
        State::Starting,
        State::Running,
        State::Pausing,
        State::Paused,
        State::Resuming,
        State::ShuttingDown,
        State::Resetting,
        State::Stopping,
        State::Crashing,
        State::Crashed,
    ];

    /// Whether the system holds resources.
    #[must_use]
    pub const fn is_active(self) -> bool {
        !matches!(self, State::Off | State::Crashed)
    }

    /// What the system does, for sentences that begin with "the system".
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            State::Off => "is off",
            State::Starting => "is starting",
            State::Running => "is running",
            State::Pausing => "is about to pause",
            State::Paused => "is paused",
            State::Resuming => "is about to go on",
            State::ShuttingDown => "is shutting down",
            State::Resetting => "is being reset",
            State::Stopping => "is being turned off",
            State::Crashing => "has just crashed",
            State::Crashed => "has crashed",
        }
    }
}

/// What a system can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Run: start when off, go on when paused.
    Enable,
    /// Be off, at once.
    Disable,
    /// Power off by itself, for which its power button is pressed.
    ShutDown,
    /// Stand still and keep everything.
    Pause,
    /// Power off by itself, and start again.
    Reboot,
    /// Boot anew, at once.
    Reset,
}

impl Request {
    /// Every request.
    pub const ALL: [Request; 6] = [
        Request::Enable,
        Request::Disable,
        Request::ShutDown,
        Request::Pause,
        Request::Reboot,
        Request::Reset,
    ];
}
