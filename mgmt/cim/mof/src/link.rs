//! Turns syntax trees into the compiled [`Schema`] and checks every rule between declarations.
//!
//! The order of declarations is free: linking starts when all texts are read. An element that breaks a
//! rule is reported and left out or kept in its nearest legal form, so that one mistake does not hide
//! the next.

mod classes;
mod features;
mod instances;
mod qualifiers;
mod values;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ast::{ClassItem, InstanceItem, Name, QualifierItem};
use crate::error::{Fault, Rule};
use crate::limits;
use crate::schema::{Schema, fold};

/// The declarations of all texts, in order.
#[derive(Debug, Default)]
pub(crate) struct Declarations {
    pub qualifiers: Vec<QualifierItem>,
    pub classes: Vec<ClassItem>,
    pub instances: Vec<InstanceItem>,
}

/// Links everything; faults come in the order of the checks, and the schema then lacks what they are about.
pub(crate) fn link(declarations: &Declarations) -> (Schema, Vec<Fault>) {
    let mut linker = Linker {
        schema: Schema::default(),
        faults: Vec::new(),
    };
    linker.qualifier_types(&declarations.qualifiers);
    linker.classes(&declarations.classes);
    linker.instances(&declarations.instances);
    (linker.schema, linker.faults)
}

struct Linker {
    schema: Schema,
    faults: Vec<Fault>,
}

impl Linker {
    fn report(&mut self, fault: Fault) {
        if self.faults.len() < limits::ERRORS {
            self.faults.push(fault);
        }
    }

    /// Reports a fault and goes on without the value.
    fn check<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                self.report(fault);
                None
            }
        }
    }
}

/// Sees that names are unique within one scope.
struct Names {
    what: &'static str,
    seen: BTreeMap<String, u32>,
}

impl Names {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            seen: BTreeMap::new(),
        }
    }

    fn declare(&mut self, name: &Name) -> Result<(), Fault> {
        match self.seen.insert(fold(&name.text), name.at.line) {
            None => Ok(()),
            Some(line) => Err(Fault::new(
                name.at,
                Rule::Duplicate,
                format!("`{}` again, after line {line}", name.text),
                format!("{} only once", self.what),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
