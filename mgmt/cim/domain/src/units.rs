//! [`Unit`]: programmatic units (DSP0004, annex C) and the old names that clients still send.

use alloc::string::String;
use core::fmt;

/// What a unit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Data, in bytes.
    Byte,
    /// Things, in ones.
    Count,
    /// Parts of a whole, in percent.
    Percent,
    /// Frequencies, in hertz.
    Hertz,
}

/// A unit: a multiple or a fraction of the base unit of its dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    dimension: Dimension,
    numerator: u64,
    denominator: u64,
}

/// Why a text is no unit that is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError(String);

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is no unit that is known here", self.0)
    }
}

impl core::error::Error for UnitError {}

/// Names from before there were programmatic units; their multiples are powers of 1024.
const OLD: &[(&str, Dimension, u64)] = &[
    ("bytes", Dimension::Byte, 1),
    ("kilobytes", Dimension::Byte, 1 << 10),
    ("megabytes", Dimension::Byte, 1 << 20),
    ("gigabytes", Dimension::Byte, 1 << 30),
    ("kb", Dimension::Byte, 1 << 10),
    ("mb", Dimension::Byte, 1 << 20),
    ("gb", Dimension::Byte, 1 << 30),
    ("processor", Dimension::Count, 1),
    ("processors", Dimension::Count, 1),
    ("ports", Dimension::Count, 1),
    ("mhz", Dimension::Hertz, 1_000_000),
    ("megahertz", Dimension::Hertz, 1_000_000),
];

impl Unit {
    /// Reads a unit, in whatever case and with blanks wherever.
    ///
    /// # Errors
    /// [`UnitError`] for what is no unit of these dimensions.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let compact: String = text
            .chars()
            .filter(|character| !character.is_whitespace())
            .map(|character| character.to_ascii_lowercase())
            .collect();
        let old = OLD.iter().find(|(name, ..)| *name == compact);
        let unit = match old {
            Some((_, dimension, numerator)) => Some(Unit {
                dimension: *dimension,
                numerator: *numerator,
                denominator: 1,
            }),
            None => Self::programmatic(&compact),
        };
        unit.ok_or_else(|| UnitError(text.into()))
    }

    /// `base-unit`, then any number of `*factor` and `/factor`.
    fn programmatic(text: &str) -> Option<Self> {
        let end = text.find(['*', '/']).unwrap_or(text.len());
        let (base, mut rest) = text.split_at_checked(end)?;
        let (dimension, denominator) = match base {
            "byte" => (Dimension::Byte, 1),
            "bit" => (Dimension::Byte, 8),
            "count" => (Dimension::Count, 1),
            "percent" => (Dimension::Percent, 1),
            "hertz" => (Dimension::Hertz, 1),
            _ => return None,
        };
        let mut unit = Unit {
            dimension,
            numerator: 1,
            denominator,
        };
        while let Some((operator, following)) = rest.split_at_checked(1) {
            if operator.is_empty() {
                break;
            }
            let end = following.find(['*', '/']).unwrap_or(following.len());
            let (factor, after) = following.split_at_checked(end)?;
            let factor = factor_of(factor)?;
            match operator {
                "*" => unit.numerator = unit.numerator.checked_mul(factor)?,
                _ => unit.denominator = unit.denominator.checked_mul(factor)?,
            }
            rest = after;
        }
        Some(unit)
    }

    /// What it measures.
    #[must_use]
    pub const fn dimension(self) -> Dimension {
        self.dimension
    }

    /// An amount in this unit as one in the base unit; `None` when it is not whole or does not fit.
    #[must_use]
    pub fn to_base(self, amount: u64) -> Option<u64> {
        let product = u128::from(amount).checked_mul(u128::from(self.numerator))?;
        let denominator = u128::from(self.denominator);
        (product.checked_rem(denominator)? == 0)
            .then(|| product.checked_div(denominator))
            .flatten()
            .and_then(|whole| u64::try_from(whole).ok())
    }
}

/// A positive number, or a power of one as in `2^20`.
fn factor_of(text: &str) -> Option<u64> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
    match text.split_once('^') {
        None => number(text),
        Some((base, exponent)) => number(base)?.checked_pow(exponent.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_memory() {
        for (text, bytes) in [
            ("byte", 1),
            ("bytes", 1),
            ("byte*2^20", 1 << 20),
            ("byte * 2^10", 1024),
            ("Byte * 10^3", 1000),
            ("byte*1024*1024", 1 << 20),
            ("KiloBytes", 1 << 10),
            ("MegaBytes", 1 << 20),
            ("GigaBytes", 1 << 30),
            ("bit * 8", 1),
        ] {
            let unit = Unit::parse(text).unwrap();
            assert_eq!(unit.dimension(), Dimension::Byte, "{text}");
            assert_eq!(unit.to_base(3), Some(3 * bytes), "{text}");
        }
    }

    #[test]
    fn other_units() {
        assert_eq!(Unit::parse("count").unwrap().dimension(), Dimension::Count);
        assert_eq!(Unit::parse("Processors").unwrap().to_base(4), Some(4));
        assert_eq!(
            Unit::parse("hertz * 10^6").unwrap().to_base(2),
            Some(2_000_000)
        );
        let hundredths = Unit::parse("percent / 100").unwrap();
        assert_eq!(hundredths.to_base(200), Some(2));
        assert_eq!(hundredths.to_base(150), None);
        assert_eq!(Unit::parse("byte*2^20").unwrap().to_base(u64::MAX), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "KiloMeters",
            "meter",
            "byte*",
            "byte*0",
            "byte*x",
            "byte*2^",
            "byte*2^99",
            "*2",
            "byte**2",
            "byte/0",
            "byte^2",
        ] {
            assert!(Unit::parse(bad).is_err(), "{bad:?}");
        }
    }
}
