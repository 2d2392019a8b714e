//! Reads texts, follows includes, and links what they declare.
//!
//! Called by the build script of `cim-schema` for the whole schema, and by tests. File access is the
//! caller's: the compiler asks an [`Include`] for the texts that pragmas name.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ast::{Item, Pragma};
use crate::error::{Fault, MofError, Rule};
use crate::limits;
use crate::link::{self, Declarations};
use crate::parser::Parser;
use crate::schema::Schema;
use crate::source::SourceMap;

/// A text found by an [`Include`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// The path for messages and for includes within this text.
    pub path: String,
    /// The text.
    pub text: String,
}

/// Finds the text that `#pragma include ("name")` asks for.
pub trait Include {
    /// Reads a text; `from` is the path of the text with the pragma.
    ///
    /// # Errors
    /// A reason that completes "the include cannot be read: …".
    fn read(&mut self, from: &str, name: &str) -> Result<Included, String>;
}

/// Refuses every include: for texts that must stand alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoIncludes;

impl Include for NoIncludes {
    fn read(&mut self, _from: &str, _name: &str) -> Result<Included, String> {
        Err("includes are not allowed here".into())
    }
}

/// Collects the declarations of any number of texts, then links them.
///
/// ```
/// use cim_mof::{Compiler, NoIncludes};
///
/// let mut compiler = Compiler::new(NoIncludes);
/// compiler.add("tiny.mof", "Qualifier Key : boolean = false, Scope(property);
///     class X_Thing { [Key] string Name; uint16 Size = 3; };");
/// let schema = compiler.finish().unwrap();
/// assert_eq!(schema.class("x_thing").unwrap().properties.len(), 2);
/// ```
#[derive(Debug)]
pub struct Compiler<I> {
    include: I,
    sources: SourceMap,
    declarations: Declarations,
    errors: Vec<MofError>,
    locale: Option<String>,
    namespace: Option<String>,
}

impl<I: Include> Compiler<I> {
    /// A compiler that finds includes through `include`.
    pub const fn new(include: I) -> Self {
        Self {
            include,
            sources: SourceMap::new(),
            declarations: Declarations {
                qualifiers: Vec::new(),
                classes: Vec::new(),
                instances: Vec::new(),
            },
            errors: Vec::new(),
            locale: None,
            namespace: None,
        }
    }

    /// Reads a text and what it includes; errors are kept for [`Self::finish`].
    pub fn add(&mut self, path: &str, text: &str) {
        self.read(path, text, 0);
    }

    /// The locale that the last `#pragma locale` named.
    pub fn locale(&self) -> Option<&str> {
        self.locale.as_deref()
    }

    /// The namespace that the last `#pragma namespace` named.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Links all texts.
    ///
    /// # Errors
    /// Every error found, in the order of the checks, at most [`limits::ERRORS`]. Links only when all
    /// texts could be read: half a text would make good declarations look bad.
    pub fn finish(self) -> Result<Schema, Vec<MofError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let (schema, faults) = link::link(&self.declarations);
        if faults.is_empty() {
            return Ok(schema);
        }
        Err(faults
            .into_iter()
            .map(|fault| fault.locate(&self.sources))
            .collect())
    }

    fn read(&mut self, path: &str, text: &str, depth: usize) {
        let Some(file) = self.sources.add(path, text) else {
            // The text is not in the map, so its error cannot show a line of it.
            let mut full = SourceMap::new();
            let file = full.add(path, "").unwrap_or_default();
            let fault = Fault::new(
                crate::source::Position::start(file),
                Rule::Limit,
                "too many or too large texts",
                format!(
                    "at most {} texts and {} bytes in all",
                    limits::FILES,
                    limits::TOTAL_BYTES
                ),
            );
            self.report(fault.locate(&full));
            return;
        };
        let mut parser = match Parser::new(file, text) {
            Ok(parser) => parser,
            Err(fault) => return self.report(fault.locate(&self.sources)),
        };
        loop {
            match parser.next_item() {
                Ok(None) => return,
                Ok(Some(Item::Pragma(pragma))) => self.pragma(path, &pragma, depth),
                Ok(Some(Item::Qualifier(item))) => self.declarations.qualifiers.push(item),
                Ok(Some(Item::Class(item))) => self.declarations.classes.push(item),
                Ok(Some(Item::Instance(item))) => self.declarations.instances.push(item),
                // What follows a syntax error is guesswork; the rest of this text is not read.
                Err(fault) => return self.report(fault.locate(&self.sources)),
            }
            if self.errors.len() >= limits::ERRORS {
                return;
            }
        }
    }

    fn pragma(&mut self, path: &str, pragma: &Pragma, depth: usize) {
        let is = |name: &str| pragma.name.text.eq_ignore_ascii_case(name);
        let parameter = pragma.parameters.first();
        if is("include") {
            let Some(name) = parameter else {
                return self.missing_parameter(pragma);
            };
            let refused = if depth >= limits::INCLUDE_DEPTH {
                Err(format!("more than {} levels", limits::INCLUDE_DEPTH))
            } else {
                self.include.read(path, &name.text)
            };
            match refused {
                Ok(found) => self.read(&found.path, &found.text, depth.saturating_add(1)),
                Err(reason) => {
                    let fault = Fault::new(
                        name.at,
                        Rule::Include,
                        format!("an include that cannot be read: {reason}"),
                        "the path of a text",
                    );
                    self.report(fault.locate(&self.sources));
                }
            }
        } else if is("locale") {
            match parameter {
                Some(locale) => self.locale = Some(locale.text.clone()),
                None => self.missing_parameter(pragma),
            }
        } else if is("namespace") {
            match parameter {
                Some(namespace) => self.namespace = Some(namespace.text.clone()),
                None => self.missing_parameter(pragma),
            }
        }
        // DSP0004 7.11: a compiler ignores the pragmas it does not know.
    }

    fn missing_parameter(&mut self, pragma: &Pragma) {
        let fault = Fault::new(
            pragma.name.at,
            Rule::Pragma,
            format!("`{}` without a parameter", pragma.name.text),
            "a string in parentheses",
        );
        self.report(fault.locate(&self.sources));
    }

    fn report(&mut self, error: MofError) {
        if self.errors.len() < limits::ERRORS {
            self.errors.push(error);
        }
    }
}

#[cfg(test)]
mod tests;
