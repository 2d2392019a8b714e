//! [`XmlError`]: why a message was not understood, where, and what DSP0200 wants the client to be told.

use core::fmt;

/// A message that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XmlError {
    /// What is wrong.
    pub fault: Fault,
    /// Where: byte offset into the message (for a fault inside an embedded object, its VALUE element).
    pub offset: usize,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not an XML document.
    NotWellFormed(Syntax),
    /// XML, but not what the CIM-XML DTD and the typing rules allow.
    NotValid(Validity),
    /// A limit of the decoder; nothing was wrong with the message as such.
    Limit(Limit),
    /// CIM/@CIMVERSION is not 2.x.
    UnsupportedCimVersion,
    /// CIM/@DTDVERSION is not 2.x.
    UnsupportedDtdVersion,
    /// MESSAGE/@PROTOCOLVERSION is not 1.x.
    UnsupportedProtocolVersion,
    /// MULTIREQ or MULTIEXPREQ, which this server does not execute.
    MultipleRequests,
}

/// A violation of XML 1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// The document ends where more must follow.
    UnexpectedEnd,
    /// Nothing but white space, comments and instructions.
    NoRoot,
    /// Text or a second element outside the root element.
    OutsideRoot,
    /// A character that markup cannot have there.
    Markup,
    /// An element or attribute name.
    Name,
    /// An attribute without `=`, quotes or separating white space, or with `<` in its value.
    Attribute,
    /// The same attribute twice.
    RepeatedAttribute,
    /// An end tag that does not match the open element.
    EndTag,
    /// `&` without a known entity or a valid character number.
    Reference,
    /// `]]>` in text.
    CdataEnd,
    /// `--` in a comment, or a comment that is not closed.
    Comment,
    /// A processing instruction that is not closed or has a reserved target.
    Instruction,
}

/// A violation of the DTD (DSP0203) or of the typing rules (DSP0201).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Not UTF-8.
    Utf8,
    /// A character that XML 1.0 does not allow.
    Character,
    /// The XML declaration: no version 1.x, or an encoding other than UTF-8.
    Declaration,
    /// A document type declaration; they are refused for safety.
    Doctype,
    /// An element that may not be here.
    UnexpectedElement,
    /// An element that must be here is missing.
    MissingElement,
    /// Text where only elements may be.
    UnexpectedText,
    /// A required attribute of this name is missing.
    MissingAttribute(&'static str),
    /// The value of the attribute of this name.
    AttributeValue(&'static str),
    /// The same property, qualifier, parameter or key twice.
    Repeated,
    /// A literal that is not a value of its type.
    Literal,
    /// An embedded object that is not an escaped INSTANCE or CLASS element.
    EmbeddedObject,
    /// Missing end tag of an element of the message envelope.
    EnvelopeEndTag,
}

/// A limit of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Elements nested too deeply.
    Depth,
    /// Too many attributes on an element.
    Attributes,
    /// Embedded objects or references nested too deeply.
    Embedding,
    /// Too many properties, methods, qualifiers, parameters or keys in one element.
    Members,
}

/// The CIMError response header (DSP0200 "CIMError"), with the HTTP status it goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the variants are the header values of DSP0200 in their own words"
)]
pub enum CimErrorHeader {
    RequestNotWellFormed,
    RequestNotValid,
    HeaderMismatch,
    UnsupportedOperation,
    UnsupportedProtocolVersion,
    UnsupportedCimVersion,
    UnsupportedDtdVersion,
    MultipleRequestsUnsupported,
}

impl CimErrorHeader {
    /// The header value.
    pub const fn name(self) -> &'static str {
        match self {
            CimErrorHeader::RequestNotWellFormed => "request-not-well-formed",
            CimErrorHeader::RequestNotValid => "request-not-valid",
            CimErrorHeader::HeaderMismatch => "header-mismatch",
            CimErrorHeader::UnsupportedOperation => "unsupported-operation",
            CimErrorHeader::UnsupportedProtocolVersion => "unsupported-protocol-version",
            CimErrorHeader::UnsupportedCimVersion => "unsupported-cim-version",
            CimErrorHeader::UnsupportedDtdVersion => "unsupported-dtd-version",
            CimErrorHeader::MultipleRequestsUnsupported => "multiple-requests-unsupported",
        }
    }

    /// The HTTP status code.
    pub const fn http_status(self) -> u16 {
        match self {
            CimErrorHeader::RequestNotWellFormed
            | CimErrorHeader::RequestNotValid
            | CimErrorHeader::HeaderMismatch
            | CimErrorHeader::UnsupportedOperation => 400,
            CimErrorHeader::UnsupportedProtocolVersion
            | CimErrorHeader::UnsupportedCimVersion
            | CimErrorHeader::UnsupportedDtdVersion
            | CimErrorHeader::MultipleRequestsUnsupported => 501,
        }
    }
}

impl XmlError {
    /// The CIMError header value to answer with. A limit counts as not valid: DSP0200 has no other word.
    pub const fn cim_error(&self) -> CimErrorHeader {
        match self.fault {
            Fault::NotWellFormed(_) => CimErrorHeader::RequestNotWellFormed,
            Fault::NotValid(_) | Fault::Limit(_) => CimErrorHeader::RequestNotValid,
            Fault::UnsupportedCimVersion => CimErrorHeader::UnsupportedCimVersion,
            Fault::UnsupportedDtdVersion => CimErrorHeader::UnsupportedDtdVersion,
            Fault::UnsupportedProtocolVersion => CimErrorHeader::UnsupportedProtocolVersion,
            Fault::MultipleRequests => CimErrorHeader::MultipleRequestsUnsupported,
        }
    }

    /// Line and column of the fault in the message, both from 1; columns count bytes.
    pub fn line_and_column(&self, message: &[u8]) -> (usize, usize) {
        let before = message.get(..self.offset).unwrap_or(message);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        (line, before.len() - start + 1)
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} of the message", self.fault, self.offset)
    }
}

impl core::error::Error for XmlError {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NotWellFormed(syntax) => write!(f, "XML is not well formed: {syntax}"),
            Fault::NotValid(validity) => write!(f, "CIM-XML is not valid: {validity}"),
            Fault::Limit(limit) => write!(f, "a limit is exceeded: {limit}"),
            Fault::UnsupportedCimVersion => f.write_str("CIMVERSION must be 2.x"),
            Fault::UnsupportedDtdVersion => f.write_str("DTDVERSION must be 2.x"),
            Fault::UnsupportedProtocolVersion => f.write_str("PROTOCOLVERSION must be 1.x"),
            Fault::MultipleRequests => {
                f.write_str("multiple requests in a message are not supported")
            }
        }
    }
}

impl fmt::Display for Syntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Syntax::UnexpectedEnd => "the document ends too early",
            Syntax::NoRoot => "there is no root element",
            Syntax::OutsideRoot => "there is content outside the root element",
            Syntax::Markup => "a character is not allowed in this markup",
            Syntax::Name => "an element or attribute name is wrong",
            Syntax::Attribute => "an attribute is not written as name=\"value\"",
            Syntax::RepeatedAttribute => "an attribute is given twice",
            Syntax::EndTag => "an end tag does not match the open element",
            Syntax::Reference => "an entity or character reference is unknown or broken",
            Syntax::CdataEnd => "text contains ]]>",
            Syntax::Comment => "a comment contains -- or is not closed",
            Syntax::Instruction => "a processing instruction is broken",
        })
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Validity::Utf8 => "the message is not UTF-8",
            Validity::Character => "a character is not allowed in XML 1.0",
            Validity::Declaration => "the XML declaration must have version 1.x and encoding utf-8",
            Validity::Doctype => "document type declarations are refused",
            Validity::UnexpectedElement => "an element may not occur here",
            Validity::MissingElement => "a required element is missing",
            Validity::UnexpectedText => "text occurs where only elements may be",
            Validity::MissingAttribute(name) => return write!(f, "attribute {name} is missing"),
            Validity::AttributeValue(name) => {
                return write!(f, "the value of attribute {name} is not allowed");
            }
            Validity::Repeated => "a name occurs twice",
            Validity::Literal => "a value does not have the syntax or range of its type",
            Validity::EmbeddedObject => "an embedded object is not an INSTANCE or CLASS element",
            Validity::EnvelopeEndTag => "an element of the message envelope is not closed",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Depth => "elements are nested too deeply",
            Limit::Attributes => "an element has too many attributes",
            Limit::Embedding => "embedded objects or references are nested too deeply",
            Limit::Members => "an element has too many named members",
        })
    }
}

impl From<Syntax> for Fault {
    fn from(syntax: Syntax) -> Self {
        Fault::NotWellFormed(syntax)
    }
}

impl From<Validity> for Fault {
    fn from(validity: Validity) -> Self {
        Fault::NotValid(validity)
    }
}

impl From<Limit> for Fault {
    fn from(limit: Limit) -> Self {
        Fault::Limit(limit)
    }
}
