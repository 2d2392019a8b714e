//! Methods of the metric service (DSP1053). Everything is always measured, so that nothing can be switched.

use super::Call;
use crate::element::Element;
use crate::elements;
use crate::metric::Metric;
use alloc::vec::Vec;
use cim_domain::SystemId;
use cim_model::{CimError, CimType, MethodName, Value, ValueType};
use cim_ops::{Argument, MethodResult};

const SUCCESS: u32 = 0;
const NOT_SUPPORTED: u32 = 1;
const FAILED: u32 = 2;

/// MetricCollectionEnabled: enabled.
const ENABLED: u16 = 2;

/// What the service's capabilities do not list.
const REFUSED: [&str; 4] = [
    "ShowMetricsByClass",
    "ControlMetrics",
    "ControlMetricsByClass",
    "ControlSampleTimes",
];

impl Call<'_> {
    pub(super) fn metrics(&self, method: &MethodName) -> Result<MethodResult, CimError> {
        if *method == "ShowMetrics" {
            return Ok(self.show_metrics());
        }
        if *method == "GetMetricValues" {
            return Ok(self.metric_values());
        }
        if REFUSED.iter().any(|known| *method == **known) {
            return Ok(MethodResult::new(NOT_SUPPORTED));
        }
        Err(self.unavailable(method))
    }

    /// The element of a parameter: `None` where it is NULL.
    fn named(&self, parameter: &str) -> Option<Option<Element>> {
        let value = self.argument(parameter)?;
        let path = value.as_instance_path();
        Some(path.and_then(|path| {
            self.model.read(|domain| {
                let element = Element::of(path, domain)?;
                element.class(domain).map(|_| element)
            })
        }))
    }

    fn references(&self, elements: impl IntoIterator<Item = Element>) -> Value {
        let paths: Vec<_> = self.model.read(|domain| {
            let paths = elements.into_iter().filter_map(|known| known.path(domain));
            paths
                .map(|path| path.with_namespace(self.context.namespace.clone()))
                .collect()
        });
        Value::array(CimType::Reference, paths)
    }

    /// What is measured on an element, or on which elements something is.
    fn show_metrics(&self) -> MethodResult {
        let measured = |element: &Element| matches!(element, Element::Host | Element::System(_));
        let subject = match self.named("Subject") {
            None => None,
            Some(Some(element)) if measured(&element) => Some(element),
            // Nothing is measured on it.
            Some(Some(_)) => return self.shown(None, None, &[], 0),
            Some(None) => return MethodResult::new(FAILED),
        };
        let definition = match self.named("Definition") {
            None => None,
            Some(Some(Element::MetricDefinition(metric))) => Some(metric),
            Some(_) => return MethodResult::new(FAILED),
        };
        match (subject, definition) {
            (None, None) => MethodResult::new(FAILED),
            (Some(_), Some(_)) => self.shown(None, None, &[], 1),
            (Some(_), None) => {
                let definitions = Metric::ALL.map(Element::MetricDefinition);
                let names = Metric::ALL.map(Metric::name);
                let count = Metric::ALL.len();
                self.shown(None, Some(self.references(definitions)), &names, count)
            }
            (None, Some(_)) => {
                let systems: Vec<_> = self.model.read(|domain| {
                    let systems = domain.systems().map(|system| Element::System(system.id));
                    core::iter::once(Element::Host).chain(systems).collect()
                });
                let count = systems.len();
                self.shown(Some(self.references(systems)), None, &[], count)
            }
        }
    }

    fn shown(
        &self,
        elements: Option<Value>,
        definitions: Option<Value>,
        names: &[&'static str],
        count: usize,
    ) -> MethodResult {
        let none = |ty| Value::Null(ValueType::array(ty));
        let elements = elements.unwrap_or(none(CimType::Reference));
        let definitions = definitions.unwrap_or(none(CimType::Reference));
        let names = match names {
            [] => none(CimType::String),
            names => names.to_vec().into(),
        };
        let enabled = alloc::vec![ENABLED; count];
        MethodResult::new(SUCCESS)
            .with(Argument::new("ManagedElements", elements))
            .with(Argument::new("DefinitionList", definitions))
            .with(Argument::new("MetricNames", names))
            .with(Argument::new("MetricCollectionEnabled", enabled))
    }

    /// The values of a metric: the smallest or the greatest ones, where that is asked for.
    fn metric_values(&self) -> MethodResult {
        const MINIMUM: u64 = 2;
        const MAXIMUM: u64 = 3;
        let Some(Some(Element::MetricDefinition(metric))) = self.named("Definition") else {
            return MethodResult::new(FAILED);
        };
        let mut values: Vec<(u64, Option<SystemId>)> = self.model.read(|domain| {
            let owners = elements::measured(domain).into_iter();
            let value = |owner: Option<SystemId>| {
                let usage = match owner {
                    None => domain.total_usage(),
                    Some(id) => domain.usage(id)?,
                };
                Some((metric.of(&usage), owner))
            };
            owners.filter_map(value).collect()
        });
        match self.argument("Range").map(Value::as_u64) {
            None => {}
            Some(Some(MINIMUM)) => values.sort(),
            Some(Some(MAXIMUM)) => values.sort_by(|one, other| other.cmp(one)),
            Some(_) => return MethodResult::new(FAILED),
        }
        if let Some(count) = self.argument("Count").and_then(Value::as_u64) {
            values.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        }
        let values = values.into_iter();
        let values = values.map(|(_, owner)| Element::MetricValue(owner, metric));
        MethodResult::new(SUCCESS).with(Argument::new("Values", self.references(values)))
    }
}
