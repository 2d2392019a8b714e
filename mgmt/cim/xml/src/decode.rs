//! From tokens to values: one function per element of the DTD.
//!
//! Called through [`crate::parse_request`] and [`crate::parse_response`]. The functions follow the DTD; they
//! recurse only where CIM-XML nests (references in keys, embedded objects), and there a counter bounds them.

mod class;
mod embedded;
mod instance;
mod message;
mod path;
mod qualifier;
mod request;
mod response;
mod value;

use crate::error::{Fault, Limit, Validity, XmlError};
use crate::reader::{Reader, Token};
use crate::tag::Tag;
use alloc::borrow::Cow;
use alloc::string::String;
use cim_model::{CimType, EmbeddedKind};

pub use embedded::parse_embedded;
pub use request::parse_request;
pub use response::parse_response;

/// Deepest nesting of references in keys and of embedded objects, together. Real messages have three at most;
/// more would let the text form of a path, where each level doubles the backslashes, grow without measure.
const MAX_NESTING: u8 = 8;

/// Most named members (properties, qualifiers, parameters, keys) of one element. Finding duplicates compares
/// each with all before it, which is the fastest way for the few that real elements have.
const MAX_MEMBERS: usize = 2_048;

/// The result of a decoding step.
type Decoded<T> = Result<T, XmlError>;

/// A reader with the vocabulary of the DTD.
struct Decoder<'a> {
    reader: Reader<'a>,
    /// References and embedded objects around the current element.
    nesting: u8,
}

impl<'a> Decoder<'a> {
    fn new(message: &'a [u8]) -> Decoded<Self> {
        Ok(Decoder {
            reader: Reader::new(message)?,
            nesting: 0,
        })
    }

    /// Fails at the current token.
    fn fail<T>(&self, fault: impl Into<Fault>) -> Decoded<T> {
        Err(XmlError {
            fault: fault.into(),
            offset: self.reader.offset(),
        })
    }

    /// The next child element of the current one, or `None` when the current one ends. White space is
    /// skipped, other text refused.
    fn child(&mut self) -> Decoded<Option<Tag>> {
        loop {
            match self.reader.next_token()? {
                Token::Start(name) => {
                    return match Tag::from_name(name) {
                        Some(tag) => Ok(Some(tag)),
                        None => self.fail(Validity::UnexpectedElement),
                    };
                }
                Token::End(_) | Token::Eof => return Ok(None),
                Token::Text(text) if crate::chars::is_blank(&text) => {}
                Token::Text(_) => return self.fail(Validity::UnexpectedText),
            }
        }
    }

    /// The next child element, which must be there.
    fn required_child(&mut self) -> Decoded<Tag> {
        match self.child()? {
            Some(tag) => Ok(tag),
            None => self.fail(Validity::MissingElement),
        }
    }

    /// The next child element, which must be this one.
    fn expect(&mut self, expected: Tag) -> Decoded<()> {
        match self.required_child()? {
            tag if tag == expected => Ok(()),
            _ => self.fail(Validity::UnexpectedElement),
        }
    }

    /// The current element must have no further child.
    fn end(&mut self) -> Decoded<()> {
        match self.child()? {
            None => Ok(()),
            Some(_) => self.fail(Validity::UnexpectedElement),
        }
    }

    /// Skips the rest of the current element, whatever it holds.
    fn skip(&mut self) -> Decoded<()> {
        let outside = self.reader.depth().saturating_sub(1);
        while self.reader.depth() > outside {
            self.reader.next_token()?;
        }
        Ok(())
    }

    /// The text of the current element up to its end tag.
    fn text(&mut self) -> Decoded<Cow<'a, str>> {
        let mut all: Option<Cow<'a, str>> = None;
        loop {
            match self.reader.next_token()? {
                Token::Text(text) => match &mut all {
                    None => all = Some(text),
                    Some(before) => before.to_mut().push_str(&text),
                },
                Token::End(_) | Token::Eof => return Ok(all.unwrap_or(Cow::Borrowed(""))),
                Token::Start(_) => return self.fail(Validity::UnexpectedElement),
            }
        }
    }

    /// A required attribute.
    fn required(&self, name: &'static str) -> Decoded<Cow<'a, str>> {
        match self.reader.attribute(name) {
            Some(value) => Ok(value.clone()),
            None => self.fail(Validity::MissingAttribute(name)),
        }
    }

    /// An optional attribute.
    fn optional(&self, name: &str) -> Option<Cow<'a, str>> {
        self.reader.attribute(name).cloned()
    }

    /// A boolean attribute with the default of the DTD.
    fn boolean(&self, name: &'static str, default: Flag) -> Decoded<bool> {
        match self.reader.attribute(name) {
            None => Ok(default == Flag::DefaultTrue),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => self.fail(Validity::AttributeValue(name)),
        }
    }

    /// A type attribute that must be there.
    fn cim_type(&self, name: &'static str) -> Decoded<CimType> {
        match CimType::from_name(&self.required(name)?) {
            Some(ty) => Ok(ty),
            None => self.fail(Validity::AttributeValue(name)),
        }
    }

    /// ARRAYSIZE.
    fn array_size(&self) -> Decoded<Option<u32>> {
        match self.reader.attribute("ARRAYSIZE") {
            None => Ok(None),
            Some(text) => match text.trim().parse() {
                Ok(size) => Ok(Some(size)),
                Err(_) => self.fail(Validity::AttributeValue("ARRAYSIZE")),
            },
        }
    }

    /// EmbeddedObject, in either of its spellings.
    fn embedded(&self) -> Decoded<Option<EmbeddedKind>> {
        let spelled = self.reader.attribute("EmbeddedObject");
        match spelled.or_else(|| self.reader.attribute("EMBEDDEDOBJECT")) {
            None => Ok(None),
            Some(text) => match EmbeddedKind::from_name(text) {
                Some(kind) => Ok(Some(kind)),
                None => self.fail(Validity::AttributeValue("EmbeddedObject")),
            },
        }
    }

    /// Refuses a further member of an element: when its name was there before, or when there are too many.
    fn new_member(&self, repeated: bool, members: usize) -> Decoded<()> {
        if repeated {
            return self.fail(Validity::Repeated);
        }
        if members >= MAX_MEMBERS {
            return self.fail(Limit::Members);
        }
        Ok(())
    }

    /// Enters a reference or embedded object; pair with [`Decoder::leave`].
    fn enter(&mut self) -> Decoded<()> {
        if self.nesting >= MAX_NESTING {
            return self.fail(Limit::Embedding);
        }
        self.nesting += 1;
        Ok(())
    }

    const fn leave(&mut self) {
        self.nesting -= 1;
    }

    /// The document must end here.
    fn finish(&mut self) -> Decoded<()> {
        match self.reader.next_token()? {
            Token::Eof => Ok(()),
            _ => self.fail(Validity::UnexpectedElement),
        }
    }
}

/// The default of a boolean attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    DefaultTrue,
    DefaultFalse,
}

/// A text as an owned string without copying one that already is.
fn owned(text: Cow<'_, str>) -> String {
    text.into_owned()
}
