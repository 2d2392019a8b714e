//! The management partition's IP stack: addresses, ping and a TCP listener pool.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
