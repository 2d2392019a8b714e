//! CIM_IndicationFilter: a query over indications.

use super::{FILTER, Shared};
use crate::catalog::{Catalog, NamespaceOracle};
use crate::fault::{error, invalid, unsupported};
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{CimError, CimStatus, Instance, InstancePath, NamespaceName, Value};
use cim_query::{ClassOracle, Language, SelectQuery};
use core::cell::RefCell;

pub(super) struct Filters {
    pub(super) shared: Rc<Shared>,
    pub(super) catalog: Rc<RefCell<Catalog>>,
}

/// The namespaces whose events a filter sees; without any it sees those of the Interop namespace.
pub(super) fn source_namespaces(shared: &Shared, filter: &Instance) -> Vec<NamespaceName> {
    let mut names: Vec<NamespaceName> = Vec::new();
    if let Some(items) = filter.get("SourceNamespaces").and_then(Value::as_array) {
        names.extend(
            items
                .iter()
                .flatten()
                .filter_map(|item| item.as_str().map(NamespaceName::copy)),
        );
    }
    if let Some(one) = filter.get("SourceNamespace").and_then(Value::as_str) {
        names.push(NamespaceName::copy(one));
    }
    if names.is_empty() {
        names.push(shared.interop.clone());
    }
    names
}

/// The parsed query of a filter.
///
/// # Errors
/// INVALID_PARAMETER, which is what clients expect of a bad filter.
pub(super) fn query_of(filter: &Instance) -> Result<SelectQuery, CimError> {
    let text = |name: &str| filter.get(name).and_then(Value::as_str);
    let Some(query) = text("Query") else {
        return Err(invalid("An indication filter needs a Query."));
    };
    let language = text("QueryLanguage").unwrap_or_default();
    let language = match Language::from_name(language) {
        Some(language @ (Language::Cql | Language::Wql)) => language,
        _ => {
            return Err(invalid(format_args!(
                "The query language \"{language}\" is not supported for filters; DMTF:CQL and WQL are."
            )));
        }
    };
    SelectQuery::parse(language, query).map_err(as_parameter)
}

fn as_parameter(fault: cim_query::QueryError) -> CimError {
    invalid(format_args!("The query of the filter is refused: {fault}."))
}

impl Filters {
    fn check(&self, filter: &Instance) -> Result<(), CimError> {
        let query = query_of(filter)?;
        for namespace in source_namespaces(&self.shared, filter) {
            if self.catalog.borrow().find_namespace(&namespace).is_err() {
                return Err(invalid(format_args!(
                    "There is no source namespace \"{namespace}\"."
                )));
            }
            let oracle = NamespaceOracle {
                catalog: &self.catalog,
                namespace: &namespace,
            };
            query.check(&oracle).map_err(as_parameter)?;
            if !oracle.is_a(query.class.as_str(), "CIM_Indication") {
                return Err(invalid(format_args!(
                    "The class {} is not an indication.",
                    query.class
                )));
            }
        }
        Ok(())
    }
}

impl Filters {
    fn check_made_by_client(&self, path: &InstancePath) -> Result<(), CimError> {
        match self.shared.static_filter(path) {
            None => Ok(()),
            Some(_) => Err(unsupported(
                "Static filters can be neither modified nor deleted.",
            )),
        }
    }
}

impl Provider for Filters {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let fixed = self.shared.static_filters().into_iter().map(Ok);
        Ok(Box::new(fixed.chain(self.shared.kept.stream(FILTER))))
    }

    fn get(&self, _: &Context<'_>, path: &InstancePath) -> Result<Option<Instance>, CimError> {
        Ok(self.shared.filter(path))
    }

    fn create(
        &self,
        context: &Context<'_>,
        mut instance: Instance,
    ) -> Result<InstancePath, CimError> {
        self.shared.check_room(FILTER)?;
        self.check(&instance)?;
        let made_up = alloc::format!("filter-{}", context.caller.clock.unix_micros);
        self.shared.complete_keys(FILTER, &mut instance, &made_up);
        if instance
            .get("IndividualSubscriptionSupported")
            .is_none_or(Value::is_null)
        {
            instance.set("IndividualSubscriptionSupported", true);
        }
        let path = self.shared.four_key_path(FILTER, &instance);
        if self.shared.static_filter(&path).is_some() {
            return Err(error(
                CimStatus::AlreadyExists,
                "A static filter has this name.",
            ));
        }
        instance.path = Some(path.clone());
        self.shared.kept.add(instance)?;
        Ok(path)
    }

    fn modify(
        &self,
        _: &Context<'_>,
        path: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        self.check_made_by_client(path)?;
        let Some(mut filter) = self.shared.kept.get(path) else {
            return Err(crate::fault::no_instance(path));
        };
        for property in change.properties {
            filter.set(property.name, property.value);
        }
        self.check(&filter)?;
        self.shared.changed.set(true);
        self.shared.kept.replace(filter)
    }

    fn delete(&self, _: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        self.check_made_by_client(path)?;
        if self.shared.is_referred_to("Filter", path) {
            return Err(error(
                CimStatus::Failed,
                "A subscription uses the filter; delete that first.",
            ));
        }
        self.shared.kept.remove(path)
    }
}
