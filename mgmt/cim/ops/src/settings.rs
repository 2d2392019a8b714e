//! What the owner of the server decides.

use cim_model::{HostName, NamespaceName};
use core::time::Duration;

/// The settings of the operations layer.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host part of every path in a response.
    pub host: HostName,
    /// The namespaces that exist from the start, the Interop namespace first.
    pub namespaces: alloc::vec::Vec<NamespaceName>,
    /// Open enumerations at once, over all clients.
    pub max_enumerations: usize,
    /// Open enumerations at once of one account, so that none can keep the others out.
    pub max_enumerations_of_one: usize,
    /// The most objects in one Pull response; more are asked for, fewer are returned.
    pub max_batch: usize,
    /// The OperationTimeout of an Open without one.
    pub default_timeout: Duration,
    /// The longest OperationTimeout.
    pub max_timeout: Duration,
    /// Pulls for zero objects in a row before the enumeration is closed.
    pub max_empty_pulls: u32,
    /// Audit records and life-cycle events that may wait for their reader.
    pub max_waiting: usize,
}

impl Settings {
    /// The customary settings, with the namespaces `interop` and `root/cimv2`.
    pub fn new(host: impl Into<HostName>) -> Self {
        Settings {
            host: host.into(),
            namespaces: alloc::vec![
                NamespaceName::from_static("interop"),
                NamespaceName::from_static("root/cimv2"),
            ],
            max_enumerations: 256,
            max_enumerations_of_one: 128,
            max_batch: 250,
            default_timeout: Duration::from_secs(30),
            max_timeout: Duration::from_secs(600),
            max_empty_pulls: 1_000,
            max_waiting: 1_024,
        }
    }

    /// The Interop namespace.
    pub fn interop(&self) -> NamespaceName {
        self.namespaces
            .first()
            .cloned()
            .unwrap_or_else(|| NamespaceName::from_static("interop"))
    }
}
