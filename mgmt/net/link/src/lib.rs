//! Byte-stream connections: the seam between transports and protocols.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
