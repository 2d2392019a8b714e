//! Resolving what a client's class inherits (DSP0004 5.1.2.3 for qualifiers), and checking it on the way.

use super::{Catalog, ClientClass};
use crate::fault::{error, invalid};
use crate::layout::Layout;
use crate::request::ClassView;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, CimType, ClassDecl, ClassName, MethodDecl, NamespaceName, PropertyDecl,
    Qualifier,
};

impl Catalog {
    /// The class with everything it inherits.
    ///
    /// # Errors
    /// INVALID_SUPERCLASS, or INVALID_PARAMETER for a declaration that breaks a rule.
    pub(super) fn inherited(
        &mut self,
        namespace: &NamespaceName,
        local: ClassDecl,
    ) -> Result<ClientClass, CimError> {
        let mut lineage = Vec::from([local.name.clone()]);
        let mut full = ClassDecl {
            path: None,
            ..local
        };
        if !full.name.is_identifier() {
            return Err(invalid(format_args!(
                "\"{}\" is not a class name.",
                full.name
            )));
        }
        self.settle_qualifiers(namespace, &mut full)?;
        let parent = match &full.superclass {
            None => None,
            Some(superclass) => {
                let no_superclass = || {
                    error(
                        CimStatus::InvalidSuperclass,
                        format_args!("There is no superclass {superclass} in this namespace."),
                    )
                };
                let layout = self
                    .layout(namespace, superclass)
                    .ok_or_else(no_superclass)?;
                if layout.lineage.contains(&full.name) {
                    return Err(no_superclass());
                }
                lineage.extend(layout.lineage.iter().cloned());
                self.declaration(namespace, superclass, &ClassView::FULL)
            }
        };
        let name = full.name.clone();
        let own_properties = core::mem::take(&mut full.properties);
        let own_methods = core::mem::take(&mut full.methods);
        if let Some(parent) = parent {
            // The parent's spelling of its own name wins.
            full.superclass = Some(parent.name.clone());
            inherit_qualifiers(&mut full.qualifiers, &parent.qualifiers);
            full.properties = parent.properties;
            full.methods = parent.methods;
            full.properties.iter_mut().for_each(|property| {
                property.propagated = true;
                pass_down(&mut property.qualifiers);
            });
            full.methods.iter_mut().for_each(|method| {
                method.propagated = true;
                pass_down(&mut method.qualifiers);
            });
        }
        for property in own_properties {
            merge_property(&mut full, property, &name)?;
        }
        for method in own_methods {
            merge_method(&mut full, method, &name)?;
        }
        if full.is_association()
            && full
                .properties
                .iter()
                .filter(|p| p.ty.ty == CimType::Reference)
                .count()
                < 2
        {
            return Err(invalid(format_args!(
                "The association {name} has less than two references."
            )));
        }
        for property in &full.properties {
            if let Some(target) = &property.reference_class
                && *target != name
                && self.layout(namespace, target).is_none()
            {
                return Err(invalid(format_args!(
                    "The reference {} refers to {target}, which is no class in this namespace.",
                    property.name
                )));
            }
        }
        let layout = Rc::new(Layout::of_declaration(&full, lineage));
        Ok(ClientClass {
            full: Rc::new(full),
            layout,
        })
    }
}

/// Qualifiers of the parent that reach a subclass which does not state them itself.
fn inherit_qualifiers(own: &mut Vec<Qualifier>, parent: &[Qualifier]) {
    for qualifier in parent {
        if qualifier.flavors.to_subclass && !own.iter().any(|known| known.name == qualifier.name) {
            own.push(Qualifier {
                propagated: true,
                ..qualifier.clone()
            });
        }
    }
}

fn pass_down(qualifiers: &mut Vec<Qualifier>) {
    qualifiers.retain(|qualifier| qualifier.flavors.to_subclass);
    qualifiers
        .iter_mut()
        .for_each(|qualifier| qualifier.propagated = true);
}

fn merge_property(
    class: &mut ClassDecl,
    mut own: PropertyDecl,
    name: &ClassName,
) -> Result<(), CimError> {
    own.propagated = false;
    own.default = own.default.coerce(own.ty).map_err(|fault| {
        invalid(format_args!(
            "The default of property {}: {fault}.",
            own.name
        ))
    })?;
    let Some(slot) = class
        .properties
        .iter_mut()
        .find(|known| known.name == own.name)
    else {
        own.class_origin = Some(name.clone());
        class.properties.push(own);
        return Ok(());
    };
    if !slot.propagated {
        return Err(invalid(format_args!(
            "The property {} is declared twice.",
            own.name
        )));
    }
    if slot.ty != own.ty {
        return Err(invalid(format_args!(
            "The property {} of type {} overrides one of type {}.",
            own.name, own.ty, slot.ty
        )));
    }
    check_overrides(&own.qualifiers, &slot.qualifiers, own.name.as_str())?;
    inherit_qualifiers(&mut own.qualifiers, &slot.qualifiers);
    own.class_origin = slot.class_origin.clone();
    if own.default.is_null() {
        own.default = slot.default.clone();
    }
    *slot = own;
    Ok(())
}

fn merge_method(
    class: &mut ClassDecl,
    mut own: MethodDecl,
    name: &ClassName,
) -> Result<(), CimError> {
    own.propagated = false;
    let Some(slot) = class
        .methods
        .iter_mut()
        .find(|known| known.name == own.name)
    else {
        own.class_origin = Some(name.clone());
        class.methods.push(own);
        return Ok(());
    };
    if !slot.propagated {
        return Err(invalid(format_args!(
            "The method {} is declared twice.",
            own.name
        )));
    }
    if slot.return_type != own.return_type {
        return Err(invalid(format_args!(
            "The method {} changes its return type.",
            own.name
        )));
    }
    check_overrides(&own.qualifiers, &slot.qualifiers, own.name.as_str())?;
    inherit_qualifiers(&mut own.qualifiers, &slot.qualifiers);
    own.class_origin = slot.class_origin.clone();
    *slot = own;
    Ok(())
}

/// A qualifier that cannot be overridden keeps its value.
fn check_overrides(
    own: &[Qualifier],
    inherited: &[Qualifier],
    element: &str,
) -> Result<(), CimError> {
    for qualifier in own {
        let clash = inherited.iter().find(|known| {
            known.name == qualifier.name
                && !known.flavors.overridable
                && known.value != qualifier.value
        });
        if clash.is_some() {
            return Err(invalid(format_args!(
                "The qualifier {} of {element} cannot be overridden.",
                qualifier.name
            )));
        }
    }
    Ok(())
}
