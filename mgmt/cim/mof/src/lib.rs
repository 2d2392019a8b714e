//! MOF compiler with exact error positions.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
