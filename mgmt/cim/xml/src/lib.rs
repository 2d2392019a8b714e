//! CIM-XML codec (DSP0201, DSP0203).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
