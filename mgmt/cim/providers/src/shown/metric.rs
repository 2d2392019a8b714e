//! Base metrics (DSP1053): the service, its capabilities, definitions and values.

use crate::element::{
    Element, METRIC_CAPABILITIES, METRIC_DEFINITION, METRIC_SERVICE, METRIC_VALUE,
};
use crate::metric::{Measured, Metric};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use cim_domain::Domain;
use cim_model::Instance;

pub(super) fn service() -> Instance {
    super::service(
        "Metrics of the host, of virtual systems and of their processors",
        METRIC_SERVICE,
    )
}

pub(super) fn capabilities() -> Instance {
    /// SupportedMethods: ShowMetrics and GetMetricValues. Everything is always measured.
    const METHODS: [u16; 2] = [4, 6];
    Instance::new(METRIC_CAPABILITIES)
        .with("ElementName", "What the metric service can do")
        .with("ElementNameEditSupported", false)
        .with("SupportedMethods", METHODS.to_vec())
        .with("ControllableMetrics", Vec::<cim_model::Text>::new())
        .with("ControllableManagedElements", Vec::<cim_model::Text>::new())
}

pub(super) fn definition(metric: Metric) -> Instance {
    /// DataType uint64, Calculable summable, GatheringType on request.
    const UINT64: u16 = 13;
    const SUMMABLE: u16 = 2;
    const ON_REQUEST: u16 = 4;
    // ChangeType counter with TimeScope since the start, or gauge for a point in time.
    let (change, scope) = match metric.is_counter() {
        true => (3u16, 4u16),
        false => (4, 2),
    };
    Instance::new(METRIC_DEFINITION)
        .with("ElementName", metric.name())
        .with("Name", metric.name())
        .with("DataType", UINT64)
        .with("Calculable", SUMMABLE)
        .with("IsContinuous", true)
        .with("ChangeType", change)
        .with("TimeScope", scope)
        .with("GatheringType", ON_REQUEST)
        .with("ProgrammaticUnits", metric.unit())
}

/// A value; whoever asks for it adds the time.
pub(super) fn value(domain: &Domain, owner: Measured, metric: Metric) -> Option<Instance> {
    let value = owner.value(metric, domain)?;
    let name = match owner {
        Measured::Host => domain.host().name.clone(),
        Measured::System(id) => domain.system(id)?.defined.name.clone(),
        Measured::Processor(id, number) => {
            let system = &domain.system(id)?.defined.name;
            format!("processor {number} of {system}")
        }
    };
    let definition = Element::MetricDefinition(metric).path(domain)?;
    let definition = definition.key("Id")?.as_str()?;
    Some(
        Instance::new(METRIC_VALUE)
            .with("ElementName", format!("{} of {name}", metric.name()))
            .with("MetricDefinitionId", definition.to_string())
            .with("MeasuredElementName", name)
            .with("MetricValue", value.to_string())
            .with("Volatile", true),
    )
}
