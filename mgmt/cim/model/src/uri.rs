//! WBEM URIs (DSP0207) in the forms that clients use, and the CIMObject header form.

use crate::key::KeyValue;
use crate::{
    ClassName, ClassPath, HostName, InstancePath, NamespaceName, ObjectPath, PropertyName, Text,
};
use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt::{self, Write};
use core::str::FromStr;

/// Most keys of a path that is read; keys are kept sorted, which is quadratic for hostile numbers of them.
const MAX_KEYS: usize = 256;

/// The text forms of a path; they differ in the slashes and in letter case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriFormat {
    /// `//host/ns:Class.k="v"`; without a host `/ns:Class.k="v"`.
    Standard,
    /// As `Standard`, with host, namespace, class and key names in lower case, for comparing texts.
    Canonical,
    /// Without host and leading slash, `ns:Class.k="v"`: the CIMObject header.
    CimObject,
    /// `//host/ns:Class.k="v"`, `ns:Class.k="v"` or `Class.k="v"`.
    Historical,
}

/// Why a text is not a WBEM URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriError {
    /// No class name where one must be.
    Class,
    /// A key without name or without `=`.
    KeyName,
    /// A key whose value is not a literal.
    KeyValue,
    /// A quote that is not closed, or text after it.
    Quote,
    /// The same key twice.
    RepeatedKey,
    /// More keys than any class has.
    TooManyKeys,
    /// An instance path where a class path was asked for, or the reverse.
    Kind,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UriError::Class => "the path has no valid class name",
            UriError::KeyName => "a key must be written as name=value",
            UriError::KeyValue => "the value of a key is not a literal",
            UriError::Quote => "a quoted key value is not closed or is followed by other text",
            UriError::TooManyKeys => "the path has too many keys",
            UriError::RepeatedKey => "the path gives the same key twice",
            UriError::Kind => "the path is not of the wanted kind (class or instance)",
        })
    }
}

impl core::error::Error for UriError {}

impl InstancePath {
    /// Writes the path in a URI form.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_uri(&self, format: UriFormat, out: &mut dyn Write) -> fmt::Result {
        write_prefix(
            format,
            self.host.as_ref(),
            self.namespace.as_ref(),
            &self.class,
            out,
        )?;
        if self.keys().is_empty() {
            // A singleton; without the mark it would read as a class path.
            return out.write_str(".@");
        }
        for (index, key) in self.keys().iter().enumerate() {
            out.write_char(if index == 0 { '.' } else { ',' })?;
            if !key.name.as_str().is_empty() {
                write_cased(format, key.name.as_str(), out)?;
                out.write_char('=')?;
            }
            write_key(format, &key.value, out)?;
        }
        Ok(())
    }

    /// The path as a string in a URI form.
    pub fn to_uri(&self, format: UriFormat) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_uri(format, &mut text);
        text
    }
}

impl ClassPath {
    /// Writes the path in a URI form.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_uri(&self, format: UriFormat, out: &mut dyn Write) -> fmt::Result {
        write_prefix(
            format,
            self.host.as_ref(),
            self.namespace.as_ref(),
            &self.class,
            out,
        )
    }

    /// The path as a string in a URI form.
    pub fn to_uri(&self, format: UriFormat) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_uri(format, &mut text);
        text
    }
}

impl ObjectPath {
    /// Writes the path in a URI form.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_uri(&self, format: UriFormat, out: &mut dyn Write) -> fmt::Result {
        match self {
            ObjectPath::Instance(path) => path.write_uri(format, out),
            ObjectPath::Class(path) => path.write_uri(format, out),
        }
    }

    /// The path as a string in a URI form.
    pub fn to_uri(&self, format: UriFormat) -> String {
        match self {
            ObjectPath::Instance(path) => path.to_uri(format),
            ObjectPath::Class(path) => path.to_uri(format),
        }
    }
}

fn write_prefix(
    format: UriFormat,
    host: Option<&HostName>,
    namespace: Option<&NamespaceName>,
    class: &ClassName,
    out: &mut dyn Write,
) -> fmt::Result {
    let host = host.filter(|_| format != UriFormat::CimObject);
    if let Some(host) = host {
        out.write_str("//")?;
        write_cased(format, host.as_str(), out)?;
    }
    if host.is_some() || matches!(format, UriFormat::Standard | UriFormat::Canonical) {
        out.write_char('/')?;
    }
    if let Some(namespace) = namespace {
        write_cased(format, namespace.as_str(), out)?;
    }
    if namespace.is_some() || host.is_some() || format != UriFormat::Historical {
        out.write_char(':')?;
    }
    write_cased(format, class.as_str(), out)
}

fn write_cased(format: UriFormat, name: &str, out: &mut dyn Write) -> fmt::Result {
    if format == UriFormat::Canonical {
        name.chars()
            .flat_map(char::to_lowercase)
            .try_for_each(|c| out.write_char(c))
    } else {
        out.write_str(name)
    }
}

fn write_key(format: UriFormat, value: &KeyValue, out: &mut dyn Write) -> fmt::Result {
    match value {
        KeyValue::Boolean(_) | KeyValue::Integer { .. } | KeyValue::Real { .. } => {
            write!(out, "{value}")
        }
        KeyValue::Char16(unit) => {
            let character = char::from_u32(u32::from(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER);
            let escape = if matches!(character, '\'' | '\\') {
                "\\"
            } else {
                ""
            };
            write!(out, "'{escape}{character}'")
        }
        KeyValue::Reference(path) => {
            out.write_char('"')?;
            path.write_uri(format, &mut Escaped(out))?;
            out.write_char('"')
        }
        KeyValue::String(_) | KeyValue::DateTime(_) => {
            out.write_char('"')?;
            write!(Escaped(out), "{value}")?;
            out.write_char('"')
        }
    }
}

/// Puts a backslash before quotes and backslashes.
struct Escaped<'a>(&'a mut dyn Write);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(['"', '\\']) {
            match piece.char_indices().next_back() {
                Some((last, special @ ('"' | '\\'))) => {
                    self.0.write_str(piece.get(..last).unwrap_or_default())?;
                    self.0.write_char('\\')?;
                    self.0.write_char(special)?;
                }
                _ => self.0.write_str(piece)?,
            }
        }
        Ok(())
    }
}

impl FromStr for ObjectPath {
    type Err = UriError;

    /// Reads any of the URI forms, with or without `http://` or `https://` before the host. A quoted key value
    /// becomes a string; whether it is a datetime or a reference only the schema knows
    /// ([`InstancePath::normalize`]).
    fn from_str(text: &str) -> Result<Self, UriError> {
        let (host, rest) = split_host(text);
        // Key values may hold any character, so the prefix ends before the first key.
        let prefix_end = rest.find(['"', '\'', '=']).unwrap_or(rest.len());
        let prefix = rest.get(..prefix_end).unwrap_or_default();
        let (namespace, local) = match prefix.find(':') {
            Some(colon) => {
                let (namespace, local) = rest.split_at(colon);
                (
                    namespace.trim_matches('/'),
                    local.get(1..).unwrap_or_default(),
                )
            }
            None => ("", rest.trim_start_matches('/')),
        };
        let host = host.map(HostName::copy);
        let namespace = (!namespace.is_empty()).then(|| NamespaceName::copy(namespace));
        let (class, keys) = match local.split_once('.') {
            Some((class, keys)) => (class, Some(keys)),
            None => (local, None),
        };
        if class.is_empty() || class.contains(['"', '\'', '=', ',', '/', ':', ' ']) {
            return Err(UriError::Class);
        }
        let class = ClassName::copy(class);
        let Some(keys) = keys else {
            return Ok(ObjectPath::Class(ClassPath {
                host,
                namespace,
                class,
            }));
        };
        let mut path = InstancePath::new(class);
        path.host = host;
        path.namespace = namespace;
        read_keys(keys, &mut path)?;
        Ok(ObjectPath::Instance(path))
    }
}

impl FromStr for InstancePath {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        match text.parse()? {
            ObjectPath::Instance(path) => Ok(path),
            ObjectPath::Class(_) => Err(UriError::Kind),
        }
    }
}

impl FromStr for ClassPath {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        match text.parse()? {
            ObjectPath::Class(path) => Ok(path),
            ObjectPath::Instance(_) => Err(UriError::Kind),
        }
    }
}

/// Splits `[scheme:]//host/rest` into host and rest.
fn split_host(text: &str) -> (Option<&str>, &str) {
    let without_scheme = ["http:", "https:"]
        .iter()
        .find_map(|scheme| {
            text.strip_prefix(scheme)
                .filter(|rest| rest.starts_with("//"))
        })
        .unwrap_or(text);
    match without_scheme.strip_prefix("//") {
        Some(rest) => {
            let (host, rest) = rest.split_once('/').unwrap_or((rest, ""));
            ((!host.is_empty()).then_some(host), rest)
        }
        None => (None, text),
    }
}

fn read_keys(text: &str, path: &mut InstancePath) -> Result<(), UriError> {
    if text.is_empty() || text == "@" {
        return Ok(());
    }
    let mut rest = text;
    loop {
        let (name, value) = match rest.find(['=', '"', '\'', ',']) {
            Some(at) if rest.as_bytes().get(at) == Some(&b'=') => {
                let (name, value) = rest.split_at(at);
                (name, value.get(1..).unwrap_or_default())
            }
            // A single unnamed key.
            _ if path.keys().is_empty() => ("", rest),
            _ => return Err(UriError::KeyName),
        };
        if name.is_empty() && !core::ptr::eq(value, rest) {
            return Err(UriError::KeyName);
        }
        if path.keys().len() >= MAX_KEYS {
            return Err(UriError::TooManyKeys);
        }
        let (value, after) = read_key_value(value)?;
        if path.set_key(PropertyName::copy(name), value).is_some() {
            return Err(UriError::RepeatedKey);
        }
        match after.strip_prefix(',') {
            Some(next) if !name.is_empty() => rest = next,
            None if after.is_empty() => return Ok(()),
            _ => return Err(UriError::Quote),
        }
    }
}

fn read_key_value(text: &str) -> Result<(KeyValue, &str), UriError> {
    match text.as_bytes().first() {
        Some(b'"') => {
            let (value, rest) = read_quoted(text, '"')?;
            Ok((KeyValue::String(Text::from(value)), rest))
        }
        Some(b'\'') => {
            let (value, rest) = read_quoted(text, '\'')?;
            let unit = crate::literal::parse_char16(&value).map_err(|_| UriError::KeyValue)?;
            Ok((KeyValue::Char16(unit), rest))
        }
        _ => {
            let (literal, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
            if let Ok(value) = crate::literal::parse_boolean(literal) {
                return Ok((KeyValue::Boolean(value), rest));
            }
            let value = KeyValue::parse_number(literal).map_err(|_| UriError::KeyValue)?;
            Ok((value, rest))
        }
    }
}

/// Reads a quoted text with backslash escapes; returns it and what follows the closing quote.
fn read_quoted(text: &str, quote: char) -> Result<(Cow<'_, str>, &str), UriError> {
    let body = text.get(1..).unwrap_or_default();
    let mut owned: Option<String> = None;
    let mut escaped = false;
    for (index, character) in body.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
            owned.get_or_insert_with(|| String::from(body.get(..index).unwrap_or_default()));
            continue;
        } else if character == quote {
            let rest = body.get(index + 1..).unwrap_or_default();
            let plain = body.get(..index).unwrap_or_default();
            return Ok((owned.map_or(Cow::Borrowed(plain), Cow::Owned), rest));
        }
        if let Some(owned) = &mut owned {
            owned.push(character);
        }
    }
    Err(UriError::Quote)
}

#[cfg(test)]
mod tests;
