//! Words for what the hypervisor says in numbers.

use alloc::string::String;

use bulkhead_abi::host::PartitionState;

/// A zero-padded text field; what is not UTF-8 is replaced.
pub fn field_text(field: &[u8]) -> String {
    let length = field.iter().position(|&byte| byte == 0);
    let bytes = field.get(..length.unwrap_or(field.len()));
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// The state of a `PartitionInfo`.
pub fn state_name(state: u32) -> &'static str {
    const RUNNING: u32 = PartitionState::Running as u32;
    const PAUSED: u32 = PartitionState::Paused as u32;
    const STOPPED: u32 = PartitionState::Stopped as u32;
    const CRASHED: u32 = PartitionState::Crashed as u32;
    match state {
        RUNNING => "running",
        PAUSED => "paused",
        STOPPED => "stopped",
        CRASHED => "crashed",
        _ => "in an unknown state",
    }
}
