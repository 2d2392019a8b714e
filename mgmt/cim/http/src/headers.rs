//! Header fields as received.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// Header or trailer fields in order; names compare without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Box<str>, Box<str>)>);

impl Headers {
    pub(crate) fn from_parsed(fields: &[httparse::Header<'_>]) -> Self {
        Headers(
            fields
                .iter()
                .map(|field| (field.name.into(), decode(field.value).into()))
                .collect(),
        )
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The values of a field, one per line.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The value of a field; several lines are joined with commas (RFC 9110 5.3).
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut lines = self
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value);
        let mut joined = Cow::Borrowed(lines.next()?);
        for line in lines {
            let text: &mut String = joined.to_mut();
            text.push_str(", ");
            text.push_str(line);
        }
        Some(joined)
    }

    /// Whether a comma-separated field contains a token.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    }
}

/// Field values are UTF-8 from every client we know; others are read as ISO 8859-1, the old rule.
fn decode(value: &[u8]) -> String {
    match core::str::from_utf8(value) {
        Ok(text) => text.trim_matches([' ', '\t']).into(),
        Err(_) => value.trim_ascii().iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static [u8])]) -> Headers {
        let parsed: Vec<_> = fields
            .iter()
            .map(|(name, value)| httparse::Header { name, value })
            .collect();
        Headers::from_parsed(&parsed)
    }

    #[test]
    fn names_ignore_case_and_lines_join() {
        let all = headers(&[
            ("CIMOperation", b"MethodCall"),
            ("X", b" y "),
            ("cimoperation", b"MethodCall"),
        ]);
        assert_eq!(
            all.get("CIMOPERATION").as_deref(),
            Some("MethodCall, MethodCall")
        );
        assert_eq!(all.get("x").as_deref(), Some("y"));
        assert_eq!(all.get("z"), None);
        assert!(headers(&[("Connection", b"Keep-Alive, TE")]).has_token("connection", "te"));
    }

    #[test]
    fn values_are_utf8_or_latin1() {
        let all = headers(&[("a", "ä".as_bytes()), ("b", b"\xe4")]);
        assert_eq!(all.get("a"), all.get("b"));
    }
}
