//! Events that are injected or whose delivery an exit interrupted (APM 2 15.20).

/// What `EVENTINJ` and `EXITINTINFO` hold (APM 2 15.20).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event(u64);

/// The kind of an event (bits 10:8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// External interrupt.
    Interrupt,
    /// Non-maskable interrupt.
    Nmi,
    /// Exception.
    Exception,
    /// INT n.
    Software,
    /// A reserved encoding.
    Reserved,
}

impl Event {
    const VALID: u64 = 1 << 31;
    const ERROR_CODE: u64 = 1 << 11;

    /// An external interrupt.
    pub const fn interrupt(vector: u8) -> Self {
        Self(Self::VALID | vector as u64)
    }

    /// A non-maskable interrupt.
    pub const fn nmi() -> Self {
        Self(Self::VALID | 2 << 8 | 2)
    }

    /// An exception.
    pub const fn exception(vector: u8, error_code: Option<u32>) -> Self {
        let base = Self::VALID | 3 << 8 | vector as u64;
        match error_code {
            Some(code) => Self(base | Self::ERROR_CODE | (code as u64) << 32),
            None => Self(base),
        }
    }

    /// The event of this field's content; `None` where it is not valid.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits & Self::VALID != 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The field's content.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The vector.
    pub const fn vector(self) -> u8 {
        self.0 as u8
    }

    /// The error code, where there is one.
    pub const fn error_code(self) -> Option<u32> {
        if self.0 & Self::ERROR_CODE != 0 {
            Some((self.0 >> 32) as u32)
        } else {
            None
        }
    }

    /// The kind.
    pub const fn kind(self) -> EventKind {
        match self.0 >> 8 & 7 {
            0 => EventKind::Interrupt,
            2 => EventKind::Nmi,
            3 => EventKind::Exception,
            4 => EventKind::Software,
            _ => EventKind::Reserved,
        }
    }
}
