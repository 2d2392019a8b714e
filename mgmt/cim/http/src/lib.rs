//! Sans-I/O HTTP/1.1 server and client state machines.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
