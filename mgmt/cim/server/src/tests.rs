//! The server over bytes as clients send them.

mod access;
mod lab;
mod protocol;
mod streams;
