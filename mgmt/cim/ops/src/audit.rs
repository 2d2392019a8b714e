//! The audit trail: one record for each attempted change, whatever its outcome.

use crate::caller::Caller;
use alloc::collections::VecDeque;
use alloc::string::String;
use cim_model::{CimStatus, Text};

/// One attempted change.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// Microseconds since 1970-01-01T00:00:00 UTC.
    pub unix_micros: i64,
    /// The account.
    pub user: Text,
    /// Where the request came from.
    pub peer: Text,
    /// The operation or method.
    pub operation: Text,
    /// The namespace, and the object where there is one.
    pub target: String,
    /// The status of a failure; `None` when the change was made.
    pub failure: Option<CimStatus>,
}

/// Records that wait for the owner of the server to write them down. When nobody does, the oldest go.
#[derive(Debug)]
pub struct AuditTrail {
    records: VecDeque<AuditRecord>,
    capacity: usize,
    lost: u64,
}

impl AuditTrail {
    /// A trail that keeps at most this many records.
    pub fn new(capacity: usize) -> Self {
        AuditTrail {
            records: VecDeque::new(),
            capacity,
            lost: 0,
        }
    }

    pub(crate) fn record(
        &mut self,
        caller: &Caller,
        operation: Text,
        target: String,
        failure: Option<CimStatus>,
    ) {
        if self.records.len() >= self.capacity {
            self.records.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        self.records.push_back(AuditRecord {
            unix_micros: caller.clock.unix_micros,
            user: caller.user.clone(),
            peer: caller.peer.clone(),
            operation,
            target,
            failure,
        });
    }

    /// The oldest record that has not been taken.
    pub fn take(&mut self) -> Option<AuditRecord> {
        self.records.pop_front()
    }

    /// How many records were dropped because nobody took them.
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}
