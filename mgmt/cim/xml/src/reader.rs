//! A pull tokenizer for what CIM-XML needs of XML 1.0: elements, attributes, text, CDATA, comments and
//! processing instructions; no document type, no entities beyond the five.
//!
//! Called by the decoder. It is not recursive, borrows from the message wherever nothing must be unescaped,
//! and checks well-formedness fully, also of parts that the decoder skips.

use crate::chars::{check, is_blank, is_space, name_length};
use crate::error::{Fault, Limit, Syntax, Validity, XmlError};
use crate::unescape::{Place, unescape};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// Deepest nesting of elements; the deepest legal CIM-XML is a chain of references in key bindings.
const MAX_DEPTH: usize = 96;
/// Most attributes on an element; the DTD has at most ten.
const MAX_ATTRIBUTES: usize = 24;

/// A piece of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A start tag; its attributes are at [`Reader::attribute`] until the next token.
    Start(&'a str),
    /// An end tag, also for an element written as `<A/>`.
    End(&'a str),
    /// Character data, references resolved; adjacent text and CDATA come as separate tokens.
    Text(Cow<'a, str>),
    /// The end of a complete document.
    Eof,
}

/// The tokenizer.
pub struct Reader<'a> {
    text: &'a str,
    position: usize,
    token_start: usize,
    open: Vec<&'a str>,
    attributes: Vec<(&'a str, Cow<'a, str>)>,
    /// The element just started was written as `<A/>`.
    self_closed: bool,
    seen_root: bool,
    /// Whether the document has a CR anywhere; if not, no text needs line-end treatment.
    has_cr: bool,
    /// Whether the document has `]]>` anywhere; if not, no text needs the check for it.
    has_cdata_end: bool,
}

impl<'a> Reader<'a> {
    /// Starts on a message.
    ///
    /// # Errors
    /// When the bytes are not UTF-8, contain a character that XML forbids, or have a wrong XML declaration.
    pub fn new(message: &'a [u8]) -> Result<Self, XmlError> {
        Self::from_checked(check(message)?)
    }

    /// Starts on a text whose characters are known to be allowed, such as the content of another document.
    pub(crate) fn from_checked(text: &'a str) -> Result<Self, XmlError> {
        let bytes = text.as_bytes();
        let mut reader = Reader {
            text,
            position: if text.starts_with('\u{feff}') { 3 } else { 0 },
            token_start: 0,
            open: Vec::new(),
            attributes: Vec::new(),
            self_closed: false,
            seen_root: false,
            has_cr: memchr::memchr(b'\r', bytes).is_some(),
            has_cdata_end: memchr::memmem::find(bytes, b"]]>").is_some(),
        };
        if reader.rest_text().starts_with("<?xml")
            && reader.rest().get(5).is_some_and(|byte| is_space(*byte))
        {
            reader.declaration()?;
        }
        Ok(reader)
    }

    /// Where the last token starts, as a byte offset.
    pub const fn offset(&self) -> usize {
        self.token_start
    }

    /// The number of open elements.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The value of an attribute of the element just started.
    pub fn attribute(&self, name: &str) -> Option<&Cow<'a, str>> {
        self.attributes
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The next token. After [`Token::Eof`] it is Eof again.
    ///
    /// # Errors
    /// The first violation of XML 1.0, or a limit.
    pub fn next_token(&mut self) -> Result<Token<'a>, XmlError> {
        if self.self_closed {
            self.self_closed = false;
            return Ok(Token::End(self.open.pop().unwrap_or_default()));
        }
        loop {
            self.token_start = self.position;
            match self.rest() {
                [] => return self.end_of_document(),
                [b'<', b'/', ..] => return self.end_tag(),
                [b'<', b'!', ..] => {
                    if let Some(text) = self.declaration_like()? {
                        return Ok(text);
                    }
                }
                [b'<', b'?', ..] => self.instruction()?,
                [b'<', ..] => return self.start_tag(),
                _ => {
                    if let Some(text) = self.characters()? {
                        return Ok(text);
                    }
                }
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text
            .as_bytes()
            .get(self.position..)
            .unwrap_or_default()
    }

    fn rest_text(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    const fn fail<T>(&self, fault: Fault, offset: usize) -> Result<T, XmlError> {
        Err(XmlError { fault, offset })
    }

    fn syntax<T>(&self, syntax: Syntax) -> Result<T, XmlError> {
        self.fail(
            Fault::NotWellFormed(syntax),
            self.position.min(self.text.len()),
        )
    }

    fn end_of_document(&self) -> Result<Token<'a>, XmlError> {
        if let Some(name) = self.open.last() {
            return self.fail(unclosed(name, Syntax::UnexpectedEnd), self.position);
        }
        if !self.seen_root {
            return self.syntax(Syntax::NoRoot);
        }
        Ok(Token::Eof)
    }

    /// Skips white space and says whether there was any.
    fn skip_space(&mut self) -> bool {
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|byte| !is_space(*byte))
            .unwrap_or(rest.len());
        self.position += length;
        length > 0
    }

    fn name(&mut self) -> Result<&'a str, XmlError> {
        let length = name_length(self.rest());
        if length == 0 {
            let at_end = self.rest().is_empty();
            return self.syntax(if at_end {
                Syntax::UnexpectedEnd
            } else {
                Syntax::Name
            });
        }
        let name = self.slice(self.position, self.position + length);
        self.position += length;
        Ok(name)
    }

    fn start_tag(&mut self) -> Result<Token<'a>, XmlError> {
        if self.open.is_empty() && self.seen_root {
            return self.syntax(Syntax::OutsideRoot);
        }
        if self.open.len() >= MAX_DEPTH {
            return self.fail(Limit::Depth.into(), self.position);
        }
        self.position += 1;
        let name = self.name()?;
        self.attributes.clear();
        loop {
            let spaced = self.skip_space();
            match self.rest() {
                [b'>', ..] => {
                    self.position += 1;
                    break;
                }
                [b'/', b'>', ..] => {
                    self.position += 2;
                    self.self_closed = true;
                    break;
                }
                [] => return self.syntax(Syntax::UnexpectedEnd),
                [b'/', ..] => return self.syntax(Syntax::Markup),
                _ if !spaced => return self.syntax(Syntax::Attribute),
                _ => self.read_attribute()?,
            }
        }
        self.seen_root = true;
        self.open.push(name);
        Ok(Token::Start(name))
    }

    fn read_attribute(&mut self) -> Result<(), XmlError> {
        let start = self.position;
        let (name, value) = self.name_and_value()?;
        if self.attribute(name).is_some() {
            return self.fail(Syntax::RepeatedAttribute.into(), start);
        }
        if self.attributes.len() >= MAX_ATTRIBUTES {
            return self.fail(Limit::Attributes.into(), start);
        }
        self.attributes.push((name, value));
        Ok(())
    }

    fn name_and_value(&mut self) -> Result<(&'a str, Cow<'a, str>), XmlError> {
        let name = self.name()?;
        self.skip_space();
        if self.rest().first() != Some(&b'=') {
            return self.syntax(Syntax::Attribute);
        }
        self.position += 1;
        self.skip_space();
        let quote = match self.rest().first() {
            Some(quote @ (b'"' | b'\'')) => *quote,
            _ => return self.syntax(Syntax::Attribute),
        };
        self.position += 1;
        let start = self.position;
        let mut plain = true;
        for byte in self.rest() {
            match *byte {
                byte if byte == quote => {
                    let raw = self.slice(start, self.position);
                    self.position += 1;
                    return Ok((
                        name,
                        match plain {
                            true => Cow::Borrowed(raw),
                            false => Cow::Owned(unescape(raw, Place::Attribute, start)?),
                        },
                    ));
                }
                b'<' => return self.syntax(Syntax::Attribute),
                b'&' | b'\t' | b'\n' | b'\r' => plain = false,
                _ => {}
            }
            self.position += 1;
        }
        self.syntax(Syntax::UnexpectedEnd)
    }

    fn end_tag(&mut self) -> Result<Token<'a>, XmlError> {
        let start = self.position;
        self.position += 2;
        let Some(open) = self.open.last().copied() else {
            return self.fail(Syntax::EndTag.into(), start);
        };
        // Comparing with the open element first saves scanning the name in every correct document.
        let matches = self.rest_text().strip_prefix(open).is_some_and(|after| {
            after
                .bytes()
                .next()
                .is_some_and(|byte| byte == b'>' || is_space(byte))
        });
        if !matches {
            if self.rest().is_empty() {
                return self.syntax(Syntax::UnexpectedEnd);
            }
            return self.fail(unclosed(open, Syntax::EndTag), start);
        }
        self.position += open.len();
        self.skip_space();
        match self.rest().first() {
            Some(b'>') => self.position += 1,
            Some(_) => return self.syntax(Syntax::Markup),
            None => return self.syntax(Syntax::UnexpectedEnd),
        }
        self.open.pop();
        Ok(Token::End(open))
    }

    /// A comment (skipped), a CDATA section (text) or a document type (refused).
    fn declaration_like(&mut self) -> Result<Option<Token<'a>>, XmlError> {
        let start = self.position;
        let rest = self.rest_text();
        if let Some(body) = rest.strip_prefix("<!--") {
            // The first "--" must already be the end.
            return match memchr::memmem::find(body.as_bytes(), b"--") {
                Some(at) if body.as_bytes().get(at + 2) == Some(&b'>') => {
                    self.position += 4 + at + 3;
                    Ok(None)
                }
                _ => self.fail(Syntax::Comment.into(), start),
            };
        }
        if let Some(body) = rest.strip_prefix("<![CDATA[") {
            if self.open.is_empty() {
                return self.syntax(Syntax::OutsideRoot);
            }
            let Some(length) = memchr::memmem::find(body.as_bytes(), b"]]>") else {
                return self.fail(Syntax::UnexpectedEnd.into(), start);
            };
            let from = start + 9;
            self.position = from + length + 3;
            let raw = self.slice(from, from + length);
            let text = if self.has_cr && raw.contains('\r') {
                Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n"))
            } else {
                Cow::Borrowed(raw)
            };
            return Ok(Some(Token::Text(text)));
        }
        if rest.starts_with("<!DOCTYPE") {
            return self.fail(Validity::Doctype.into(), start);
        }
        self.syntax(Syntax::Markup)
    }

    fn instruction(&mut self) -> Result<(), XmlError> {
        let start = self.position;
        self.position += 2;
        let target = self.name()?;
        let after = self.rest();
        let separated =
            after.starts_with(b"?>") || after.first().is_some_and(|byte| is_space(*byte));
        match memchr::memmem::find(after, b"?>") {
            Some(at) if separated && !target.eq_ignore_ascii_case("xml") => {
                self.position += at + 2;
                Ok(())
            }
            _ => self.fail(Syntax::Instruction.into(), start),
        }
    }

    /// Character data up to the next markup; white space outside the root yields nothing.
    fn characters(&mut self) -> Result<Option<Token<'a>>, XmlError> {
        let start = self.position;
        let rest = self.rest();
        let first = memchr::memchr2(b'<', b'&', rest).unwrap_or(rest.len());
        let plain = rest.get(first) != Some(&b'&');
        let length = if plain {
            first
        } else {
            let tail = rest.get(first..).unwrap_or_default();
            first + memchr::memchr(b'<', tail).unwrap_or(tail.len())
        };
        self.position += length;
        let raw = self.slice(start, self.position);
        if self.has_cdata_end
            && let Some(at) = raw.find("]]>")
        {
            return self.fail(Syntax::CdataEnd.into(), start + at);
        }
        if self.open.is_empty() {
            return if is_blank(raw) {
                Ok(None)
            } else {
                self.fail(Syntax::OutsideRoot.into(), start)
            };
        }
        Ok(Some(Token::Text(if plain && !self.has_cr {
            Cow::Borrowed(raw)
        } else {
            Cow::Owned(unescape(raw, Place::Content, start)?)
        })))
    }

    /// The XML declaration: version 1.x, then optionally encoding utf-8, then optionally standalone.
    fn declaration(&mut self) -> Result<(), XmlError> {
        let start = self.position;
        self.position += 5;
        let mut expected = ["version", "encoding", "standalone"].as_slice();
        let mut has_version = false;
        loop {
            let spaced = self.skip_space();
            match self.rest() {
                [b'?', b'>', ..] => {
                    self.position += 2;
                    break;
                }
                [] => return self.syntax(Syntax::UnexpectedEnd),
                _ if !spaced => return self.syntax(Syntax::Attribute),
                _ => {}
            }
            let (name, value) = self.name_and_value()?;
            let Some(index) = expected.iter().position(|candidate| *candidate == name) else {
                return self.fail(Syntax::Instruction.into(), start);
            };
            expected = expected.get(index + 1..).unwrap_or_default();
            let minor = value.strip_prefix("1.").unwrap_or_default();
            let allowed = match name {
                "version" => !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()),
                "encoding" => {
                    value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii")
                }
                _ => value == "yes" || value == "no",
            };
            if !allowed {
                return self.fail(Validity::Declaration.into(), start);
            }
            has_version |= name == "version";
        }
        if has_version {
            Ok(())
        } else {
            self.fail(Validity::Declaration.into(), start)
        }
    }
}

/// The fault of an element that is not closed. OpenPegasus, whose tests clients know, calls the message not
/// valid when the element belongs to the envelope, and not well formed otherwise; so do we.
fn unclosed(name: &str, syntax: Syntax) -> Fault {
    match name {
        "CIM" | "MESSAGE" | "SIMPLEREQ" | "IMETHODCALL" | "METHODCALL" | "IPARAMVALUE" => {
            Validity::EnvelopeEndTag.into()
        }
        _ => syntax.into(),
    }
}

#[cfg(test)]
mod tests;
