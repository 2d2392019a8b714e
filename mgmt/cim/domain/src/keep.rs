//! [`Keep`]: where definitions survive a restart.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Named blobs that survive a restart. When a change returns, it is promised: whoever answers a client makes sure that
/// it is on the medium before the answer goes out.
pub trait Keep {
    /// Writes a blob in place of one with that name.
    ///
    /// # Errors
    /// [`KeepError`]; nothing has changed.
    fn put(&mut self, name: &str, value: &[u8]) -> Result<(), KeepError>;

    /// Removes a blob; one that is not there counts as removed.
    ///
    /// # Errors
    /// [`KeepError`]; nothing has changed.
    fn remove(&mut self, name: &str) -> Result<(), KeepError>;

    /// The blobs whose names begin with `prefix`, in the order of their names.
    fn entries(&self, prefix: &str) -> Vec<(String, Vec<u8>)>;
}

/// A blob could not be written; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepError {
    /// There is no room.
    Full,
    /// The medium failed.
    Failed,
}

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeepError::Full => "the configuration store is full",
            KeepError::Failed => "the configuration store failed",
        })
    }
}

impl core::error::Error for KeepError {}

/// Blobs in memory, for tests and hosts without a disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryKeep {
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Keep for MemoryKeep {
    fn put(&mut self, name: &str, value: &[u8]) -> Result<(), KeepError> {
        self.blobs.insert(name.into(), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), KeepError> {
        self.blobs.remove(name);
        Ok(())
    }

    fn entries(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        self.blobs
            .range(String::from(prefix)..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}
