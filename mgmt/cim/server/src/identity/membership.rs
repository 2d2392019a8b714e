//! CIM_MemberOfCollection: which account has which role.

use super::{ACCOUNT, ROLE, Shared, name_in, only_administrators, refused, role_path};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{CimError, CimStatus, Instance, InstancePath, Value};
use cim_ops::{Context, Provider, Role, Stream};

const CLASS: &str = "CIM_MemberOfCollection";

pub(super) struct MembershipProvider(pub(super) Rc<Shared>);

impl Provider for MembershipProvider {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let shared = &self.0;
        let links: Vec<_> = shared
            .accounts
            .list()
            .iter()
            .map(|(name, role)| {
                Ok(Instance::new(CLASS)
                    .with(
                        "Collection",
                        role_path(*role).with_namespace(shared.interop.clone()),
                    )
                    .with("Member", shared.account_path(name)))
            })
            .collect();
        Ok(Box::new(links.into_iter()))
    }

    fn create(&self, context: &Context<'_>, instance: Instance) -> Result<InstancePath, CimError> {
        only_administrators(context)?;
        let end = |role: &str, class: &str| {
            let path = instance.get(role).and_then(Value::as_instance_path)?;
            (path.class == *class).then_some(path)
        };
        let (Some(collection), Some(member)) = (end("Collection", ROLE), end("Member", ACCOUNT))
        else {
            return Err(CimError::new(
                CimStatus::InvalidParameter,
                "A membership joins a CIM_Role and a CIM_Account.",
            ));
        };
        let role = Role::from_name(name_in(collection))
            .ok_or_else(|| CimError::new(CimStatus::InvalidParameter, "There is no such role."))?;
        self.0
            .accounts
            .clone()
            .set_role(name_in(member), role)
            .map_err(|error| match error {
                crate::AccountError::Unknown => {
                    CimError::new(CimStatus::InvalidParameter, "There is no such account.")
                }
                error => refused(error),
            })?;
        Ok(InstancePath::new(CLASS)
            .with_key("Collection", collection.clone())
            .with_key("Member", member.clone()))
    }

    fn delete(&self, context: &Context<'_>, _: &InstancePath) -> Result<(), CimError> {
        only_administrators(context)?;
        Err(CimError::new(
            CimStatus::NotSupported,
            "An account always has a role; give it another one by creating that membership.",
        ))
    }
}
