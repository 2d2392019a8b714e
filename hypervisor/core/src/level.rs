//! The level of an interrupt line between two device models.

/// A level. Lines are logical: what is asserted is high, whatever the polarity of the wire is on a real board.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Level {
    /// Not asserted.
    #[default]
    Low,
    /// Asserted.
    High,
}

impl Level {
    /// High where the condition holds.
    #[inline]
    pub const fn high_if(condition: bool) -> Self {
        if condition { Level::High } else { Level::Low }
    }

    /// Whether the line is asserted.
    #[inline]
    pub const fn is_high(self) -> bool {
        matches!(self, Level::High)
    }
}
