//! [`StaticFilter`]: filters that are always there, so that clients can subscribe without writing a query, and
//! the collection of all of them.
//!
//! The names have the form that DSP1054 wants: the organization, the registered name of the profile whose events
//! they select, and a word of their own.

use super::{COLLECTION, FILTER, Shared};
use crate::interop::SYSTEM_CLASS;
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{CimError, CimType, Instance, InstancePath, Text, Value};

/// A filter that is there without any client making it. Its query is in DMTF:CQL and sees the events of all
/// namespaces that the server starts with, except the Interop namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticFilter {
    /// Name of the instance.
    pub name: &'static str,
    /// ElementName: what it selects, for people.
    pub title: &'static str,
    /// The query.
    pub query: &'static str,
}

/// The events that the System Virtualization profile speaks of (IndicationsSupported of
/// CIM_VirtualSystemManagementCapabilities).
pub const VIRTUALIZATION: &[StaticFilter] = &[
    StaticFilter {
        name: "BH:System Virtualization:VirtualSystemCreation",
        title: "A system was created",
        query: "SELECT * FROM CIM_InstCreation WHERE SourceInstance ISA CIM_ComputerSystem",
    },
    StaticFilter {
        name: "BH:System Virtualization:VirtualSystemDeletion",
        title: "A system was deleted",
        query: "SELECT * FROM CIM_InstDeletion WHERE SourceInstance ISA CIM_ComputerSystem",
    },
    StaticFilter {
        name: "BH:System Virtualization:VirtualSystemStateChange",
        title: "The state of a system changed",
        query: "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ComputerSystem AND \
                SourceInstance.CIM_ComputerSystem::EnabledState <> \
                PreviousInstance.CIM_ComputerSystem::EnabledState",
    },
    StaticFilter {
        name: "BH:System Virtualization:VirtualResourceStateChange",
        title: "The settings of a virtual resource changed",
        query: "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ResourceAllocationSettingData",
    },
    StaticFilter {
        name: "BH:System Virtualization:ConcreteJobStateChange",
        title: "The state of a job changed",
        query: "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ConcreteJob AND \
                SourceInstance.CIM_ConcreteJob::JobState <> PreviousInstance.CIM_ConcreteJob::JobState",
    },
];

const COLLECTION_ID: Text = Text::from_static("BH:Indications:StaticFilters");

/// The path of the collection.
pub(super) fn collection_path(shared: &Shared) -> InstancePath {
    InstancePath::new(COLLECTION)
        .with_namespace(shared.interop.clone())
        .with_key("InstanceID", COLLECTION_ID)
}

impl Shared {
    /// The static filters as instances, with their paths.
    pub(super) fn static_filters(&self) -> Vec<Instance> {
        self.defaults
            .static_filters
            .iter()
            .map(|filter| {
                let sources = self.sources.iter().map(|name| name.text().clone());
                let mut instance = Instance::new(FILTER)
                    .with("ElementName", filter.title)
                    .with("SystemCreationClassName", SYSTEM_CLASS)
                    .with("SystemName", self.identity.system.clone())
                    .with("CreationClassName", FILTER)
                    .with("Name", filter.name)
                    .with("SourceNamespaces", Value::array(CimType::String, sources))
                    .with("IndividualSubscriptionSupported", true)
                    .with("Query", filter.query)
                    .with("QueryLanguage", "DMTF:CQL");
                instance.path = Some(self.four_key_path(FILTER, &instance));
                instance
            })
            .collect()
    }

    /// A filter, static or made by a client.
    pub(super) fn filter(&self, path: &InstancePath) -> Option<Instance> {
        self.static_filter(path).or_else(|| self.kept.get(path))
    }

    /// The static filter with a path.
    pub(super) fn static_filter(&self, path: &InstancePath) -> Option<Instance> {
        let wanted = path.to_local();
        self.static_filters().into_iter().find(|filter| {
            filter
                .path
                .as_ref()
                .is_some_and(|own| own.to_local() == wanted)
        })
    }
}

/// The provider of the collection.
pub(super) struct Collection(pub(super) Rc<Shared>);

impl Provider for Collection {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let instance = Instance::new(COLLECTION)
            .with("InstanceID", COLLECTION_ID)
            .with("ElementName", "Static filters")
            .with("CollectionName", COLLECTION_ID)
            .with_path(collection_path(&self.0));
        Ok(Box::new(core::iter::once(Ok(instance))))
    }
}
