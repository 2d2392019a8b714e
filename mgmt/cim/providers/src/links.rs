//! Associations, as data: for each class, its two ends and how to walk from either.

mod access;
mod boot;
mod devices;
mod hosting;
mod metrics;
mod mutability;
mod walks;

use crate::element::Element;
use crate::model::Model;
use crate::setup::namespace;
use alloc::boxed::Box;
use alloc::vec::Vec;
use cim_domain::Domain;
use cim_model::{ClassName, InstancePath, Property};
use cim_ops::{Association, Context, End, Link, Stream, Walk};

/// A neighbour over an association, with the properties of the association instance besides its references.
pub(crate) struct Near {
    pub(crate) element: Element,
    pub(crate) properties: Vec<Property>,
}

impl From<Element> for Near {
    fn from(element: Element) -> Self {
        Near {
            element,
            properties: Vec::new(),
        }
    }
}

impl Near {
    fn with(mut self, name: &'static str, value: impl Into<cim_model::Value>) -> Self {
        self.properties.push(Property::new(name, value));
        self
    }
}

/// From an element to its neighbours.
pub(crate) type Step = fn(&Domain, &Element) -> Vec<Near>;

/// An association class.
pub(crate) struct Shape {
    pub(crate) class: &'static str,
    /// Role and class of the first end, then of the second.
    pub(crate) ends: [(&'static str, &'static str); 2],
    pub(crate) forward: Step,
    pub(crate) backward: Step,
    /// The elements at the first end.
    pub(crate) sources: fn(&Domain) -> Vec<Element>,
}

/// Every association.
pub(crate) fn all(model: &Model) -> Vec<Association> {
    shapes().map(|shape| association(model, shape)).collect()
}

/// Every association class.
pub(crate) fn shapes() -> impl Iterator<Item = &'static Shape> {
    let shapes = walks::SHAPES.iter().chain(&access::SHAPES);
    let shapes = shapes.chain(&boot::SHAPES).chain(&metrics::SHAPES);
    let shapes = shapes.chain(&devices::SHAPES).chain(&mutability::SHAPES);
    shapes.chain(&hosting::SHAPES)
}

fn association(model: &Model, shape: &'static Shape) -> Association {
    let [first, second] = shape.ends;
    let sources_of = model.clone();
    let sources = move |_: &Context<'_>| {
        let paths: Vec<_> = sources_of.read(|domain| {
            let sources = (shape.sources)(domain).into_iter();
            sources
                .filter_map(|element| element.path(domain))
                .map(Ok)
                .collect()
        });
        Ok(Box::new(paths.into_iter()) as Stream<InstancePath>)
    };
    Association {
        namespace: namespace(),
        class: ClassName::from_static(shape.class),
        ends: [end(first), end(second)],
        forward: walk(model, shape.forward),
        backward: Some(walk(model, shape.backward)),
        sources: Some(Box::new(sources)),
    }
}

fn end((role, class): (&'static str, &'static str)) -> End {
    End {
        role: role.into(),
        class: ClassName::from_static(class),
        namespace: namespace(),
    }
}

fn walk(model: &Model, step: Step) -> Walk {
    let model = model.clone();
    Box::new(move |_, from| {
        let links: Vec<_> = model.read(|domain| {
            let near = Element::of(from, domain).map(|element| step(domain, &element));
            let links = near.into_iter().flatten().filter_map(|near| {
                Some(Ok(Link {
                    target: near.element.path(domain)?,
                    properties: near.properties,
                }))
            });
            links.collect()
        });
        Ok(Box::new(links.into_iter()))
    })
}
