//! Which provider or association serves which class; fixed once the server is built.

use crate::association::Association;
use crate::provider::Provider;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{ClassName, NamespaceName};

/// Where the instances of a class come from.
#[derive(Clone)]
pub(crate) enum Source {
    Provider(Rc<dyn Provider>),
    Association(Rc<Association>),
    /// The catalogue keeps them.
    Stored,
}

/// All providers and associations.
#[derive(Default)]
pub(crate) struct Registry {
    providers: BTreeMap<NamespaceName, BTreeMap<ClassName, Rc<dyn Provider>>>,
    associations: Vec<Rc<Association>>,
}

impl Registry {
    pub(crate) fn add_provider(
        &mut self,
        namespace: NamespaceName,
        class: ClassName,
        provider: Rc<dyn Provider>,
    ) {
        self.providers
            .entry(namespace)
            .or_default()
            .insert(class, provider);
    }

    pub(crate) fn add_association(&mut self, association: Association) {
        self.associations.push(Rc::new(association));
    }

    pub(crate) fn provider(
        &self,
        namespace: &NamespaceName,
        class: &ClassName,
    ) -> Option<&Rc<dyn Provider>> {
        self.providers.get(namespace)?.get(class)
    }

    pub(crate) fn providers(
        &self,
        namespace: &NamespaceName,
    ) -> impl Iterator<Item = (&ClassName, &Rc<dyn Provider>)> {
        self.providers.get(namespace).into_iter().flatten()
    }

    pub(crate) fn associations(&self) -> impl Iterator<Item = &Rc<Association>> {
        self.associations.iter()
    }
}
