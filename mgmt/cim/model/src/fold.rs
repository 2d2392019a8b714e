//! Case-insensitive comparison of CIM names (DSP0004: names are case-insensitive and case-preserving).
//!
//! Almost every name is ASCII, so that case has its own loop; the identifier syntax of DSP0004 also allows
//! characters from U+0080 to U+FFEF, which fold by the simple lower-case mapping of Unicode.

use core::cmp::Ordering;
use core::hash::Hasher;

/// Whether two names are the same name.
pub fn same_name(a: &str, b: &str) -> bool {
    // Most comparisons are of different names, and most of those differ in the first letter. No letter beyond
    // ASCII is compared here, because only such a letter can fold to one of ASCII.
    if let (Some(first_a), Some(first_b)) = (a.bytes().next(), b.bytes().next())
        && first_a.is_ascii()
        && first_b.is_ascii()
        && !first_a.eq_ignore_ascii_case(&first_b)
    {
        return false;
    }
    if a.is_ascii() && b.is_ascii() {
        a.eq_ignore_ascii_case(b)
    } else {
        folded(a).eq(folded(b))
    }
}

/// The order of two names, consistent with [`same_name`].
pub fn compare_names(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        let left = a.bytes().map(|byte| byte.to_ascii_lowercase());
        let right = b.bytes().map(|byte| byte.to_ascii_lowercase());
        left.cmp(right)
    } else {
        folded(a).cmp(folded(b))
    }
}

/// Feeds a name to a hasher so that equal names hash alike.
pub(crate) fn hash_name<H: Hasher>(name: &str, state: &mut H) {
    for character in folded(name) {
        state.write_u32(u32::from(character));
    }
    state.write_u8(0xff);
}

/// Whether a name has the identifier syntax of DSP0004 (Annex A, `IDENTIFIER`): a letter, underscore or a
/// character in U+0080..=U+FFEF, followed by the same or digits.
pub fn is_identifier(name: &str) -> bool {
    let is_first =
        |c: char| c.is_ascii_alphabetic() || c == '_' || ('\u{80}'..='\u{ffef}').contains(&c);
    let mut characters = name.chars();
    characters.next().is_some_and(is_first) && characters.all(|c| is_first(c) || c.is_ascii_digit())
}

fn folded(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_ascii_and_beyond() {
        assert!(same_name("CIM_System", "cim_SYSTEM"));
        assert!(same_name("Größe", "GRÖßE"));
        assert!(!same_name("CIM_System", "CIM_Systems"));
        assert!(
            same_name("\u{212a}elvin", "kELVIN"),
            "the Kelvin sign folds to k"
        );
        assert!(same_name("", "") && !same_name("", "a"));
        assert_eq!(compare_names("abc", "ABD"), Ordering::Less);
        assert_eq!(compare_names("B", "a"), Ordering::Greater);
        assert_eq!(compare_names("Ärger", "ärger"), Ordering::Equal);
    }

    #[test]
    fn identifiers_follow_dsp0004() {
        for good in ["A", "_x9", "CIM_ComputerSystem", "Größe", "__Namespace"] {
            assert!(is_identifier(good), "{good}");
        }
        for bad in ["", "9a", "a-b", "a b", "a.b", "\u{10000}"] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }
}
