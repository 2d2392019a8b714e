//! From values to XML: one function per element of the DTD, each writing straight into a [`Sink`].
//!
//! Called through [`crate::ResponseWriter`] and the request writers. The output is DTD-exact: attributes with
//! their default value are left out, and nothing is written that the DTD does not have.

mod class;
mod instance;
mod path;
mod qualifier;
pub(crate) mod request;
pub(crate) mod response;
mod value;

use crate::escape::{Place, escape};
use crate::sink::{Sink, SinkError};
use cim_model::{HostName, NamespaceName};

/// The result of an encoding step.
type Written = Result<(), SinkError>;

/// What completes a path where the DTD demands a full one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The host that every full path in the response names; clients compare it.
    pub host: HostName,
    /// The namespace of the request, for paths that name none.
    pub namespace: NamespaceName,
}

impl Origin {
    /// An origin from its two parts.
    pub fn new(host: impl Into<HostName>, namespace: impl Into<NamespaceName>) -> Self {
        Origin {
            host: host.into(),
            namespace: namespace.into(),
        }
    }
}

/// Writes markup as it is.
fn raw<S: Sink>(out: &mut S, markup: &str) -> Written {
    out.write(markup.as_bytes())
}

/// Writes element content.
fn content<S: Sink>(out: &mut S, text: &str) -> Written {
    escape(out, text.as_bytes(), Place::Content)
}

/// Writes an attribute; `open` is its name with the space before and `="` after.
fn attribute<S: Sink>(out: &mut S, open: &str, value: &str) -> Written {
    out.write(open.as_bytes())?;
    escape(out, value.as_bytes(), Place::Attribute)?;
    out.write(b"\"")
}

/// Writes a decimal number.
fn decimal<S: Sink>(out: &mut S, mut number: u64) -> Written {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    out.write(digits.get(digits.len() - used..).unwrap_or_default())
}

/// Writes ARRAYSIZE when there is one.
fn array_size<S: Sink>(out: &mut S, size: Option<u32>) -> Written {
    let Some(size) = size else { return Ok(()) };
    raw(out, " ARRAYSIZE=\"")?;
    decimal(out, u64::from(size))?;
    raw(out, "\"")
}
