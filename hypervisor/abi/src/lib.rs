//! The contract between the hypervisor and its partitions.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
