//! The text form of scalar values, as CIM-XML and keys in a path write them (DSP0201 "VALUE", DSP0004 5.2).

use crate::{CimType, DateTimeError, Scalar, Text};
use core::fmt;

/// Why a text is not a value of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteralError {
    /// Not TRUE or FALSE.
    Boolean,
    /// Not a decimal or hexadecimal integer.
    Integer,
    /// The integer is outside the range of this type.
    Range(CimType),
    /// Not a real.
    Real,
    /// Not exactly one character of the basic multilingual plane.
    Char16,
    /// Not a datetime.
    DateTime(DateTimeError),
    /// References have no literal; they are paths.
    Reference,
}

impl fmt::Display for LiteralError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LiteralError::Boolean => f.write_str("a boolean is TRUE or FALSE"),
            LiteralError::Integer => f.write_str("an integer is decimal, or hexadecimal after 0x"),
            LiteralError::Range(ty) => write!(f, "the number does not fit {ty}"),
            LiteralError::Real => {
                f.write_str("a real is a decimal with point or exponent, INF, -INF or NaN")
            }
            LiteralError::Char16 => f.write_str("a char16 is exactly one character up to U+FFFF"),
            LiteralError::DateTime(error) => error.fmt(f),
            LiteralError::Reference => f.write_str("a reference is a path, not a literal"),
        }
    }
}

impl core::error::Error for LiteralError {}

impl Scalar {
    /// Reads the text form of a value. White space around numbers and booleans is skipped; in strings and
    /// char16 it counts.
    ///
    /// # Errors
    /// [`LiteralError`] when the text is not a value of `ty`.
    pub fn parse(ty: CimType, text: &str) -> Result<Scalar, LiteralError> {
        let integer = |text: &str| integer_in(ty, parse_integer(text)?);
        Ok(match ty {
            CimType::Boolean => Scalar::Boolean(parse_boolean(text)?),
            CimType::Uint8
            | CimType::Uint16
            | CimType::Uint32
            | CimType::Uint64
            | CimType::Sint8
            | CimType::Sint16
            | CimType::Sint32
            | CimType::Sint64 => integer(text)?,
            // Through f32's own parser: going over f64 would round twice.
            CimType::Real32 => match special_real(text.trim()) {
                Some(special) => Scalar::Real32(special as f32),
                None => Scalar::Real32(finite_real(text)?.parse().map_err(|_| LiteralError::Real)?),
            },
            CimType::Real64 => Scalar::Real64(parse_real(text)?),
            CimType::Char16 => Scalar::Char16(parse_char16(text)?),
            CimType::String => Scalar::String(Text::copy(text)),
            CimType::DateTime => {
                Scalar::DateTime(text.trim().parse().map_err(LiteralError::DateTime)?)
            }
            CimType::Reference => return Err(LiteralError::Reference),
        })
    }
}

/// Reads TRUE or FALSE in any case.
pub(crate) fn parse_boolean(text: &str) -> Result<bool, LiteralError> {
    match text.trim() {
        text if text.eq_ignore_ascii_case("true") => Ok(true),
        text if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(LiteralError::Boolean),
    }
}

/// Reads an integer: decimal, or hexadecimal after `0x`, with an optional sign.
pub(crate) fn parse_integer(text: &str) -> Result<i128, LiteralError> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((digits, 10), |hex| (hex, 16));
    // from_str_radix would take a second sign.
    if digits.is_empty() || !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
        return Err(LiteralError::Integer);
    }
    // So many digits cover every CIM integer; leading zeros may be more.
    let longest = if radix == 16 { 16 } else { 20 };
    let digits = digits.trim_start_matches('0');
    if digits.len() > longest {
        let widest = if negative {
            CimType::Sint64
        } else {
            CimType::Uint64
        };
        return Err(LiteralError::Range(widest));
    }
    let value = if digits.is_empty() {
        0
    } else {
        i128::from_str_radix(digits, radix).map_err(|_| LiteralError::Integer)?
    };
    Ok(if negative { -value } else { value })
}

/// The integer as a scalar of an integer type.
pub(crate) fn integer_in(ty: CimType, value: i128) -> Result<Scalar, LiteralError> {
    let range = LiteralError::Range(ty);
    Ok(match ty {
        CimType::Uint8 => Scalar::Uint8(value.try_into().map_err(|_| range)?),
        CimType::Uint16 => Scalar::Uint16(value.try_into().map_err(|_| range)?),
        CimType::Uint32 => Scalar::Uint32(value.try_into().map_err(|_| range)?),
        CimType::Uint64 => Scalar::Uint64(value.try_into().map_err(|_| range)?),
        CimType::Sint8 => Scalar::Sint8(value.try_into().map_err(|_| range)?),
        CimType::Sint16 => Scalar::Sint16(value.try_into().map_err(|_| range)?),
        CimType::Sint32 => Scalar::Sint32(value.try_into().map_err(|_| range)?),
        CimType::Sint64 => Scalar::Sint64(value.try_into().map_err(|_| range)?),
        _ => return Err(LiteralError::Integer),
    })
}

/// Reads a real: decimal with optional fraction and exponent, or INF, -INF, NaN.
pub(crate) fn parse_real(text: &str) -> Result<f64, LiteralError> {
    match special_real(text.trim()) {
        Some(special) => Ok(special),
        None => finite_real(text)?.parse().map_err(|_| LiteralError::Real),
    }
}

fn special_real(text: &str) -> Option<f64> {
    match text {
        _ if text.eq_ignore_ascii_case("INF") || text.eq_ignore_ascii_case("+INF") => {
            Some(f64::INFINITY)
        }
        _ if text.eq_ignore_ascii_case("-INF") => Some(f64::NEG_INFINITY),
        _ if text.eq_ignore_ascii_case("NaN") => Some(f64::NAN),
        _ => None,
    }
}

/// The trimmed text if it is a plain decimal; Rust's own parser would also take "infinity" and "nan".
fn finite_real(text: &str) -> Result<&str, LiteralError> {
    let text = text.trim();
    let plain =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    if text.bytes().all(plain) && text.bytes().any(|byte| byte.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(LiteralError::Real)
    }
}

/// Reads exactly one character.
pub(crate) fn parse_char16(text: &str) -> Result<u16, LiteralError> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).map_err(|_| LiteralError::Char16),
        _ => Err(LiteralError::Char16),
    }
}

/// Writes a real so that reading it gives the same bits. `shortest` is Rust's shortest exact form, which may
/// lack the point that the grammar of DSP0201 asks for.
pub(crate) fn write_real(
    out: &mut dyn fmt::Write,
    class: core::num::FpCategory,
    negative: bool,
    shortest: fmt::Arguments<'_>,
) -> fmt::Result {
    match class {
        core::num::FpCategory::Nan => out.write_str("NaN"),
        core::num::FpCategory::Infinite => out.write_str(if negative { "-INF" } else { "INF" }),
        _ => fmt::Write::write_fmt(&mut WithPoint { out, seen: false }, shortest),
    }
}

/// Puts `.0` before an exponent when no point came before it.
struct WithPoint<'a> {
    out: &'a mut dyn fmt::Write,
    seen: bool,
}

impl fmt::Write for WithPoint<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.seen |= character == '.';
            if character == 'e' && !self.seen {
                self.out.write_str(".0")?;
            }
            self.out.write_char(character)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hexadecimal_number_is_no_wider_than_what_can_be_written_in_decimal() {
        let wide = "0xaaaaaaaaaaaaaaaaa";
        assert_eq!(
            parse_integer(wide),
            Err(LiteralError::Range(CimType::Uint64))
        );
        assert_eq!(
            parse_integer("0x00ffffffffffffffff"),
            Ok(i128::from(u64::MAX))
        );
    }

    #[test]
    fn integers_are_decimal_or_hex_and_range_checked() {
        assert_eq!(Scalar::parse(CimType::Uint8, "255"), Ok(Scalar::Uint8(255)));
        assert_eq!(
            Scalar::parse(CimType::Uint8, " 0xFf "),
            Ok(Scalar::Uint8(255))
        );
        assert_eq!(
            Scalar::parse(CimType::Sint8, "-128"),
            Ok(Scalar::Sint8(-128))
        );
        assert_eq!(
            Scalar::parse(CimType::Sint16, "-0x10"),
            Ok(Scalar::Sint16(-16))
        );
        assert_eq!(
            Scalar::parse(CimType::Uint64, "18446744073709551615"),
            Ok(Scalar::Uint64(u64::MAX))
        );
        assert_eq!(
            Scalar::parse(CimType::Uint16, "0000000000000000000000007"),
            Ok(Scalar::Uint16(7))
        );
        for (ty, text) in [
            (CimType::Uint8, "256"),
            (CimType::Uint8, "-1"),
            (CimType::Sint8, "128"),
        ] {
            assert_eq!(
                Scalar::parse(ty, text),
                Err(LiteralError::Range(ty)),
                "{text}"
            );
        }
        for text in ["", "x", "0x", "1.0", "--1", "+-1", "1 2", "0xg", "0x-1"] {
            assert_eq!(
                Scalar::parse(CimType::Sint64, text),
                Err(LiteralError::Integer),
                "{text}"
            );
        }
        assert!(matches!(
            Scalar::parse(
                CimType::Uint64,
                "999999999999999999999999999999999999999999"
            ),
            Err(LiteralError::Range(_))
        ));
    }

    #[test]
    fn reals_take_only_the_cim_spellings() {
        assert_eq!(
            Scalar::parse(CimType::Real32, "1.5e3"),
            Ok(Scalar::Real32(1500.0))
        );
        assert_eq!(
            Scalar::parse(CimType::Real64, "-INF"),
            Ok(Scalar::Real64(f64::NEG_INFINITY))
        );
        let Ok(Scalar::Real64(nan)) = Scalar::parse(CimType::Real64, "NaN") else {
            panic!()
        };
        assert!(nan.is_nan());
        for text in ["", ".", "infinity", "1,5", "0x1", "1e", "e5", "1.5.2"] {
            assert_eq!(
                Scalar::parse(CimType::Real64, text),
                Err(LiteralError::Real),
                "{text}"
            );
        }
    }

    #[test]
    fn reals_are_written_with_a_point_and_come_back() {
        for value in [
            0.0,
            -0.0,
            1.0,
            0.1,
            1e16,
            -1e300,
            5e-324,
            f64::MAX,
            f64::MIN_POSITIVE,
        ] {
            let text = Scalar::Real64(value).to_string();
            assert!(text.contains('.'), "{text}");
            let Ok(Scalar::Real64(back)) = Scalar::parse(CimType::Real64, &text) else {
                panic!()
            };
            assert_eq!(back.to_bits(), value.to_bits(), "{text}");
        }
        assert_eq!(Scalar::Real64(1e16).to_string(), "1.0e16");
        assert_eq!(Scalar::Real32(0.1).to_string(), "0.1");
        assert_eq!(Scalar::Real32(f32::NEG_INFINITY).to_string(), "-INF");
    }

    #[test]
    fn char16_is_one_character() {
        assert_eq!(
            Scalar::parse(CimType::Char16, "ä"),
            Ok(Scalar::Char16(0xe4))
        );
        assert_eq!(
            Scalar::parse(CimType::Char16, " "),
            Ok(Scalar::Char16(0x20))
        );
        for text in ["", "ab", "\u{1f600}"] {
            assert_eq!(
                Scalar::parse(CimType::Char16, text),
                Err(LiteralError::Char16),
                "{text}"
            );
        }
    }

    #[test]
    fn booleans_ignore_case() {
        assert_eq!(
            Scalar::parse(CimType::Boolean, "TrUe"),
            Ok(Scalar::Boolean(true))
        );
        assert_eq!(
            Scalar::parse(CimType::Boolean, "0"),
            Err(LiteralError::Boolean)
        );
    }
}
