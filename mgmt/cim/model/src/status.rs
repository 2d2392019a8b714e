//! The CIM status codes (DSP0200 1.4, "Error codes"): the CODE attribute of an ERROR element.

use core::fmt;

macro_rules! statuses {
    ($($(#[$meta:meta])* $variant:ident = $code:literal, $name:literal;)*) => {
        /// A CIM status code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum CimStatus {
            $($(#[$meta])* $variant = $code,)*
        }

        impl CimStatus {
            /// Every status, in numeric order.
            pub const ALL: &'static [CimStatus] = &[$(CimStatus::$variant,)*];

            /// The symbolic name, such as `CIM_ERR_NOT_FOUND`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(CimStatus::$variant => concat!("CIM_ERR_", $name),)*
                }
            }

            /// The status with that number.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $($code => Some(CimStatus::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// A general error occurred that no more specific code covers.
    Failed = 1, "FAILED";
    /// The client may not do this.
    AccessDenied = 2, "ACCESS_DENIED";
    /// The target namespace does not exist.
    InvalidNamespace = 3, "INVALID_NAMESPACE";
    /// One or more parameters are missing, unknown, repeated or wrong.
    InvalidParameter = 4, "INVALID_PARAMETER";
    /// The named class does not exist.
    InvalidClass = 5, "INVALID_CLASS";
    /// The requested object does not exist.
    NotFound = 6, "NOT_FOUND";
    /// The operation is not supported.
    NotSupported = 7, "NOT_SUPPORTED";
    /// The class cannot go or change while it has subclasses.
    ClassHasChildren = 8, "CLASS_HAS_CHILDREN";
    /// The class cannot go or change while it has instances.
    ClassHasInstances = 9, "CLASS_HAS_INSTANCES";
    /// The named superclass does not exist.
    InvalidSuperclass = 10, "INVALID_SUPERCLASS";
    /// An object of that name exists.
    AlreadyExists = 11, "ALREADY_EXISTS";
    /// The class has no such property.
    NoSuchProperty = 12, "NO_SUCH_PROPERTY";
    /// The value does not fit the type.
    TypeMismatch = 13, "TYPE_MISMATCH";
    /// The query language is not supported.
    QueryLanguageNotSupported = 14, "QUERY_LANGUAGE_NOT_SUPPORTED";
    /// The query is not valid in its language.
    InvalidQuery = 15, "INVALID_QUERY";
    /// The extrinsic method could not be run.
    MethodNotAvailable = 16, "METHOD_NOT_AVAILABLE";
    /// The class has no such extrinsic method.
    MethodNotFound = 17, "METHOD_NOT_FOUND";
    /// An asynchronous response was not expected.
    UnexpectedResponse = 18, "UNEXPECTED_RESPONSE";
    /// The destination for an asynchronous response is wrong.
    InvalidResponseDestination = 19, "INVALID_RESPONSE_DESTINATION";
    /// The namespace cannot go while it has content.
    NamespaceNotEmpty = 20, "NAMESPACE_NOT_EMPTY";
    /// The enumeration context is unknown, closed or expired.
    InvalidEnumerationContext = 21, "INVALID_ENUMERATION_CONTEXT";
    /// The operation timeout is not one the server grants.
    InvalidOperationTimeout = 22, "INVALID_OPERATION_TIMEOUT";
    /// The pull was abandoned because its enumeration was closed.
    PullHasBeenAbandoned = 23, "PULL_HAS_BEEN_ABANDONED";
    /// The running pull cannot be abandoned; the enumeration stays open.
    PullCannotBeAbandoned = 24, "PULL_CANNOT_BE_ABANDONED";
    /// Filtering of enumerations is not supported.
    FilteredEnumerationNotSupported = 25, "FILTERED_ENUMERATION_NOT_SUPPORTED";
    /// Continuing after an error is not supported.
    ContinuationOnErrorNotSupported = 26, "CONTINUATION_ON_ERROR_NOT_SUPPORTED";
    /// A limit of the server was reached.
    ServerLimitsExceeded = 27, "SERVER_LIMITS_EXCEEDED";
    /// The server is shutting down.
    ServerIsShuttingDown = 28, "SERVER_IS_SHUTTING_DOWN";
    /// The query uses a feature that is not supported.
    QueryFeatureNotSupported = 29, "QUERY_FEATURE_NOT_SUPPORTED";
}

impl CimStatus {
    /// The number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for CimStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_run_from_1_to_29_and_come_back() {
        assert_eq!(CimStatus::ALL.len(), 29);
        for (index, status) in CimStatus::ALL.iter().enumerate() {
            assert_eq!(usize::from(status.code()), index + 1);
            assert_eq!(
                CimStatus::from_code(u32::from(status.code())),
                Some(*status)
            );
        }
        assert_eq!(CimStatus::from_code(0), None);
        assert_eq!(CimStatus::from_code(30), None);
        assert_eq!(CimStatus::NotFound.to_string(), "6 (CIM_ERR_NOT_FOUND)");
    }
}
