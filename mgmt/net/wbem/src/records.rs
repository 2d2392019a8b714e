//! What clients have made, in the keeper: one blob a record, named by a number that counts up.
//!
//! A record is kept as the CIM-XML request that would make it: the codec is there, well tested, and the text is still
//! readable after years. The numbers keep the order in which records were made.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use cim_model::NamespaceName;
use cim_ops::{Record, RecordKey, Store, StoreError};
use cim_xml::{Call, ParamValue, Request, parse_request, write_request};

use crate::Keeper;

const PREFIX: &str = "record/";

/// The records.
pub struct KeptRecords {
    keeper: Keeper,
    names: BTreeMap<RecordKey, String>,
    next: u64,
}

impl KeptRecords {
    /// The records in the keeper.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn open(keeper: Keeper) -> Result<Self, StoreError> {
        let mut records = KeptRecords {
            keeper,
            names: BTreeMap::new(),
            next: 0,
        };
        for (name, record) in records.read()? {
            let number = name.strip_prefix(PREFIX).and_then(|n| n.parse().ok());
            let number: u64 = number.ok_or(StoreError::Failed)?;
            records.next = records.next.max(number.saturating_add(1));
            records.names.insert(record.key(), name);
        }
        Ok(records)
    }

    fn read(&self) -> Result<Vec<(String, Record)>, StoreError> {
        let entries = self.keeper.entries(PREFIX).into_iter();
        entries
            .map(|(name, value)| Some((name, decode(&value)?)))
            .collect::<Option<_>>()
            .ok_or(StoreError::Failed)
    }
}

impl Store for KeptRecords {
    fn save(&mut self, record: &Record) -> Result<(), StoreError> {
        let bytes = encode(record).ok_or(StoreError::Failed)?;
        // What could not be read back must not be promised.
        if decode(&bytes).as_ref() != Some(record) {
            return Err(StoreError::Failed);
        }
        let key = record.key();
        let name = match self.names.get(&key) {
            Some(name) => name.clone(),
            None => format!("{PREFIX}{:020}", self.next),
        };
        let put = self.keeper.put(&name, bytes);
        put.map_err(|_| StoreError::Full)?;
        if self.names.insert(key, name).is_none() {
            self.next += 1;
        }
        Ok(())
    }

    fn remove(&mut self, key: &RecordKey) -> Result<(), StoreError> {
        if let Some(name) = self.names.remove(key) {
            self.keeper.remove(&name);
        }
        Ok(())
    }

    fn load(&self) -> Result<Vec<Record>, StoreError> {
        let mut records = self.read()?;
        // The sort is stable: within a kind the order of their numbers stays.
        records.sort_by_key(|(_, record)| match record {
            Record::Namespace(_) => 0,
            Record::Qualifier(..) => 1,
            Record::Class(..) => 2,
            Record::Instance(_) => 3,
        });
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }
}

fn encode(record: &Record) -> Option<Vec<u8>> {
    let (method, namespace, param) = match record {
        Record::Namespace(name) => ("CreateNamespace", name.clone(), None),
        Record::Qualifier(namespace, decl) => {
            let value = ParamValue::QualifierDecl(decl.clone());
            (
                "SetQualifier",
                namespace.clone(),
                Some(("QualifierDeclaration", value)),
            )
        }
        Record::Class(namespace, decl) => {
            let value = ParamValue::Class(decl.clone());
            ("CreateClass", namespace.clone(), Some(("NewClass", value)))
        }
        Record::Instance(instance) => {
            let namespace = instance.path.as_ref()?.namespace.clone()?;
            let value = ParamValue::Instance(instance.clone());
            (
                "ModifyInstance",
                namespace,
                Some(("ModifiedInstance", value)),
            )
        }
    };
    let call = Call::Intrinsic {
        method: method.into(),
        namespace,
        params: param
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
    };
    let mut bytes = Vec::new();
    write_request(&mut bytes, &Request::new("0", call)).ok()?;
    Some(bytes)
}

fn decode(bytes: &[u8]) -> Option<Record> {
    let Call::Intrinsic {
        namespace, params, ..
    } = parse_request(bytes).ok()?.call
    else {
        return None;
    };
    Some(match params.into_iter().next().map(|(_, value)| value) {
        None => Record::Namespace(namespace),
        Some(ParamValue::QualifierDecl(decl)) => Record::Qualifier(namespace, decl),
        Some(ParamValue::Class(decl)) => Record::Class(namespace, decl),
        Some(ParamValue::Instance(instance)) => instance_record(namespace, instance)?,
        Some(_) => return None,
    })
}

fn instance_record(namespace: NamespaceName, mut instance: cim_model::Instance) -> Option<Record> {
    instance.path = Some(instance.path?.with_namespace(namespace));
    Some(Record::Instance(instance))
}
