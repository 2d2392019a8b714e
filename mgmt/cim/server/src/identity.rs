//! Accounts and roles as CIM instances in the Interop namespace, after the profiles Simple Identity Management
//! (DSP1034) and Role Based Authorization (DSP1039), cut to what this server has: accounts with a name, a password
//! and exactly one of three roles.
//!
//! An administrator creates and deletes instances of CIM_Account, and gives an account a role by creating a
//! CIM_MemberOfCollection between the CIM_Role and the account, which takes the place of the former one. Everybody
//! who may modify anything may change the own password.

mod accounts;
mod membership;
mod roles;

use crate::account::AccountError;
use crate::authenticator::Accounts;
use alloc::format;
use alloc::rc::Rc;
use cim_model::{CimError, CimStatus, InstancePath, NamespaceName, Text};
use cim_ops::interop::Identity;
use cim_ops::{Builder, Context, Role};

const ACCOUNT: &str = "CIM_Account";
const ROLE: &str = "CIM_Role";
const SYSTEM_CLASS: &str = "CIM_ComputerSystem";

/// What the three providers share.
struct Shared {
    accounts: Accounts,
    system: Text,
    interop: NamespaceName,
}

/// Shows the accounts of a server as instances.
#[must_use]
pub fn install_accounts(builder: Builder, identity: &Identity, accounts: &Accounts) -> Builder {
    let interop = builder.settings().interop();
    let shared = Rc::new(Shared {
        accounts: accounts.clone(),
        system: identity.system.clone(),
        interop: interop.clone(),
    });
    builder
        .provider(
            interop.clone(),
            ACCOUNT,
            Rc::new(accounts::AccountProvider(Rc::clone(&shared))),
        )
        .provider(interop.clone(), ROLE, Rc::new(roles::RoleProvider))
        .provider(
            interop,
            "CIM_MemberOfCollection",
            Rc::new(membership::MembershipProvider(shared)),
        )
}

impl Shared {
    fn account_path(&self, name: &Text) -> InstancePath {
        InstancePath::new(ACCOUNT)
            .with_namespace(self.interop.clone())
            .with_key("SystemCreationClassName", SYSTEM_CLASS)
            .with_key("SystemName", self.system.clone())
            .with_key("CreationClassName", ACCOUNT)
            .with_key("Name", name.clone())
    }
}

fn role_path(role: Role) -> InstancePath {
    InstancePath::new(ROLE)
        .with_key("CreationClassName", ROLE)
        .with_key("Name", role.name())
}

fn name_in(path: &InstancePath) -> &str {
    path.key("Name")
        .and_then(|key| key.as_str())
        .unwrap_or_default()
}

fn only_administrators(context: &Context<'_>) -> Result<(), CimError> {
    if context.caller.role == Role::Administrator {
        return Ok(());
    }
    Err(CimError::new(
        CimStatus::AccessDenied,
        "Only an administrator manages accounts.",
    ))
}

fn refused(error: AccountError) -> CimError {
    let status = match error {
        AccountError::Name | AccountError::Password => CimStatus::InvalidParameter,
        AccountError::Unknown => CimStatus::NotFound,
        AccountError::LastAdministrator => CimStatus::NotSupported,
        AccountError::TooMany => CimStatus::ServerLimitsExceeded,
        AccountError::Store => CimStatus::Failed,
    };
    CimError::new(status, format!("The account is refused: {error}."))
}
