//! CIM_RecordLog with its CIM_LogEntry instances: the last records of the audit trail, after the profile Record Log
//! (DSP1010). The owner of the server writes down all of them; the log is what clients can look at.

use super::{Identity, SYSTEM_CLASS, hosting};
use crate::association::{Association, End, Link};
use crate::audit::{AuditRecord, AuditTrail, KEPT};
use crate::builder::Builder;
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::ToString;
use cim_model::{
    CimError, CimType, ClassName, DateTime, Instance, InstancePath, NamespaceName, Property,
    Scalar, Text, Value,
};

const LOG: &str = "CIM_RecordLog";
const ENTRY: &str = "CIM_LogEntry";
const NAME: &str = "Audit log";
/// EnabledState: enabled.
const ENABLED: u16 = 2;
/// OverwritePolicy: wraps when full.
const WRAPS: u16 = 2;
/// LogState: normal.
const NORMAL: u16 = 2;
/// PerceivedSeverity: information, degraded/warning.
const INFORMATION: u16 = 2;
const WARNING: u16 = 3;

struct Shared {
    trail: AuditTrail,
    identity: Identity,
    interop: NamespaceName,
}

impl Shared {
    fn log_id(&self) -> Text {
        Text::from(format!("BH:{}:audit", self.identity.system))
    }

    fn log_path(&self) -> InstancePath {
        InstancePath::new(LOG).with_key("InstanceID", self.log_id())
    }

    /// Numbers begin anew with each start of the server, so the time of the record comes along.
    fn entry_id(&self, number: u64, record: &AuditRecord) -> Text {
        Text::from(format!(
            "{}:{number}-{:x}",
            self.log_id(),
            record.unix_micros
        ))
    }

    fn entry_path(&self, number: u64, record: &AuditRecord) -> InstancePath {
        InstancePath::new(ENTRY).with_key("InstanceID", self.entry_id(number, record))
    }

    fn entry(&self, number: u64, record: &AuditRecord) -> Instance {
        let time = DateTime::from_unix_micros(record.unix_micros).ok();
        let severity = if record.failure.is_some() {
            WARNING
        } else {
            INFORMATION
        };
        let line = record.to_string();
        Instance::new(ENTRY)
            .with("InstanceID", self.entry_id(number, record))
            .with("ElementName", record.operation.clone())
            .with("LogInstanceID", self.log_id())
            .with("LogName", NAME)
            .with("RecordID", number.to_string())
            .with(
                "CreationTimeStamp",
                Value::or_null(time.map(Scalar::DateTime), CimType::DateTime),
            )
            .with("PerceivedSeverity", severity)
            .with("RecordFormat", "user@peer operation target: outcome")
            .with("RecordData", line)
    }

    fn records(self: &Rc<Self>) -> impl Iterator<Item = (u64, AuditRecord)> + use<> {
        let shared = Rc::clone(self);
        let mut next = 0;
        core::iter::from_fn(move || {
            let (number, record) = shared.trail.kept_from(next)?;
            next = number.saturating_add(1);
            Some((number, record))
        })
    }
}

struct Log(Rc<Shared>);

impl Provider for Log {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let instance = Instance::new(LOG)
            .with("InstanceID", self.0.log_id())
            .with("ElementName", NAME)
            .with(
                "Description",
                "The last attempted changes and refused logins since the start of the server. All of them are \
                 written to its console.",
            )
            .with("EnabledState", ENABLED)
            .with("MaxNumberOfRecords", count(KEPT))
            .with("CurrentNumberOfRecords", count(self.0.trail.kept()))
            .with("OverwritePolicy", WRAPS)
            .with("LogState", NORMAL);
        Ok(Box::new(core::iter::once(Ok(instance))))
    }
}

struct Entries(Rc<Shared>);

impl Provider for Entries {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let shared = Rc::clone(&self.0);
        let records = self.0.records();
        Ok(Box::new(records.map(move |(number, record)| {
            Ok(shared.entry(number, &record))
        })))
    }
}

/// Adds the log, its entries, and their associations with each other and with the system.
pub(super) fn install(builder: Builder, interop: &NamespaceName, identity: &Identity) -> Builder {
    let shared = Rc::new(Shared {
        trail: builder.audit(),
        identity: identity.clone(),
        interop: interop.clone(),
    });
    builder
        .provider(interop.clone(), LOG, Rc::new(Log(Rc::clone(&shared))))
        .provider(interop.clone(), ENTRY, Rc::new(Entries(Rc::clone(&shared))))
        .association(records_of_log(&shared))
        .association(use_of_log(&shared))
}

fn end(shared: &Shared, role: &'static str, class: &'static str) -> End {
    End {
        role: role.into(),
        class: ClassName::from_static(class),
        namespace: shared.interop.clone(),
    }
}

fn one(link: Link) -> Stream<Link> {
    Box::new(core::iter::once(Ok(link)))
}

/// CIM_LogManagesRecord.
fn records_of_log(shared: &Rc<Shared>) -> Association {
    let (entries, log) = (Rc::clone(shared), shared.log_path());
    Association {
        namespace: shared.interop.clone(),
        class: ClassName::from_static("CIM_LogManagesRecord"),
        ends: [end(shared, "Log", LOG), end(shared, "Record", ENTRY)],
        forward: Box::new(move |_, _| {
            let paths = Rc::clone(&entries);
            let records = entries.records();
            Ok(Box::new(records.map(move |(number, record)| {
                Ok(Link::from(paths.entry_path(number, &record)))
            })))
        }),
        backward: Some(Box::new(move |_, _| Ok(one(Link::from(log.clone()))))),
        sources: None,
    }
}

/// CIM_UseOfLog between the log and the system that the server runs on.
fn use_of_log(shared: &Rc<Shared>) -> Association {
    let (log, system) = (shared.log_path(), hosting::path(&shared.identity));
    let with_data = |target: InstancePath| Link {
        target,
        properties: alloc::vec![Property::new("RecordedData", "Changes by clients")],
    };
    Association {
        namespace: shared.interop.clone(),
        class: ClassName::from_static("CIM_UseOfLog"),
        ends: [
            end(shared, "Antecedent", LOG),
            End {
                role: "Dependent".into(),
                class: ClassName::from(SYSTEM_CLASS),
                namespace: shared.interop.clone(),
            },
        ],
        forward: Box::new(move |_, _| Ok(one(with_data(system.clone())))),
        backward: Some(Box::new(move |_, _| Ok(one(with_data(log.clone()))))),
        sources: None,
    }
}
