//! The values that switch the machine off, from the differentiated table (ACPI 6.5, 7.4.2).
//!
//! The object `\_S5` is a package of constants in every firmware that we know of, so a scan for its
//! encoding (ACPI 6.5, 20.2) does without an AML interpreter.

use super::reader::u8_at;

/// Values for the sleep-type fields of the PM1 control registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SoftOff {
    /// For the first register.
    pub a: u8,
    /// For the second register.
    pub b: u8,
}

const NAME: &[u8] = b"_S5_";
const NAME_OP: u8 = 0x08;
const ROOT_PREFIX: u8 = b'\\';
const PACKAGE_OP: u8 = 0x12;

/// The values in `dsdt`; `None` where there are none in the usual form.
pub(super) fn find(dsdt: &[u8]) -> Option<SoftOff> {
    (0..dsdt.len())
        .filter(|at| dsdt.get(*at..).is_some_and(|rest| rest.starts_with(NAME)))
        .find_map(|at| definition(dsdt, at))
}

/// The package, if the name at `at` is being defined as one.
fn definition(dsdt: &[u8], at: usize) -> Option<SoftOff> {
    let before = u8_at(dsdt, at.checked_sub(1)?)?;
    let named =
        before == NAME_OP || before == ROOT_PREFIX && u8_at(dsdt, at.checked_sub(2)?)? == NAME_OP;
    let mut position = at.checked_add(NAME.len())?;
    if !named || u8_at(dsdt, position)? != PACKAGE_OP {
        return None;
    }
    // The length's first byte says how many bytes follow it; then comes the number of elements.
    let more = u8_at(dsdt, position.checked_add(1)?)? >> 6;
    position = position.checked_add(2 + usize::from(more))?;
    let elements = u8_at(dsdt, position)?;
    let (a, next) = constant(dsdt, position.checked_add(1)?)?;
    let b = if elements > 1 {
        constant(dsdt, next)?.0
    } else {
        a
    };
    Some(SoftOff { a, b })
}

/// A small integer constant, and where the next term starts. Sleep types have three bits.
fn constant(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let (value, length) = match u8_at(bytes, at)? {
        0 => (0, 1),
        1 => (1, 1),
        0x0a => (u8_at(bytes, at.checked_add(1)?)?, 2),
        _ => return None,
    };
    (value < 8).then_some((value, at.checked_add(length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_found() {
        let qemu = b"....\x08_S5_\x12\x06\x04\0\0\0\0....";
        assert_eq!(find(qemu), Some(SoftOff { a: 0, b: 0 }));
        let other = b"\x08\\_S5_\x12\x48\0\x02\x0a\x07\x01";
        assert_eq!(find(other), Some(SoftOff { a: 7, b: 1 }));
        let short = b"\x08_S5_\x12\x04\x01\x0a\x05";
        assert_eq!(find(short), Some(SoftOff { a: 5, b: 5 }));
    }

    #[test]
    fn what_only_looks_alike_is_passed_over() {
        assert_eq!(find(b"_S5_\x12\x06\x04\0\0"), None);
        assert_eq!(find(b"\x08_S5_\x14\x06\x04\0\0"), None);
        assert_eq!(find(b"\x08_S5_\x12\x06\x02\x0a\x09\0"), None);
        assert_eq!(find(b"\x08_S5_\x12\x06\x02\x0a"), None);
        // A mention before the definition does not hide it.
        let both = b"\x70_S5_\x12\x08_S5_\x12\x06\x02\x01\x01";
        assert_eq!(find(both), Some(SoftOff { a: 1, b: 1 }));
    }
}
