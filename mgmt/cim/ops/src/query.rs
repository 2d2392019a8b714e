//! ExecQuery, OpenQueryInstances and the filters of Open operations.

use crate::caller::Caller;
use crate::catalog::NamespaceOracle;
use crate::engine::{Engine, fused};
use crate::fault::{error, invalid};
use crate::request::{ClassView, Depth, InstanceView, OpenOptions};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::rc::Rc;
use cim_model::{CimError, CimStatus, ClassDecl, ClassName, Instance, NamespaceName};
use cim_query::{Filter, Language, Row, SelectList, SelectQuery};

impl Engine {
    /// The selected rows of a query.
    ///
    /// # Errors
    /// QUERY_LANGUAGE_NOT_SUPPORTED, INVALID_QUERY, QUERY_FEATURE_NOT_SUPPORTED.
    pub(crate) fn query(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        language: &str,
        text: &str,
    ) -> Result<(SelectQuery, Stream<Instance>), CimError> {
        let query = self.parse_query(namespace, language, text)?;
        let rows = self.enumerate(
            caller,
            namespace,
            &query.class,
            Depth::Deep,
            InstanceView::default(),
        )?;
        let core = Rc::clone(self);
        let (namespace, clock) = (namespace.clone(), caller.clock);
        let selector = query.clone();
        let selected = rows.filter_map(move |instance| {
            let instance = match instance {
                Ok(instance) => instance,
                Err(error) => return Some(Err(error)),
            };
            let oracle = NamespaceOracle {
                catalog: &core.catalog,
                namespace: &namespace,
            };
            let row = clock
                .datetime()
                .map_or(Row::new(&instance), |now| Row::new(&instance).at(now));
            selector
                .matches(&row, &oracle)
                .holds()
                .then(|| Ok(selector.project(&row, &oracle)))
        });
        Ok((query, fused(Box::new(selected))))
    }

    /// Parses and checks a query statement.
    ///
    /// # Errors
    /// As for [`Engine::query`].
    pub(crate) fn parse_query(
        &self,
        namespace: &NamespaceName,
        language: &str,
        text: &str,
    ) -> Result<SelectQuery, CimError> {
        self.catalog.borrow().find_namespace(namespace)?;
        let language = match Language::from_name(language) {
            Some(language @ (Language::Cql | Language::Wql)) => language,
            _ => return Err(no_language(language, "DMTF:CQL and WQL")),
        };
        let query = SelectQuery::parse(language, text)?;
        query.check(&NamespaceOracle {
            catalog: &self.catalog,
            namespace,
        })?;
        Ok(query)
    }

    /// The class of the rows of a query.
    pub(crate) fn result_class(
        &self,
        namespace: &NamespaceName,
        query: &SelectQuery,
    ) -> Option<ClassDecl> {
        let properties = match &query.select {
            SelectList::All => None,
            SelectList::Columns(columns) => {
                Some(columns.iter().map(|column| column.name.clone()).collect())
            }
        };
        let view = ClassView {
            properties,
            ..ClassView::FULL
        };
        let mut class = self
            .catalog
            .borrow()
            .declaration(namespace, &query.class, &view)?;
        class.methods.clear();
        Some(class)
    }

    /// The filter of an Open operation.
    ///
    /// # Errors
    /// QUERY_LANGUAGE_NOT_SUPPORTED, INVALID_QUERY, INVALID_PARAMETER, FAILED for a language without a filter.
    pub(crate) fn filter(
        &self,
        namespace: &NamespaceName,
        class: Option<&ClassName>,
        options: &OpenOptions,
    ) -> Result<Option<Filter>, CimError> {
        let (language, text) = match (&options.filter_language, &options.filter) {
            (None, None) => return Ok(None),
            (Some(language), Some(text)) => (language, text),
            (Some(_), None) => {
                return Err(error(
                    CimStatus::Failed,
                    "There is a FilterQueryLanguage but no FilterQuery.",
                ));
            }
            (None, Some(_)) => {
                return Err(invalid(
                    "There is a FilterQuery but no FilterQueryLanguage.",
                ));
            }
        };
        if Language::from_name(language) != Some(Language::Fql) {
            return Err(no_language(language, "DMTF:FQL"));
        }
        let filter = Filter::parse(text)?;
        if let Some(class) = class {
            filter.check(
                class.as_str(),
                &NamespaceOracle {
                    catalog: &self.catalog,
                    namespace,
                },
            )?;
        }
        Ok(Some(filter))
    }

    /// The instances that pass a filter, cut to their view afterwards, because the filter may ask for
    /// properties that the client does not want to see.
    pub(crate) fn filtered(
        self: &Rc<Self>,
        caller: &Caller,
        filter: Filter,
        view: InstanceView,
        instances: Stream<Instance>,
    ) -> Stream<Instance> {
        let core = Rc::clone(self);
        let clock = caller.clock;
        Box::new(instances.filter_map(move |instance| {
            let mut instance = match instance {
                Ok(instance) => instance,
                Err(error) => return Some(Err(error)),
            };
            let namespace = instance
                .path
                .as_ref()
                .and_then(|path| path.namespace.clone())
                .unwrap_or_default();
            let oracle = NamespaceOracle {
                catalog: &core.catalog,
                namespace: &namespace,
            };
            let row = clock
                .datetime()
                .map_or(Row::new(&instance), |now| Row::new(&instance).at(now));
            if !filter.matches(&row, &oracle).holds() {
                return None;
            }
            if let Some(list) = &view.properties {
                instance
                    .properties
                    .retain(|property| list.contains(&property.name));
            }
            Some(Ok(instance))
        }))
    }
}

fn no_language(language: &str, offered: &str) -> CimError {
    error(
        CimStatus::QueryLanguageNotSupported,
        format_args!("The query language \"{language}\" is not supported here; {offered} is."),
    )
}
