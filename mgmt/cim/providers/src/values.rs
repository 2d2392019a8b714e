//! The numbers of the schema's value maps that are used here.

/// ResourceType.
pub(crate) mod resource_type {
    pub(crate) const PROCESSOR: u16 = 3;
    pub(crate) const MEMORY: u16 = 4;
    pub(crate) const IO_DEVICE: u16 = 13;
    pub(crate) const SERIAL_PORT: u16 = 21;
    pub(crate) const ETHERNET_ADAPTER: u16 = 10;
    pub(crate) const LOGICAL_DISK: u16 = 31;
}

/// MappingBehavior.
pub(crate) mod mapping_behavior {
    pub(crate) const UNKNOWN: u16 = 0;
    pub(crate) const NOT_SUPPORTED: u16 = 2;
    pub(crate) const DEDICATED: u16 = 3;
    pub(crate) const SOFT_AFFINITY: u16 = 4;
    pub(crate) const HARD_AFFINITY: u16 = 5;
}

/// ResourceSubType of consoles and of sources of random numbers on the virtio transport.
pub(crate) mod resource_sub_type {
    pub(crate) const VIRTIO_CONSOLE: &str = "BH:virtio-console";
    pub(crate) const VIRTIO_ENTROPY: &str = "BH:virtio-entropy";
}

/// EnabledState.
pub(crate) mod enabled_state {
    pub(crate) const ENABLED: u16 = 2;
    pub(crate) const DISABLED: u16 = 3;
    pub(crate) const SHUTTING_DOWN: u16 = 4;
    pub(crate) const NOT_APPLICABLE: u16 = 5;
    pub(crate) const QUIESCE: u16 = 9;
    pub(crate) const STARTING: u16 = 10;
}

/// RequestedState of systems.
pub(crate) mod requested_state {
    pub(crate) const ENABLED: u16 = 2;
    pub(crate) const DISABLED: u16 = 3;
    pub(crate) const SHUT_DOWN: u16 = 4;
    pub(crate) const NO_CHANGE: u16 = 5;
    pub(crate) const QUIESCE: u16 = 9;
    pub(crate) const REBOOT: u16 = 10;
    pub(crate) const RESET: u16 = 11;
    pub(crate) const NOT_APPLICABLE: u16 = 12;
}

/// OperationalStatus.
pub(crate) mod operational_status {
    pub(crate) const OK: u16 = 2;
    pub(crate) const ERROR: u16 = 6;
    pub(crate) const STARTING: u16 = 8;
    pub(crate) const STOPPING: u16 = 9;
    pub(crate) const STOPPED: u16 = 10;
    pub(crate) const ABORTED: u16 = 14;
    pub(crate) const DORMANT: u16 = 15;
    pub(crate) const COMPLETED: u16 = 17;
}

/// HealthState.
pub(crate) mod health_state {
    pub(crate) const OK: u16 = 5;
    pub(crate) const MAJOR_FAILURE: u16 = 20;
}

/// Return codes of RequestStateChange and of the methods of the virtual system management service.
pub(crate) mod return_code {
    pub(crate) const COMPLETED: u32 = 0;
    pub(crate) const NOT_SUPPORTED: u32 = 1;
    /// Of the management service.
    pub(crate) const FAILED: u32 = 2;
    /// Of RequestStateChange.
    pub(crate) const STATE_CHANGE_FAILED: u32 = 4;
    /// Of RequestStateChange.
    pub(crate) const INVALID_PARAMETER: u32 = 5;
    /// Of the management service.
    pub(crate) const INVALID_STATE: u32 = 5;
    /// Of the pool configuration service.
    pub(crate) const POOL_FAILED: u32 = 4;
    /// Of the pool configuration service.
    pub(crate) const IN_USE: u32 = 6;
    /// Of the pool configuration service.
    pub(crate) const WRONG_RESOURCE_TYPE: u32 = 7;
    /// Of the pool configuration service.
    pub(crate) const INSUFFICIENT_RESOURCES: u32 = 8;
    pub(crate) const JOB_STARTED: u32 = 4096;
    pub(crate) const INVALID_STATE_TRANSITION: u32 = 4097;
    pub(crate) const BUSY: u32 = 4099;
}
