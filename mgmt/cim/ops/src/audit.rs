//! The audit trail: one record for each attempted change, whatever its outcome, and for each refused login.
//!
//! The owner of the server takes the records and writes them down ([`crate::Operations::take_audit`]); the last
//! ones are also kept for clients, who see them as entries of a CIM_RecordLog in the Interop namespace.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;
use cim_model::{CimStatus, Text};
use core::cell::RefCell;
use core::fmt;

/// Characters of each text in a record. Clients choose names and paths, which must not fill the memory.
const MAX_TEXT: usize = 256;
/// Records that clients can look at.
pub(crate) const KEPT: usize = 256;

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

impl fmt::Display for AuditRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AuditRecord {
            user,
            peer,
            operation,
            target,
            ..
        } = self;
        write!(f, "{user}@{peer} {operation} {target}: ")?;
        match self.failure {
            None => f.write_str("done"),
            Some(status) => write!(f, "{status}"),
        }
    }
}

/// The records; clones share them.
#[derive(Clone, Debug)]
pub struct AuditTrail(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    /// Records that wait for the owner of the server. When nobody takes them, the oldest go.
    waiting: VecDeque<AuditRecord>,
    capacity: usize,
    lost: u64,
    /// The last records, for clients.
    kept: VecDeque<AuditRecord>,
    /// The number of the first of them, counted from the start of the server.
    first_kept: u64,
}

impl AuditTrail {
    /// A trail in which at most this many records wait for the owner of the server.
    pub fn new(capacity: usize) -> Self {
        AuditTrail(Rc::new(RefCell::new(Inner {
            waiting: VecDeque::new(),
            capacity,
            lost: 0,
            kept: VecDeque::new(),
            first_kept: 0,
        })))
    }

    /// Adds a record.
    pub fn record(&self, record: AuditRecord) {
        let record = AuditRecord {
            user: Text::from(clean(&record.user)),
            peer: Text::from(clean(&record.peer)),
            operation: Text::from(clean(&record.operation)),
            target: clean(&record.target),
            ..record
        };
        let mut inner = self.0.borrow_mut();
        if inner.waiting.len() >= inner.capacity {
            inner.waiting.pop_front();
            inner.lost = inner.lost.saturating_add(1);
        }
        inner.waiting.push_back(record.clone());
        if inner.kept.len() >= KEPT {
            inner.kept.pop_front();
            inner.first_kept = inner.first_kept.saturating_add(1);
        }
        inner.kept.push_back(record);
    }

    /// The oldest record that has not been taken.
    pub fn take(&self) -> Option<AuditRecord> {
        self.0.borrow_mut().waiting.pop_front()
    }

    /// How many records were dropped because nobody took them.
    pub fn lost(&self) -> u64 {
        self.0.borrow().lost
    }

    /// How many records are kept for clients.
    pub(crate) fn kept(&self) -> usize {
        self.0.borrow().kept.len()
    }

    /// The first kept record from a number on, with its own number.
    pub(crate) fn kept_from(&self, number: u64) -> Option<(u64, AuditRecord)> {
        let inner = self.0.borrow();
        let number = number.max(inner.first_kept);
        let index = usize::try_from(number.checked_sub(inner.first_kept)?).ok()?;
        inner.kept.get(index).map(|record| (number, record.clone()))
    }
}

/// A text in one line of bounded length: what a client has chosen must not look like another record.
fn clean(text: &str) -> String {
    let mut cleaned: String = text
        .chars()
        .take(MAX_TEXT)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        cleaned.push_str("...");
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(target: &str) -> AuditRecord {
        AuditRecord {
            unix_micros: 0,
            user: "u".into(),
            peer: "p".into(),
            operation: "o".into(),
            target: target.into(),
            failure: None,
        }
    }

    #[test]
    fn a_client_can_neither_forge_a_line_nor_fill_the_memory() {
        let trail = AuditTrail::new(4);
        trail.record(record("a\nadmin@console CreateInstance x: done"));
        let line = trail.take().unwrap().to_string();
        assert_eq!(line, "u@p o a?admin@console CreateInstance x: done: done");
        trail.record(record(&"\u{e4}".repeat(100_000)));
        assert_eq!(trail.take().unwrap().target.chars().count(), MAX_TEXT + 3);
    }

    #[test]
    fn the_last_records_are_kept_for_clients() {
        let trail = AuditTrail::new(4);
        for number in 0..KEPT + 10 {
            trail.record(record(&number.to_string()));
        }
        assert_eq!(trail.kept(), KEPT);
        assert_eq!(trail.kept_from(0), Some((10, record("10"))));
        let last = KEPT as u64 + 9;
        assert_eq!(trail.kept_from(last), Some((last, record("265"))));
        assert_eq!(trail.kept_from(last + 1), None);
        assert_eq!(trail.lost(), KEPT as u64 + 6);
        assert_eq!(trail.take(), Some(record("262")));
    }
}
