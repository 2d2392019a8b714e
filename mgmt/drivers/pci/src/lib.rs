//! PCI enumeration, BARs and MSI-X for the management partition.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
