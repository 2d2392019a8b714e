//! QUALIFIER and QUALIFIER.DECLARATION.

use super::{Written, array_size, attribute, raw};
use crate::sink::Sink;
use cim_model::{Flavors, Qualifier, QualifierDecl, Scopes};

/// The QUALIFIER elements of a list.
pub(super) fn qualifiers<S: Sink>(out: &mut S, qualifiers: &[Qualifier]) -> Written {
    for qualifier in qualifiers {
        attribute(out, "<QUALIFIER NAME=\"", qualifier.name.as_str())?;
        attribute(out, " TYPE=\"", qualifier.value.cim_type().name())?;
        if qualifier.propagated {
            raw(out, " PROPAGATED=\"true\"")?;
        }
        flavors(out, qualifier.flavors)?;
        raw(out, ">")?;
        super::value::value(out, &qualifier.value)?;
        raw(out, "</QUALIFIER>")?;
    }
    Ok(())
}

/// The flavors that differ from the defaults of the DTD.
fn flavors<S: Sink>(out: &mut S, flavors: Flavors) -> Written {
    if !flavors.overridable {
        raw(out, " OVERRIDABLE=\"false\"")?;
    }
    if !flavors.to_subclass {
        raw(out, " TOSUBCLASS=\"false\"")?;
    }
    if flavors.to_instance {
        raw(out, " TOINSTANCE=\"true\"")?;
    }
    if flavors.translatable {
        raw(out, " TRANSLATABLE=\"true\"")?;
    }
    Ok(())
}

/// QUALIFIER.DECLARATION.
pub(super) fn declaration<S: Sink>(out: &mut S, decl: &QualifierDecl) -> Written {
    attribute(out, "<QUALIFIER.DECLARATION NAME=\"", decl.name.as_str())?;
    attribute(out, " TYPE=\"", decl.ty.ty.name())?;
    raw(
        out,
        if decl.ty.is_array() {
            " ISARRAY=\"true\""
        } else {
            " ISARRAY=\"false\""
        },
    )?;
    array_size(out, decl.array_size)?;
    flavors(out, decl.flavors)?;
    raw(out, "><SCOPE")?;
    for (scope, name) in Scopes::NAMED {
        if decl.scopes.contains(scope) {
            raw(out, " ")?;
            raw(out, name)?;
            raw(out, "=\"true\"")?;
        }
    }
    raw(out, "/>")?;
    super::value::value(out, &decl.value)?;
    raw(out, "</QUALIFIER.DECLARATION>")
}
