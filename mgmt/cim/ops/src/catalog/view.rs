//! Reading classes: lookup, hierarchy, and the declarations that GetClass and its kin return.

use super::{Catalog, SchemaKind};
use crate::fault::{invalid_class, no_class};
use crate::layout::Layout;
use crate::request::{ClassView, Depth};
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{CimError, ClassDecl, ClassName, NamespaceName};
use cim_schema::{Detail, Features, Origin, Qualifiers};

impl Catalog {
    /// The layout of a class; `None` if the namespace has no such class.
    pub fn layout(&mut self, namespace: &NamespaceName, class: &ClassName) -> Option<Rc<Layout>> {
        let space = self.namespaces.get(namespace)?;
        if let Some(client) = space.classes.get(class) {
            return Some(Rc::clone(&client.layout));
        }
        if space.schema == SchemaKind::Empty {
            return None;
        }
        if let Some(layout) = self.layouts.get(class) {
            return Some(Rc::clone(layout));
        }
        let layout = Rc::new(Layout::of_schema(cim_schema::class(class.as_str())?));
        self.layouts
            .insert(layout.class.clone(), Rc::clone(&layout));
        Some(layout)
    }

    /// The layout of a class that an instance operation names.
    ///
    /// # Errors
    /// INVALID_NAMESPACE, then INVALID_CLASS.
    pub fn require(
        &mut self,
        namespace: &NamespaceName,
        class: &ClassName,
    ) -> Result<Rc<Layout>, CimError> {
        self.namespace(namespace)?;
        self.layout(namespace, class)
            .ok_or_else(|| invalid_class(class))
    }

    /// Whether a class is another one or a subclass of it.
    pub fn is_a(&self, namespace: &NamespaceName, class: &str, ancestor: &str) -> bool {
        let Some(space) = self.namespaces.get(namespace) else {
            return false;
        };
        if !space.classes.is_empty()
            && let Some(client) = space.classes.get(&ClassName::copy(class))
        {
            return client.layout.lineage.iter().any(|name| *name == *ancestor);
        }
        space.schema == SchemaKind::BuiltIn && cim_schema::is_a(class, ancestor)
    }

    /// The declaration of a class, cut to what the view asks for.
    pub fn declaration(
        &self,
        namespace: &NamespaceName,
        class: &ClassName,
        view: &ClassView,
    ) -> Option<ClassDecl> {
        let space = self.namespaces.get(namespace)?;
        if let Some(client) = space.classes.get(class) {
            return Some(cut(&client.full, view));
        }
        if space.schema == SchemaKind::Empty {
            return None;
        }
        let detail = Detail {
            features: if view.local_only {
                Features::Local
            } else {
                Features::All
            },
            qualifiers: if view.qualifiers {
                Qualifiers::Include
            } else {
                Qualifiers::Omit
            },
            origin: if view.class_origin {
                Origin::Include
            } else {
                Origin::Omit
            },
            properties: view.properties.as_deref(),
        };
        Some(cim_schema::class(class.as_str())?.to_model(detail))
    }

    /// GetClass.
    ///
    /// # Errors
    /// INVALID_NAMESPACE, then NOT_FOUND.
    pub fn get_class(
        &self,
        namespace: &NamespaceName,
        class: &ClassName,
        view: &ClassView,
    ) -> Result<ClassDecl, CimError> {
        self.namespace(namespace)?;
        self.declaration(namespace, class, view)
            .ok_or_else(|| no_class(class))
    }

    /// The names of the classes below a class, or of all from the roots; superclasses come first.
    ///
    /// # Errors
    /// INVALID_NAMESPACE, then INVALID_CLASS.
    pub fn class_names(
        &self,
        namespace: &NamespaceName,
        below: Option<&ClassName>,
        depth: Depth,
    ) -> Result<Vec<ClassName>, CimError> {
        let space = self.namespace(namespace)?;
        let built_in = space.schema == SchemaKind::BuiltIn;
        let named = |class: cim_schema::Class| ClassName::from_static(class.name());
        let mut names: Vec<ClassName> = Vec::new();
        match below {
            None if built_in => match depth {
                Depth::Shallow => names.extend(cim_schema::roots().map(named)),
                Depth::Deep => {
                    for root in cim_schema::roots() {
                        names.push(named(root));
                        names.extend(root.descendants().map(named));
                    }
                }
            },
            None => {}
            Some(class) => {
                let known = built_in
                    .then(|| cim_schema::class(class.as_str()))
                    .flatten();
                match (known, depth) {
                    (Some(known), Depth::Shallow) => names.extend(known.subclasses().map(named)),
                    (Some(known), Depth::Deep) => names.extend(known.descendants().map(named)),
                    (None, _) if space.classes.contains_key(class) => {}
                    (None, _) => return Err(invalid_class(class)),
                }
            }
        }
        let mut clients: Vec<_> = space
            .classes
            .values()
            .filter(|client| match (below, depth) {
                (None, Depth::Deep) => true,
                (None, Depth::Shallow) => client.full.superclass.is_none(),
                (Some(class), Depth::Shallow) => client.full.superclass.as_ref() == Some(class),
                (Some(class), Depth::Deep) => client
                    .layout
                    .lineage
                    .iter()
                    .skip(1)
                    .any(|ancestor| ancestor == class),
            })
            .collect();
        clients.sort_by_key(|client| client.layout.lineage.len());
        names.extend(clients.into_iter().map(|client| client.full.name.clone()));
        Ok(names)
    }

    /// Whether a class is an association; cheaper than asking its layout.
    pub fn is_association(&self, namespace: &NamespaceName, class: &ClassName) -> bool {
        let Some(space) = self.namespaces.get(namespace) else {
            return false;
        };
        match space.classes.get(class) {
            Some(client) => client.layout.kind == crate::layout::ClassKind::Association,
            None => {
                cim_schema::class(class.as_str()).is_some_and(cim_schema::Class::is_association)
            }
        }
    }

    /// Whether a client made the class.
    pub fn is_client_class(&self, namespace: &NamespaceName, class: &ClassName) -> bool {
        self.namespaces
            .get(namespace)
            .is_some_and(|space| space.classes.contains_key(class))
    }

    /// The classes that clients made.
    pub fn client_classes(&self, namespace: &NamespaceName) -> Vec<ClassName> {
        let space = self.namespaces.get(namespace);
        space
            .into_iter()
            .flat_map(|space| space.classes.keys().cloned())
            .collect()
    }

    /// Whether a class has subclasses in its namespace.
    pub(super) fn has_subclasses(&self, namespace: &NamespaceName, class: &ClassName) -> bool {
        self.namespaces.get(namespace).is_some_and(|space| {
            space
                .classes
                .values()
                .any(|client| client.full.superclass.as_ref() == Some(class))
        })
    }
}

/// A full declaration cut to a view.
fn cut(full: &ClassDecl, view: &ClassView) -> ClassDecl {
    let mut class = full.clone();
    if view.local_only {
        class.properties.retain(|property| !property.propagated);
        class.methods.retain(|method| !method.propagated);
        class.qualifiers.retain(|qualifier| !qualifier.propagated);
    }
    if let Some(wanted) = &view.properties {
        class
            .properties
            .retain(|property| wanted.contains(&property.name));
    }
    if !view.qualifiers {
        class.qualifiers.clear();
    }
    for property in &mut class.properties {
        if !view.qualifiers {
            property.qualifiers.clear();
        }
        if !view.class_origin {
            property.class_origin = None;
        }
    }
    for method in &mut class.methods {
        if !view.qualifiers {
            method.qualifiers.clear();
            method
                .parameters
                .iter_mut()
                .for_each(|parameter| parameter.qualifiers.clear());
        }
        if !view.class_origin {
            method.class_origin = None;
        }
    }
    class
}
