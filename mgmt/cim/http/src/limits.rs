//! Limits of a connection, and the time they are measured in.

/// A point in time or a length of time in milliseconds, from any fixed start; only differences count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The point `length` later.
    #[must_use]
    pub const fn plus(self, length: Millis) -> Millis {
        Millis(self.0.saturating_add(length.0))
    }
}

/// What a peer may demand of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request line; more is answered 414.
    pub request_line: usize,
    /// Bytes of a head, request line included, and of a trailer section; more is answered 431.
    pub head: usize,
    /// Fields in a head or trailer section, at most 100; more is answered 431.
    pub header_count: usize,
    /// Bytes of a body other than a PUT's; more is answered 413.
    pub body: u64,
    /// Bytes of the body of a PUT, which is handed on in pieces and not collected; more is answered 413.
    pub upload: u64,
    /// Bytes that are read and dropped after an early answer, to keep the connection or at least the answer.
    pub drain: u64,
    /// Requests on a connection before it is closed.
    pub requests: u32,
    /// Time from the first byte of a head to its last; more is answered 408.
    pub head_time: Millis,
    /// Time without a byte of a body; more is answered 408.
    pub body_pause: Millis,
    /// Time from the first to the last byte of a body; more is answered 408.
    pub body_time: Millis,
    /// The same for the body of a PUT.
    pub upload_time: Millis,
    /// Time without a request; then the connection closes without a word.
    pub idle_time: Millis,
    /// The methods that are served; others are answered 405 or 501.
    pub methods: &'static [&'static str],
}

impl Limits {
    /// Bytes that the body of a request with this method may have.
    pub(crate) fn body_of(&self, method: &str) -> u64 {
        match method {
            "PUT" => self.upload,
            _ => self.body,
        }
    }

    /// Time that such a body may take.
    pub(crate) fn body_time_of(&self, method: &str) -> Millis {
        match method {
            "PUT" => self.upload_time,
            _ => self.body_time,
        }
    }
}

impl Default for Limits {
    /// Generous for CIM clients on a slow line, small enough for thousands of connections.
    fn default() -> Self {
        Limits {
            request_line: 8 * 1024,
            head: 32 * 1024,
            header_count: 64,
            body: 8 * 1024 * 1024,
            upload: 8 * 1024 * 1024,
            drain: 256 * 1024,
            requests: 100_000,
            head_time: Millis(20_000),
            body_pause: Millis(20_000),
            body_time: Millis(120_000),
            upload_time: Millis(120_000),
            idle_time: Millis(60_000),
            methods: &["POST", "M-POST"],
        }
    }
}
