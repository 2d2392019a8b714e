//! CIM_Role: the three roles.

use super::ROLE;
use alloc::boxed::Box;
use cim_model::{CimError, Instance};
use cim_ops::{Context, Provider, Role, Stream};

pub(super) struct RoleProvider;

/// RoleCharacteristics: static.
const STATIC: u16 = 2;

impl Provider for RoleProvider {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let roles = [
            (Role::ReadOnly, "Reads everything and changes nothing."),
            (
                Role::Operator,
                "Also creates, modifies and deletes instances and invokes methods.",
            ),
            (
                Role::Administrator,
                "Also changes classes, qualifiers, namespaces and accounts.",
            ),
        ];
        Ok(Box::new(roles.into_iter().map(|(role, description)| {
            Ok(Instance::new(ROLE)
                .with("InstanceID", alloc::format!("BH:role:{}", role.name()))
                .with("ElementName", role.name())
                .with("Description", description)
                .with("CreationClassName", ROLE)
                .with("Name", role.name())
                .with("CommonName", role.name())
                .with("RoleCharacteristics", alloc::vec![STATIC]))
        })))
    }
}
