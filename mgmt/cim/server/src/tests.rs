//! The server over bytes as clients send them.

mod access;
mod images;
mod lab;
mod protocol;
mod streams;
