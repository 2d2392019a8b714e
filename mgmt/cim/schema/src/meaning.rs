//! What a value of an enumeration means: the qualifiers ValueMap and Values (DSP0004 5.6.3.55, 5.6.3.56).
//!
//! For messages, logs and the operator's command line; clients read the qualifiers themselves.

use cim_model::CimType;

use crate::method::{Method, Parameter};
use crate::property::Property;
use crate::qualifier::{self, Qualifier};

impl Property {
    /// The meaning of an integer value.
    ///
    /// ```
    /// let state = cim_schema::class("CIM_ComputerSystem").unwrap().property("EnabledState").unwrap();
    /// assert_eq!(state.meaning(9), Some("Quiesce"));
    /// assert_eq!(state.meaning(40_000), Some("Vendor Reserved"));
    /// assert_eq!(state.meaning(-1), None);
    /// ```
    #[must_use]
    pub fn meaning(self, value: i128) -> Option<&'static str> {
        meaning(self.qualifiers(), self.value_type().ty, value)
    }
}

impl Method {
    /// The meaning of an integer return value.
    #[must_use]
    pub fn meaning(self, value: i128) -> Option<&'static str> {
        meaning(self.qualifiers(), self.return_type(), value)
    }
}

impl Parameter {
    /// The meaning of an integer value.
    #[must_use]
    pub fn meaning(self, value: i128) -> Option<&'static str> {
        meaning(self.qualifiers(), self.value_type().ty, value)
    }
}

/// One value is named before a range, and a range before `..`, which stands for whatever is left.
fn meaning(
    qualifiers: impl Iterator<Item = Qualifier> + Clone,
    ty: CimType,
    value: i128,
) -> Option<&'static str> {
    let (low, high) = ty.integer_range()?;
    if !(low..=high).contains(&value) {
        return None;
    }
    let names = qualifier::find(qualifiers.clone(), "Values")?.value();
    let map = qualifier::find(qualifiers, "ValueMap")?.value();
    let pairs = map.strings().zip(names.strings());
    pairs
        .filter_map(|(entry, name)| Some((rank(entry, value)?, name)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, name)| name)
}

/// How closely an entry names a value, 0 closest; `None` when it does not, or is no entry for integers.
fn rank(entry: &str, value: i128) -> Option<u8> {
    let Some((low, high)) = entry.split_once("..") else {
        return (number(entry)? == value).then_some(0);
    };
    let bound = |text: &str| match text.trim() {
        "" => Some(None),
        text => number(text).map(Some),
    };
    match (bound(low)?, bound(high)?) {
        (None, None) => Some(2),
        (low, high) => {
            let above = low.is_none_or(|low| low <= value);
            let below = high.is_none_or(|high| value <= high);
            (above && below).then_some(1)
        }
    }
}

fn number(text: &str) -> Option<i128> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => i128::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class;

    #[test]
    fn return_codes_are_named() {
        let change = class("CIM_ComputerSystem")
            .unwrap()
            .method("RequestStateChange")
            .unwrap();
        assert_eq!(change.meaning(0), Some("Completed with No Error"));
        assert_eq!(change.meaning(4097), Some("Invalid State Transition"));
        assert_eq!(change.meaning(50_000), Some("Vendor Specific"));
        assert_eq!(change.meaning(100), Some("DMTF Reserved"));
        let state = change.parameter("RequestedState").unwrap();
        assert_eq!(state.meaning(11), Some("Reset"));
    }

    #[test]
    fn ranges_are_decimal_or_hexadecimal_and_open() {
        assert_eq!(rank("7", 7), Some(0));
        assert_eq!(rank("7", 8), None);
        assert_eq!(rank("0x8000..0xFFFF", 0x8000), Some(1));
        assert_eq!(rank("5..", 4), None);
        assert_eq!(rank("5..", 5), Some(1));
        assert_eq!(rank("..5", 5), Some(1));
        assert_eq!(rank("..", 5), Some(2));
        assert_eq!(rank("text", 5), None);
        assert_eq!(rank("a..b", 5), None);
    }

    #[test]
    fn every_list_of_meanings_has_a_map() {
        // DSP0004 lets Values stand alone and count from zero; meaning() relies on our schema not doing so.
        for property in crate::classes().flat_map(crate::Class::local_properties) {
            let has = |name| property.qualifier(name).is_some();
            assert!(!has("Values") || has("ValueMap"), "{property:?}");
        }
    }
}
