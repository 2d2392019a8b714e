//! The CIM-XML codec (DSP0201, DSP0203): requests and responses between bytes and the types of `cim_model`.
//!
//! Called by the WBEM server (requests in, responses out), by the indication sender (exports out, answers in)
//! and by client-side tests (the reverse). Everything is sans-I/O: a request is decoded from a complete,
//! size-limited body; a response is written piece by piece into a [`Sink`], so that its size does not matter.
//!
//! Invariants:
//! - no input makes the decoder panic, recurse without bound or allocate more than a small multiple of its size;
//! - output follows the DTD exactly (pywbem refuses any extra attribute) and holds only XML characters;
//! - a document type declaration is never accepted.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod chars;
mod decode;
mod encode;
mod error;
mod escape;
pub mod fuzz;
mod headers;
mod message;
mod percent;
mod reader;
mod sink;
mod tag;
mod unescape;

pub use decode::{parse_embedded, parse_request, parse_response};
pub use encode::Origin;
pub use encode::request::{write_indication, write_request};
pub use encode::response::{
    ItemRef, ResponseWriter, Returns, write_error, write_export_response, write_method_response,
};
pub use error::{CimErrorHeader, Fault, Limit, Syntax, Validity, XmlError};
pub use headers::{CimHeaders, MessageKind, Refusal};
pub use message::{Call, Item, OutParam, Outcome, ParamValue, Request, Response, Version};
pub use percent::{percent_decode, percent_encode};
pub use reader::{Reader, Token};
pub use sink::{ChunkSink, Sink, SinkError};
