//! Typed hypercalls, events and I/O requests, as the management partition uses them.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
