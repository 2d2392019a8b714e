//! What is wrong with a MOF text: place, what was found, what was expected.
//!
//! A [`Fault`] is made where the problem is seen and knows only a position; the compiler turns it
//! into a [`MofError`], which owns everything needed to print it with the line and a caret.

use alloc::string::String;
use core::fmt;

use crate::source::{Position, SourceMap};

/// The kind of rule a text broke; lets tests and callers tell errors apart without reading prose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A character, string, number or comment that is no token.
    Lexical,
    /// Tokens in an order that the grammar does not have.
    Syntax,
    /// One of the bounds of [`crate::limits`].
    Limit,
    /// An include that cannot be read.
    Include,
    /// A pragma with a wrong parameter.
    Pragma,
    /// A class that is used but declared nowhere.
    UnknownClass,
    /// A qualifier that is used but declared nowhere.
    UnknownQualifier,
    /// A qualifier on a kind of element that its declaration does not allow.
    QualifierScope,
    /// Flavors that contradict each other.
    Flavor,
    /// A value outside the type it is given to.
    ValueType,
    /// A qualifier changed in a subclass although it is declared `DisableOverride`.
    QualifierOverride,
    /// A name declared twice where it must be unique.
    Duplicate,
    /// An `Override` that names nothing to override, or something of another shape.
    OverrideMismatch,
    /// A feature that hides an inherited one without `Override`.
    MissingOverride,
    /// A key added below a class that already has keys, or a key of an impossible type.
    Key,
    /// A class that is its own ancestor.
    CyclicInheritance,
    /// A subclass of a class declared `Terminal`, or of another kind (association, indication).
    Superclass,
    /// Parallel qualifier arrays (`ValueMap`/`Values`, `BitMap`/`BitValues`) of unequal length.
    ValueMap,
    /// A reference outside an association, or an association with too few references.
    Association,
    /// `EmbeddedInstance` or `EmbeddedObject` on something that cannot carry one.
    Embedded,
    /// An instance of a class that cannot have any, or without its keys.
    Instance,
    /// An alias that is not declared or not usable here.
    Alias,
}

/// A broken rule at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: Position,
    /// Which rule.
    pub rule: Rule,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

impl Fault {
    /// A fault; `found` and `expected` complete the sentence "found …, expected …".
    pub fn new(
        at: Position,
        rule: Rule,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            at,
            rule,
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// Adds the names and the text that printing needs.
    #[must_use]
    pub fn locate(self, sources: &SourceMap) -> MofError {
        MofError {
            file: sources.path(self.at.file).into(),
            line: self.at.line,
            column: self.at.column,
            excerpt: clip(sources.line(self.at.file, self.at.line), self.at.column),
            rule: self.rule,
            found: self.found,
            expected: self.expected,
        }
    }
}

/// The window of a line that an error shows, and where in it the caret stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    caret: usize,
}

/// Characters of a line shown around the caret; generated MOF can have lines of kilobytes.
const WINDOW: usize = 120;

fn clip(line: &str, column: u32) -> Excerpt {
    let at = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
    let skip = if at >= WINDOW { at - WINDOW / 2 } else { 0 };
    // A tab would put the caret elsewhere on each terminal.
    let text = line
        .chars()
        .skip(skip)
        .take(WINDOW)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    Excerpt {
        text,
        caret: at.saturating_sub(skip),
    }
}

/// An error of a MOF text, complete with the line it stands on.
///
/// ```text
/// core.mof:3:15: found `;`, expected the name of a property
///    3 |    uint16 ;
///      |           ^
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MofError {
    /// The path of the text.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// Which rule was broken.
    pub rule: Rule,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
    excerpt: Excerpt,
}

impl fmt::Display for MofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}:{}:{}: found {}, expected {}",
            self.file, self.line, self.column, self.found, self.expected
        )?;
        writeln!(f, "{:>5} | {}", self.line, self.excerpt.text)?;
        write!(
            f,
            "{:>5} | {:>caret$}",
            "",
            "^",
            caret = self.excerpt.caret.saturating_add(1)
        )
    }
}

impl core::error::Error for MofError {}
