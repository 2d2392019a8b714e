//! What must survive a restart, and the port it is kept through.

use alloc::vec::Vec;
use cim_model::{
    ClassDecl, ClassName, Instance, InstancePath, NamespaceName, QualifierDecl, QualifierName,
};
use core::fmt;

/// One thing that clients have made.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A namespace.
    Namespace(NamespaceName),
    /// A qualifier type in a namespace.
    Qualifier(NamespaceName, QualifierDecl),
    /// A class in a namespace, as the client declared it.
    Class(NamespaceName, ClassDecl),
    /// An instance with its path, whose namespace is set.
    Instance(Instance),
}

/// The identity of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    /// A namespace.
    Namespace(NamespaceName),
    /// A qualifier type.
    Qualifier(NamespaceName, QualifierName),
    /// A class.
    Class(NamespaceName, ClassName),
    /// An instance; its namespace is set.
    Instance(InstancePath),
}

/// A record could not be written; the change it belongs to has not happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// There is no room.
    Full,
    /// The medium failed.
    Failed,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreError::Full => "the configuration store is full",
            StoreError::Failed => "the configuration store failed",
        })
    }
}

impl core::error::Error for StoreError {}

/// The configuration store. When a call returns, the change is safe against a power cut.
pub trait Store {
    /// Writes a record in place of one with the same key.
    ///
    /// # Errors
    /// [`StoreError`]; the store is unchanged.
    fn save(&mut self, record: &Record) -> Result<(), StoreError>;

    /// Removes a record; one that is not there counts as removed.
    ///
    /// # Errors
    /// [`StoreError`]; the store is unchanged.
    fn remove(&mut self, key: &RecordKey) -> Result<(), StoreError>;

    /// Every record: namespaces first, then qualifiers, then classes in the order they were made, then
    /// instances.
    ///
    /// # Errors
    /// [`StoreError`] when the records cannot be read.
    fn load(&self) -> Result<Vec<Record>, StoreError>;
}

impl Record {
    /// The identity of the record.
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Namespace(name) => RecordKey::Namespace(name.clone()),
            Record::Qualifier(namespace, decl) => {
                RecordKey::Qualifier(namespace.clone(), decl.name.clone())
            }
            Record::Class(namespace, decl) => {
                RecordKey::Class(namespace.clone(), decl.name.clone())
            }
            Record::Instance(instance) => RecordKey::Instance(
                instance
                    .path
                    .clone()
                    .unwrap_or_else(|| InstancePath::new(instance.class.clone())),
            ),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Record::Namespace(_) => 0,
            Record::Qualifier(..) => 1,
            Record::Class(..) => 2,
            Record::Instance(_) => 3,
        }
    }
}

/// A store in memory, for the simulator and tests.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Vec<Record>,
}

impl Store for MemoryStore {
    fn save(&mut self, record: &Record) -> Result<(), StoreError> {
        let key = record.key();
        match self.records.iter_mut().find(|known| known.key() == key) {
            Some(known) => *known = record.clone(),
            None => self.records.push(record.clone()),
        }
        Ok(())
    }

    fn remove(&mut self, key: &RecordKey) -> Result<(), StoreError> {
        self.records.retain(|known| known.key() != *key);
        Ok(())
    }

    fn load(&self) -> Result<Vec<Record>, StoreError> {
        let mut records = self.records.clone();
        records.sort_by_key(Record::rank);
        Ok(records)
    }
}
