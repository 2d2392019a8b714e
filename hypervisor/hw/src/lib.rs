//! The only layer of the hypervisor that touches hardware.
#![cfg_attr(not(test), no_std)]
