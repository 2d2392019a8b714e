//! Every policy and mechanism of the hypervisor that needs no hardware.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
