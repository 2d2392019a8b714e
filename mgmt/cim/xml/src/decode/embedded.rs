//! Embedded objects: an INSTANCE or CLASS element in the text of a string value.

use super::{Decoded, Decoder};
use crate::error::{Fault, Validity, XmlError};
use crate::reader::Reader;
use crate::tag::Tag;
use cim_model::Scalar;

/// Reads the text of a string that, by the schema, embeds an object although the client did not mark it so
/// with the EmbeddedObject attribute.
///
/// # Errors
/// When the text is not exactly one INSTANCE or CLASS element.
pub fn parse_embedded(text: &str) -> Decoded<Scalar> {
    let reader = Reader::new(text.as_bytes())?;
    parse_object(Decoder { reader, nesting: 1 })
}

/// Reads the unescaped text of a VALUE at the given nesting. Only the fault is told: offsets inside the
/// unescaped text mean nothing to the reader of the message.
pub(super) fn parse_nested(text: &str, nesting: u8) -> Result<Scalar, Fault> {
    let parsed =
        Reader::from_checked(text).and_then(|reader| parse_object(Decoder { reader, nesting }));
    parsed.map_err(|error| match error.fault {
        Fault::NotWellFormed(_) => Validity::EmbeddedObject.into(),
        other => other,
    })
}

fn parse_object(mut decoder: Decoder<'_>) -> Decoded<Scalar> {
    let object = match decoder.child()? {
        Some(Tag::Instance) => Scalar::from(decoder.instance()?),
        Some(Tag::Class) => Scalar::from(decoder.class()?),
        _ => {
            return Err(XmlError {
                fault: Validity::EmbeddedObject.into(),
                offset: decoder.reader.offset(),
            });
        }
    };
    decoder.finish()?;
    Ok(object)
}
