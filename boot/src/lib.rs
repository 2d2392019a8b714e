//! Turns every boot protocol into one BootInfo.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
