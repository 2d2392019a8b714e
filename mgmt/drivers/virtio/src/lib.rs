//! virtio-pci transport, split queues and the net, block and console drivers.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
