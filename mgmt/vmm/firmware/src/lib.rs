//! What a guest finds where a PC has its firmware.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
