//! Repository and CIM operations (DSP0200).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
