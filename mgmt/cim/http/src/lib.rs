//! HTTP/1.1 as state machines without I/O: a server connection, a client exchange, and the CIM header mapping.
//!
//! Called by the WBEM server for every connection, by the indication sender, and by client-side tests. Bytes go
//! in with [`ServerConnection::push`], events come out of [`ServerConnection::poll`]; answers are encoded into a
//! buffer that the caller sends. Time is a number of milliseconds that the caller supplies.
//!
//! Invariants:
//! - buffered bytes, head size, header count and body size are limited whatever the peer sends;
//! - a request whose framing could be read in two ways is refused and its connection closed (request smuggling);
//! - one request is in progress at a time; pipelined ones wait in the bounded buffer.
//!
//! ```
//! use cim_http::{Event, Framing, Limits, Millis, ResponseHead, ServerConnection};
//!
//! let mut connection = ServerConnection::new(Limits::default(), Millis(0));
//! connection.push(b"POST /cimom HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", Millis(5));
//! let Some(Event::Head(head)) = connection.poll() else { panic!("a head") };
//! assert_eq!(head.path(), "/cimom");
//! assert!(matches!(connection.poll(), Some(Event::Body(b"hi"))));
//! assert!(matches!(connection.poll(), Some(Event::End(_))));
//! let mut out = Vec::new();
//! connection.start_response(&mut out, &ResponseHead::new(200), Framing::Length(2));
//! connection.body(&mut out, b"ok");
//! connection.finish(&mut out, &[]);
//! assert!(!connection.wants_close());
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod base64;
mod basic;
mod chunked;
mod client;
mod extension;
pub mod fuzz;
mod headers;
mod limits;
mod refusal;
mod request;
mod response;
mod server;

pub use basic::Credentials;
pub use client::{ClientError, ClientEvent, ClientRequest, ResponseReader};
pub use extension::CIM_EXTENSION;
pub use headers::Headers;
pub use limits::{Limits, Millis};
pub use refusal::{Refusal, reason_phrase};
pub use request::{HttpVersion, RequestHead};
pub use response::{Framing, ResponseHead};
pub use server::{Event, ServerConnection};
