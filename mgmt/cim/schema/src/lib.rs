//! The CIM schema as static tables, compiled from MOF.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
