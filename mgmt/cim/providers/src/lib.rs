//! The CIM classes of system virtualization over the domain model.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
