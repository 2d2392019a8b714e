//! Whose fault it is: the error types carry the blame, and with it what must happen next.

use core::fmt;

/// An x86 exception that an operation of the guest raises in the guest (SDM 3A 6.15, APM 2 8.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exception {
    /// The vector, 0 to 31.
    pub vector: u8,
    /// The error code, for the vectors that push one.
    pub error_code: Option<u32>,
}

impl Exception {
    /// #UD, invalid opcode.
    pub const UD: Exception = Exception {
        vector: 6,
        error_code: None,
    };
    /// #GP(0), general protection.
    pub const GP0: Exception = Exception {
        vector: 13,
        error_code: Some(0),
    };
}

/// The guest did something wrong: inject the exception, or stop that partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GuestFault {
    /// What real hardware answers with an exception: inject it and go on.
    Inject(Exception),
    /// What cannot go on: the partition stops with a crash record of this cause.
    Stop(StopCause),
}

impl GuestFault {
    /// Inject #GP(0).
    pub const GP0: GuestFault = GuestFault::Inject(Exception::GP0);
    /// Inject #UD.
    pub const UD: GuestFault = GuestFault::Inject(Exception::UD);
}

/// Why a partition was stopped by the hypervisor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum StopCause {
    /// A fault while delivering a double fault: the machine would reset.
    TripleFault = 1,
    /// The guest touched guest-physical memory where nothing is.
    NothingMapped = 2,
    /// The guest wrote to memory that is read-only for it.
    ReadOnly = 3,
    /// An instruction that must be emulated is not one the emulator knows.
    CannotEmulate = 4,
    /// The CPU refused the guest's state at entry.
    InvalidState = 5,
    /// A halt that no interrupt, event or INIT can end.
    DeadHalt = 6,
    /// The guest asked to be shut down with a report of its own failure.
    GuestReport = 7,
    /// The hypervisor met an exit that it does not know.
    UnknownExit = 8,
    /// A fault while the hypervisor accessed the guest's memory on its behalf.
    BadGuestMemory = 9,
    /// The hypervisor could not get the memory that the guest's operation needed.
    OutOfMemory = 10,
    /// The machine reported an uncorrected error while the partition ran.
    MachineCheck = 11,
}

impl StopCause {
    /// All causes, for tables.
    pub const ALL: [StopCause; 11] = [
        StopCause::TripleFault,
        StopCause::NothingMapped,
        StopCause::ReadOnly,
        StopCause::CannotEmulate,
        StopCause::InvalidState,
        StopCause::DeadHalt,
        StopCause::GuestReport,
        StopCause::UnknownExit,
        StopCause::BadGuestMemory,
        StopCause::OutOfMemory,
        StopCause::MachineCheck,
    ];

    /// A sentence for the operator.
    pub const fn describe(self) -> &'static str {
        match self {
            StopCause::TripleFault => "triple fault: an exception while delivering a double fault",
            StopCause::NothingMapped => "access to guest-physical memory where nothing is",
            StopCause::ReadOnly => "write to memory that is read-only for the guest",
            StopCause::CannotEmulate => "instruction that the emulator does not know",
            StopCause::InvalidState => "the CPU refused the guest's state",
            StopCause::DeadHalt => "halted with nothing that could wake it",
            StopCause::GuestReport => "the guest reported its own failure",
            StopCause::UnknownExit => "unknown exit from guest mode",
            StopCause::BadGuestMemory => "guest memory needed for the operation is not accessible",
            StopCause::OutOfMemory => "no memory left for what the guest's operation needs",
            StopCause::MachineCheck => "the machine reported an uncorrected hardware error",
        }
    }
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

/// A pool is exhausted: the operation failed and nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResourceError {
    /// No frames left for guest memory of the size asked for.
    GuestMemory,
    /// No frames left for the hypervisor's own tables.
    HypervisorMemory,
    /// A table of fixed size is full; the name says which.
    TableFull(&'static str),
    /// No physical CPU that may be used has so much left to promise.
    Reservations,
}

impl fmt::Display for ResourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceError::GuestMemory => f.write_str("not enough free memory for guests"),
            ResourceError::HypervisorMemory => {
                f.write_str("not enough free memory for the hypervisor's own tables")
            }
            ResourceError::TableFull(name) => write!(f, "the table of {name} is full"),
            ResourceError::Reservations => {
                f.write_str("too much of the physical CPUs is reserved already")
            }
        }
    }
}
