//! Crash-safe store of the management partition.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
