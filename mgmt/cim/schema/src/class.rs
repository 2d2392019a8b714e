//! Classes: lookup, hierarchy, and the way to their features and qualifiers.

use core::fmt;

use cim_model::{compare_names, same_name};

use crate::method::Method;
use crate::property::Property;
use crate::qualifier::{self, Qualifier};
use crate::tables::{self, CLASSES, ClassRow, LISTS, METHODS, PREORDER, PROPERTIES, Span, flag};

/// A class of the schema.
///
/// ```
/// let pool = cim_schema::class("cim_resourcepool").unwrap();
/// assert_eq!(pool.name(), "CIM_ResourcePool");
/// assert!(pool.is_a(cim_schema::class("CIM_ManagedElement").unwrap()));
/// let keys: Vec<_> = pool.keys().map(|key| key.name()).collect();
/// assert_eq!(keys, ["InstanceID"]);
/// ```
#[derive(Clone, Copy)]
pub struct Class {
    row: &'static ClassRow,
}

/// The class of a name, in any case.
#[must_use]
pub fn class(name: &str) -> Option<Class> {
    let index = CLASSES
        .binary_search_by(|row| compare_names(tables::text(row.name), name))
        .ok()?;
    CLASSES.get(index).map(|row| Class { row })
}

/// Every class, in alphabetical order.
pub fn classes() -> impl ExactSizeIterator<Item = Class> {
    CLASSES.iter().map(|row| Class { row })
}

/// The classes without superclass, in alphabetical order.
pub fn roots() -> impl Iterator<Item = Class> {
    classes().filter(|class| class.superclass().is_none())
}

/// Whether a class is another one or a subclass of it; false for names that are no class.
///
/// ```
/// assert!(cim_schema::is_a("CIM_Processor", "CIM_LogicalDevice"));
/// assert!(!cim_schema::is_a("CIM_LogicalDevice", "CIM_Processor"));
/// ```
#[must_use]
pub fn is_a(sub: &str, ancestor: &str) -> bool {
    match (class(sub), class(ancestor)) {
        (Some(sub), Some(ancestor)) => sub.is_a(ancestor),
        _ => false,
    }
}

pub(crate) fn by_id(id: u16) -> Option<Class> {
    CLASSES.get(usize::from(id)).map(|row| Class { row })
}

impl Class {
    /// The name as declared.
    #[must_use]
    pub fn name(self) -> &'static str {
        tables::text(self.row.name)
    }

    /// The superclass.
    #[must_use]
    pub fn superclass(self) -> Option<Self> {
        by_id(self.row.superclass)
    }

    /// This class, its superclass, and so on up to the root.
    pub fn lineage(self) -> impl Iterator<Item = Self> + Clone {
        core::iter::successors(Some(self), |class| class.superclass())
    }

    /// The classes right below this one, in alphabetical order.
    pub fn subclasses(self) -> impl Iterator<Item = Self> {
        // Behind a class stand its subclasses, each followed by its own.
        let mut next = self.row.preorder.saturating_add(1);
        let last = self.row.last;
        core::iter::from_fn(move || {
            if next > last {
                return None;
            }
            let class = by_id(*PREORDER.get(usize::from(next))?)?;
            next = class.row.last.saturating_add(1);
            Some(class)
        })
    }

    /// Every class below this one at any depth; each comes behind its superclass.
    pub fn descendants(self) -> impl Iterator<Item = Self> {
        let first = usize::from(self.row.preorder).saturating_add(1);
        let behind = usize::from(self.row.last).saturating_add(1);
        let ids = PREORDER.get(first..behind).unwrap_or(&[]);
        ids.iter().filter_map(|id| by_id(*id))
    }

    /// Whether this class is another one or a subclass of it. Takes constant time.
    #[must_use]
    pub fn is_a(self, ancestor: Self) -> bool {
        (ancestor.row.preorder..=ancestor.row.last).contains(&self.row.preorder)
    }

    /// Whether this is an association.
    #[must_use]
    pub fn is_association(self) -> bool {
        self.row.flags & flag::ASSOCIATION != 0
    }

    /// Whether this is an indication.
    #[must_use]
    pub fn is_indication(self) -> bool {
        self.row.flags & flag::INDICATION != 0
    }

    /// Whether this class can have no instances of its own.
    #[must_use]
    pub fn is_abstract(self) -> bool {
        self.row.flags & flag::ABSTRACT != 0
    }

    /// The qualifiers in force, this class's own ones first.
    pub fn qualifiers(self) -> impl Iterator<Item = Qualifier> {
        qualifier::effective(self.lineage().map(|class| class.row.qualifiers), 1)
    }

    /// The qualifiers that the declaration of this class states.
    pub fn local_qualifiers(self) -> impl Iterator<Item = Qualifier> {
        qualifier::local(self.row.qualifiers)
    }

    /// A qualifier in force, by name in any case.
    #[must_use]
    pub fn qualifier(self, name: &str) -> Option<Qualifier> {
        qualifier::find(self.qualifiers(), name)
    }

    /// All properties and references; inherited ones first, overriding ones in the place of the overridden.
    pub fn properties(self) -> impl Iterator<Item = Property> {
        let ids = self.row.all_properties.of(&LISTS);
        ids.iter()
            .filter_map(|id| PROPERTIES.get(usize::from(*id)))
            .map(move |row| Property::new(self, row))
    }

    /// The properties that this class declares or overrides.
    pub fn local_properties(self) -> impl Iterator<Item = Property> {
        let rows = self.row.properties.of(&PROPERTIES);
        rows.iter().map(move |row| Property::new(self, row))
    }

    /// A property, inherited ones included, by name in any case.
    #[must_use]
    pub fn property(self, name: &str) -> Option<Property> {
        self.properties().find(|p| same_name(p.name(), name))
    }

    /// The key properties.
    pub fn keys(self) -> impl Iterator<Item = Property> {
        self.properties().filter(|p| p.is_key())
    }

    /// The references of an association.
    pub fn references(self) -> impl Iterator<Item = Property> {
        self.properties().filter(|p| p.reference_class().is_some())
    }

    /// All methods; inherited ones first, overriding ones in the place of the overridden.
    pub fn methods(self) -> impl Iterator<Item = Method> {
        let ids = self.row.all_methods.of(&LISTS);
        ids.iter()
            .filter_map(|id| METHODS.get(usize::from(*id)))
            .map(move |row| Method::new(self, row))
    }

    /// The methods that this class declares or overrides.
    pub fn local_methods(self) -> impl Iterator<Item = Method> {
        let rows = self.row.methods.of(&METHODS);
        rows.iter().map(move |row| Method::new(self, row))
    }

    /// A method, inherited ones included, by name in any case.
    #[must_use]
    pub fn method(self, name: &str) -> Option<Method> {
        self.methods().find(|m| same_name(m.name(), name))
    }

    /// The class of an id among this one and its superclasses.
    pub(crate) fn ancestor(self, id: u16) -> Self {
        self.lineage()
            .find(|class| class.row.id == id)
            .unwrap_or(self)
    }

    pub(crate) const fn id(self) -> u16 {
        self.row.id
    }
}

impl PartialEq for Class {
    fn eq(&self, other: &Self) -> bool {
        self.row.id == other.row.id
    }
}

impl Eq for Class {}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The declarations of one feature from the nearest up, as spans of qualifiers.
pub(crate) fn levels<R>(
    row: &'static R,
    table: &'static [R],
    overrides: fn(&R) -> u16,
    qualifiers: fn(&R) -> Span,
) -> impl Iterator<Item = Span> + Clone {
    core::iter::successors(Some(row), move |row| table.get(usize::from(overrides(row))))
        .map(qualifiers)
}
