//! Methods of the metric service (DSP1053). Everything is always measured, so that nothing can be switched.

use super::Call;
use crate::element::Element;
use crate::elements;
use crate::metric::Measured;
use alloc::vec::Vec;
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
        let subject = match self.named("Subject") {
            None => None,
            Some(Some(element)) => match Measured::of(&element) {
                Some(owner) => Some(owner),
                // Nothing is measured on it.
                None => return self.shown(None, None, &[], 0),
            },
            Some(None) => return MethodResult::new(FAILED),
        };
        let definition = match self.named("Definition") {
            None => None,
            Some(Some(Element::MetricDefinition(metric))) => Some(metric),
            Some(_) => return MethodResult::new(FAILED),
        };
        match (subject, definition) {
            (None, None) => MethodResult::new(FAILED),
            (Some(owner), Some(metric)) => {
                let is = owner.metrics().contains(&metric);
                self.shown(None, None, &[], usize::from(is))
            }
            (Some(owner), None) => {
                let metrics = owner.metrics();
                let definitions = metrics
                    .iter()
                    .map(|known| Element::MetricDefinition(*known));
                let definitions = self.references(definitions);
                let names: Vec<_> = metrics.iter().map(|known| known.name()).collect();
                self.shown(None, Some(definitions), &names, metrics.len())
            }
            (None, Some(metric)) => {
                let mut owners = self.model.read(elements::measurable);
                owners.retain(|owner| owner.metrics().contains(&metric));
                let count = owners.len();
                let owners = owners.into_iter().map(Measured::element);
                self.shown(Some(self.references(owners)), None, &[], count)
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
        let mut values: Vec<(u64, Measured)> = self.model.read(|domain| {
            let owners = elements::measurable(domain).into_iter();
            let value = |owner: Measured| Some((owner.value(metric, domain)?, owner));
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
