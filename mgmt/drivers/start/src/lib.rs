//! What the management partition is told at its start, checked.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
