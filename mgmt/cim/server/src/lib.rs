//! The WBEM server: sessions, access control, indications.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
