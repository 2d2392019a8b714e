//! The WBEM server: HTTP connections, authentication, CIM-XML in and out, and indication exports.
//!
//! Called by the partition (TCP and virtio-serial) and by the simulator: one [`Connection`] per byte stream, one
//! [`Server`] for all. Sans-I/O: bytes go in with [`Connection::receive`] and come out of
//! [`Connection::transmit`]; time is a [`cim_ops::Clock`] that the caller supplies.
//!
//! Invariants:
//! - nothing but the greeting of `GET /` is answered without authentication;
//! - a response is produced as fast as the client reads it: at most [`ServerSettings::output`] bytes wait, and
//!   objects are made one at a time;
//! - whether an operation succeeds is known before its response begins, except for failures in the middle of a
//!   long stream, which end the body short with the status in the trailer.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod account;
mod authenticator;
mod connection;
mod discovery;
mod embedded;
mod exchange;
mod export;
mod guard;
mod identity;
pub mod images;
mod job;
mod params;
mod password;
mod server;
mod settings;
mod translate;

pub use account::{Account, AccountError, AccountStore, MemoryAccounts};
pub use authenticator::{Access, Accounts, FirstAccount};
pub use connection::Connection;
pub use embedded::read_embedded;
pub use export::{Export, ExportOutcome};
pub use identity::install_accounts;
pub use password::PasswordHash;
pub use server::Server;
pub use settings::ServerSettings;

#[cfg(test)]
mod tests;
