//! Symbolic constants: `Class.Property#'Text'` stands for the value that the ValueMap gives the text.

use crate::ast::PropertyPath;
use crate::oracle::ClassOracle;
use cim_model::{ClassName, Scalar};

/// The class and the property that a symbolic constant speaks of: `Class.Property`, `Class::Property`, or a
/// property of the FROM class.
pub(crate) fn subject<'a>(
    path: &'a PropertyPath,
    from: &'a str,
    alias: &str,
) -> Option<(&'a str, &'a str)> {
    match path.segments.as_slice() {
        [only] => Some((
            only.scope.as_ref().map_or(from, ClassName::as_str),
            only.name.as_str(),
        )),
        [first, last] => {
            let class = match &last.scope {
                Some(scope) => scope.as_str(),
                None if !alias.is_empty() && first.name == *alias => from,
                None => first.name.as_str(),
            };
            Some((class, last.name.as_str()))
        }
        _ => None,
    }
}

/// The value, if class, property and text exist.
pub(crate) fn value(
    path: &PropertyPath,
    text: &str,
    from: &str,
    alias: &str,
    oracle: &dyn ClassOracle,
) -> Option<Scalar> {
    let (class, property) = subject(path, from, alias)?;
    oracle.mapped_value(class, property, text)
}
