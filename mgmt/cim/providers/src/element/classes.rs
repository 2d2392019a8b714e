//! The classes in which elements show.

/// The class of host and virtual systems.
pub(crate) const SYSTEM: &str = "CIM_ComputerSystem";
pub(crate) const SERVICE: &str = "CIM_VirtualSystemManagementService";
pub(crate) const SETTINGS: &str = "BH_VirtualSystemSettingData";
pub(crate) const ALLOCATION: &str = "CIM_ResourceAllocationSettingData";
pub(crate) const PROCESSOR_ALLOCATION: &str = "BH_ProcessorAllocationSettingData";
pub(crate) const SERVICE_CAPABILITIES: &str = "CIM_VirtualSystemManagementCapabilities";
pub(crate) const SYSTEM_CAPABILITIES: &str = "CIM_EnabledLogicalElementCapabilities";
pub(crate) const ALLOCATION_CAPABILITIES: &str = "CIM_AllocationCapabilities";
pub(crate) const POOL: &str = "CIM_ResourcePool";
pub(crate) const PROCESSOR: &str = "CIM_Processor";
pub(crate) const MEMORY: &str = "CIM_Memory";
pub(crate) const SERIAL_PORT: &str = "CIM_SerialPort";
pub(crate) const PCI_DEVICE: &str = "CIM_PCIDevice";
pub(crate) const JOB: &str = "CIM_ConcreteJob";
pub(crate) const CONSOLE_SERVICE: &str = "CIM_TextRedirectionService";
pub(crate) const CONSOLE: &str = "CIM_TextRedirectionSAP";
pub(crate) const CONSOLE_PORT: &str = "CIM_TCPProtocolEndpoint";
pub(crate) const IMAGE_LIBRARY: &str = "CIM_FileSystem";
pub(crate) const IMAGE: &str = "BH_ImageFile";
pub(crate) const BOOT_SERVICE: &str = "CIM_BootService";
pub(crate) const BOOT_CAPABILITIES: &str = "CIM_BootServiceCapabilities";
pub(crate) const BOOT_CONFIG: &str = "CIM_BootConfigSetting";
pub(crate) const BOOT_SOURCE: &str = "CIM_BootSourceSetting";
pub(crate) const DISK_ALLOCATION: &str = "CIM_StorageAllocationSettingData";
pub(crate) const NETWORK_CARD_ALLOCATION: &str = "CIM_EthernetPortAllocationSettingData";
pub(crate) const METRIC_SERVICE: &str = "CIM_MetricService";
pub(crate) const METRIC_CAPABILITIES: &str = "CIM_MetricServiceCapabilities";
pub(crate) const METRIC_DEFINITION: &str = "CIM_BaseMetricDefinition";
pub(crate) const METRIC_VALUE: &str = "CIM_BaseMetricValue";
pub(crate) const SNAPSHOT_SERVICE: &str = "CIM_VirtualSystemSnapshotService";
pub(crate) const SNAPSHOT_SERVICE_CAPABILITIES: &str =
    "CIM_VirtualSystemSnapshotServiceCapabilities";
pub(crate) const SNAPSHOT_CAPABILITIES: &str = "CIM_VirtualSystemSnapshotCapabilities";
pub(crate) const POWER_SERVICE: &str = "CIM_PowerManagementService";
pub(crate) const POWER_CAPABILITIES: &str = "CIM_PowerManagementCapabilities";
pub(crate) const POOL_SERVICE: &str = "CIM_ResourcePoolConfigurationService";
pub(crate) const POOL_SERVICE_CAPABILITIES: &str = "CIM_ResourcePoolConfigurationCapabilities";
