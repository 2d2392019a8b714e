//! [`Catalog`]: the namespaces with their classes, qualifier types and stored instances.
//!
//! The built-in schema lies in `cim-schema` and shows in the namespaces that carry it; what clients make lies
//! here and, through the [`Store`], on the disk. Every change is written to the store first, so that memory
//! never holds what a power cut could take back.

mod class;
mod inherit;
mod instance;
mod qualifier;
mod view;

use crate::fault::no_namespace;
use crate::layout::Layout;
use crate::store::{Record, RecordKey, Store};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, ClassDecl, ClassName, Instance, InstancePath, NamespaceName,
    QualifierDecl, QualifierName, Scalar, Text,
};
use cim_query::{ClassOracle, PropertyKind};

/// Limits on what clients may make.
#[derive(Clone, Copy, Debug)]
pub struct CatalogLimits {
    /// Namespaces in all.
    pub namespaces: usize,
    /// Classes and qualifier types in a namespace.
    pub declarations: usize,
    /// Stored instances in a namespace.
    pub instances: usize,
}

impl Default for CatalogLimits {
    fn default() -> Self {
        CatalogLimits {
            namespaces: 64,
            declarations: 1_024,
            instances: 10_000,
        }
    }
}

/// The namespaces and what they hold.
pub struct Catalog {
    namespaces: BTreeMap<NamespaceName, Namespace>,
    /// Layouts of the built-in schema, made when first asked for.
    layouts: BTreeMap<ClassName, Rc<Layout>>,
    store: Box<dyn Store>,
    limits: CatalogLimits,
    unusable: Vec<RecordKey>,
}

/// Where the classes of a namespace come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// The built-in schema, and classes that clients add to it.
    BuiltIn,
    /// Only classes that clients make.
    Empty,
}

struct Namespace {
    schema: SchemaKind,
    classes: BTreeMap<ClassName, ClientClass>,
    qualifiers: BTreeMap<QualifierName, QualifierDecl>,
    instances: BTreeMap<ClassName, BTreeMap<InstancePath, Rc<Instance>>>,
}

/// A class that a client made.
struct ClientClass {
    /// With everything it inherits.
    full: Rc<ClassDecl>,
    layout: Rc<Layout>,
}

impl Catalog {
    /// A catalogue with the built-in namespaces and what the store holds.
    ///
    /// # Errors
    /// [`CimError`] when the store cannot be read.
    pub fn new(
        built_in: &[NamespaceName],
        store: Box<dyn Store>,
        limits: CatalogLimits,
    ) -> Result<Self, CimError> {
        let records = store.load()?;
        let mut catalog = Catalog {
            namespaces: BTreeMap::new(),
            layouts: BTreeMap::new(),
            store,
            limits,
            unusable: Vec::new(),
        };
        for name in built_in {
            catalog
                .namespaces
                .insert(name.clone(), Namespace::new(SchemaKind::BuiltIn));
        }
        for record in records {
            let key = record.key();
            // One record that no longer fits, say because the schema has changed, must not keep the server from
            // starting. It stays in the store.
            if catalog.restore(record).is_err() {
                catalog.unusable.push(key);
            }
        }
        Ok(catalog)
    }

    fn restore(&mut self, record: Record) -> Result<(), CimError> {
        match record {
            Record::Namespace(name) => {
                self.namespaces
                    .entry(name)
                    .or_insert_with(|| Namespace::new(SchemaKind::Empty));
            }
            Record::Qualifier(namespace, decl) => {
                self.namespace_mut(&namespace)?
                    .qualifiers
                    .insert(decl.name.clone(), decl);
            }
            Record::Class(namespace, decl) => {
                let class = self.inherited(&namespace, decl)?;
                let name = class.full.name.clone();
                self.namespace_mut(&namespace)?.classes.insert(name, class);
            }
            Record::Instance(instance) => {
                let Some(path) = instance.path.clone() else {
                    return Ok(());
                };
                let Some(namespace) = path.namespace.clone() else {
                    return Ok(());
                };
                let stored = &mut self.namespace_mut(&namespace)?.instances;
                stored
                    .entry(path.class.clone())
                    .or_default()
                    .insert(path.to_local(), Rc::new(instance));
            }
        }
        Ok(())
    }

    /// What the store holds but no longer fits the schema.
    pub fn unusable(&self) -> &[RecordKey] {
        &self.unusable
    }

    /// The names of all namespaces, in order.
    pub fn namespaces(&self) -> impl Iterator<Item = &NamespaceName> {
        self.namespaces.keys()
    }

    /// The name of a namespace as it was spelled when it was made.
    ///
    /// # Errors
    /// INVALID_NAMESPACE.
    pub fn find_namespace(&self, name: &NamespaceName) -> Result<NamespaceName, CimError> {
        match self.namespaces.get_key_value(name) {
            Some((known, _)) => Ok(known.clone()),
            None => Err(no_namespace(name)),
        }
    }

    fn namespace(&self, name: &NamespaceName) -> Result<&Namespace, CimError> {
        self.namespaces.get(name).ok_or_else(|| no_namespace(name))
    }

    fn namespace_mut(&mut self, name: &NamespaceName) -> Result<&mut Namespace, CimError> {
        self.namespaces
            .get_mut(name)
            .ok_or_else(|| no_namespace(name))
    }

    /// Makes a namespace without classes.
    ///
    /// # Errors
    /// ALREADY_EXISTS, INVALID_PARAMETER for a name that is no namespace name, or SERVER_LIMITS_EXCEEDED.
    pub fn create_namespace(&mut self, name: &NamespaceName) -> Result<(), CimError> {
        if name.components().next().is_none() || !name.components().all(cim_model::is_identifier) {
            return Err(crate::fault::invalid(format_args!(
                "\"{name}\" is not a namespace name: identifiers separated by slashes."
            )));
        }
        if self.namespaces.contains_key(name) {
            return Err(crate::fault::error(
                CimStatus::AlreadyExists,
                format_args!("The namespace \"{name}\" exists already."),
            ));
        }
        if self.namespaces.len() >= self.limits.namespaces {
            return Err(limit("namespaces"));
        }
        self.store.save(&Record::Namespace(name.clone()))?;
        self.namespaces
            .insert(name.clone(), Namespace::new(SchemaKind::Empty));
        Ok(())
    }

    /// Removes a namespace that a client made and that holds nothing.
    ///
    /// # Errors
    /// INVALID_NAMESPACE, NAMESPACE_NOT_EMPTY, or NOT_SUPPORTED for a built-in namespace.
    pub fn delete_namespace(&mut self, name: &NamespaceName) -> Result<(), CimError> {
        let namespace = self.namespace(name)?;
        if namespace.schema == SchemaKind::BuiltIn
            || !namespace.classes.is_empty()
            || namespace
                .instances
                .values()
                .any(|instances| !instances.is_empty())
        {
            return Err(crate::fault::error(
                CimStatus::NamespaceNotEmpty,
                format_args!("The namespace \"{name}\" is not empty."),
            ));
        }
        let qualifiers: Vec<_> = namespace.qualifiers.keys().cloned().collect();
        for qualifier in qualifiers {
            self.store
                .remove(&RecordKey::Qualifier(name.clone(), qualifier.clone()))?;
            self.namespace_mut(name)?.qualifiers.remove(&qualifier);
        }
        self.store.remove(&RecordKey::Namespace(name.clone()))?;
        self.namespaces.remove(name);
        Ok(())
    }

    /// Whether the built-in schema shows in a namespace.
    pub fn schema_kind(&self, name: &NamespaceName) -> Option<SchemaKind> {
        self.namespaces.get(name).map(|namespace| namespace.schema)
    }
}

impl Namespace {
    fn new(schema: SchemaKind) -> Self {
        Namespace {
            schema,
            classes: BTreeMap::new(),
            qualifiers: BTreeMap::new(),
            instances: BTreeMap::new(),
        }
    }
}

pub(crate) fn limit(what: &str) -> CimError {
    crate::fault::error(
        CimStatus::ServerLimitsExceeded,
        format_args!("The server accepts no more {what}."),
    )
}

/// The classes of one namespace, as queries see them.
pub struct NamespaceOracle<'a> {
    /// The catalogue.
    pub catalog: &'a core::cell::RefCell<Catalog>,
    /// The namespace.
    pub namespace: &'a NamespaceName,
}

impl ClassOracle for NamespaceOracle<'_> {
    fn class_exists(&self, class: &str) -> bool {
        self.catalog
            .borrow_mut()
            .layout(self.namespace, &ClassName::copy(class))
            .is_some()
    }

    fn is_a(&self, class: &str, ancestor: &str) -> bool {
        self.catalog.borrow().is_a(self.namespace, class, ancestor)
    }

    fn property(&self, class: &str, name: &str) -> Option<PropertyKind> {
        let layout = self
            .catalog
            .borrow_mut()
            .layout(self.namespace, &ClassName::copy(class))?;
        let property = layout.property(name)?;
        Some(PropertyKind {
            ty: property.ty,
            embeds: property.embedded.is_some(),
            embedded_class: property.embedded_class.clone(),
        })
    }

    fn mapped_value(&self, class: &str, property: &str, text: &str) -> Option<Scalar> {
        let view = crate::request::ClassView::FULL;
        let class =
            self.catalog
                .borrow()
                .declaration(self.namespace, &ClassName::copy(class), &view)?;
        let property = class.property(property)?;
        let strings = |name: &str| -> Option<Vec<Option<Text>>> {
            let items = property.qualifier(name)?.value.as_array()?;
            Some(
                items
                    .iter()
                    .map(|item| item.as_ref()?.as_str().map(Text::copy))
                    .collect(),
            )
        };
        let meanings = strings("Values")?;
        let index = meanings
            .iter()
            .position(|meaning| meaning.as_deref() == Some(text))?;
        match strings("ValueMap") {
            Some(values) => Scalar::parse(property.ty.ty, values.get(index)?.as_deref()?).ok(),
            None => Scalar::parse(property.ty.ty, &alloc::format!("{index}")).ok(),
        }
    }
}
