//! Events that are injected or whose delivery an exit interrupted (SDM 3C 24.8.3, 24.9.3).

/// What the interruption-information fields hold, with the error code of its own field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    information: u32,
    error_code: u32,
}

/// The kind of an event (bits 10:8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// External interrupt.
    Interrupt,
    /// Non-maskable interrupt.
    Nmi,
    /// Exception by hardware.
    Exception,
    /// INT n, INT1, INT3 or INTO.
    Software,
}

impl Event {
    const VALID: u32 = 1 << 31;
    const ERROR_CODE: u32 = 1 << 11;

    /// An external interrupt.
    pub const fn interrupt(vector: u8) -> Self {
        Self {
            information: Self::VALID | vector as u32,
            error_code: 0,
        }
    }

    /// A non-maskable interrupt.
    pub const fn nmi() -> Self {
        Self {
            information: Self::VALID | 2 << 8 | 2,
            error_code: 0,
        }
    }

    /// An exception.
    pub const fn exception(vector: u8, error_code: Option<u32>) -> Self {
        let base = Self::VALID | 3 << 8 | vector as u32;
        match error_code {
            Some(code) => Self {
                information: base | Self::ERROR_CODE,
                error_code: code,
            },
            None => Self {
                information: base,
                error_code: 0,
            },
        }
    }

    /// The event of these fields; `None` where it is not valid. Bit 12 is not taken over.
    pub const fn from_fields(information: u64, error_code: u64) -> Option<Self> {
        let information = information as u32;
        if information & Self::VALID == 0 {
            return None;
        }
        Some(Self {
            information: information & (Self::VALID | 0xfff),
            error_code: error_code as u32,
        })
    }

    /// The information field.
    pub const fn information(self) -> u64 {
        self.information as u64
    }

    /// The error code, where there is one.
    pub const fn error_code(self) -> Option<u32> {
        if self.information & Self::ERROR_CODE != 0 {
            Some(self.error_code)
        } else {
            None
        }
    }

    /// The same without error code: in real mode there is none.
    pub const fn without_error_code(self) -> Self {
        Self {
            information: self.information & !Self::ERROR_CODE,
            error_code: 0,
        }
    }

    /// The vector.
    pub const fn vector(self) -> u8 {
        self.information as u8
    }

    /// The kind.
    pub const fn kind(self) -> EventKind {
        match self.information >> 8 & 7 {
            0 => EventKind::Interrupt,
            2 => EventKind::Nmi,
            3 => EventKind::Exception,
            _ => EventKind::Software,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_laid_out_as_the_manual_says() {
        assert_eq!(Event::interrupt(0x31).information(), 0x8000_0031);
        assert_eq!(Event::nmi().information(), 0x8000_0202);
        let fault = Event::exception(14, Some(6));
        assert_eq!(fault.information(), 0x8000_0b0e);
        assert_eq!(fault.error_code(), Some(6));
        assert_eq!(fault.without_error_code().information(), 0x8000_030e);
        assert_eq!(Event::from_fields(0x30e, 0), None);
        let again = Event::from_fields(0x8000_1b0e, 6).unwrap();
        assert_eq!((again, again.kind()), (fault, EventKind::Exception));
    }
}
