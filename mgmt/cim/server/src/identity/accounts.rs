//! CIM_Account: one instance per account. The password can be written and never read.

use super::{ACCOUNT, SYSTEM_CLASS, Shared, name_in, only_administrators, refused};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use cim_model::{CimError, CimStatus, Instance, InstancePath, Text, Value};
use cim_ops::{Context, Provider, Role, Stream};

pub(super) struct AccountProvider(pub(super) Rc<Shared>);

/// EnabledState: enabled.
const ENABLED: u16 = 2;
/// UserPasswordEncoding: UTF-8.
const UTF_8: u32 = 5;

fn invalid(text: &'static str) -> CimError {
    CimError::new(CimStatus::InvalidParameter, text)
}

impl AccountProvider {
    fn instance(&self, name: &Text) -> Instance {
        Instance::new(ACCOUNT)
            .with("ElementName", name.clone())
            .with("EnabledState", ENABLED)
            .with("SystemCreationClassName", SYSTEM_CLASS)
            .with("SystemName", self.0.system.clone())
            .with("CreationClassName", ACCOUNT)
            .with("Name", name.clone())
            .with("UserID", name.clone())
            .with("OrganizationName", Vec::from([self.0.system.clone()]))
            .with("UserPasswordEncoding", UTF_8)
    }
}

/// The password in UserPassword: one element, plain or as an octet string, which is `0x`, eight hexadecimal digits
/// for the length in bytes with these four included, and the bytes (DSP0004, qualifier OctetString).
fn password_in(instance: &Instance) -> Result<Option<String>, CimError> {
    let Some(items) = instance.get("UserPassword").and_then(Value::as_array) else {
        return Ok(None);
    };
    let [Some(item)] = items else {
        return Err(invalid("UserPassword must have exactly one element."));
    };
    let text = item.as_str().unwrap_or_default();
    let Some(digits) = text.strip_prefix("0x") else {
        return Ok(Some(String::from(text)));
    };
    octets(digits)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Some)
        .ok_or_else(|| invalid("UserPassword is not a valid octet string in UTF-8."))
}

fn octets(digits: &str) -> Option<Vec<u8>> {
    let (length, data) = digits.split_at_checked(8)?;
    let length = usize::try_from(u32::from_str_radix(length, 16).ok()?).ok()?;
    if data.len() % 2 != 0 || length != data.len() / 2 + 4 {
        return None;
    }
    let pairs = data.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

impl Provider for AccountProvider {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let instances: Vec<_> = self
            .0
            .accounts
            .list()
            .iter()
            .map(|(name, _)| Ok(self.instance(name)))
            .collect();
        Ok(Box::new(instances.into_iter()))
    }

    fn create(&self, context: &Context<'_>, instance: Instance) -> Result<InstancePath, CimError> {
        only_administrators(context)?;
        let text = |name: &str| instance.get(name).and_then(Value::as_str);
        let name = text("Name")
            .or(text("UserID"))
            .ok_or_else(|| invalid("An account needs a Name."))?;
        if text("UserID").is_some_and(|id| id != name) {
            return Err(invalid("UserID and Name of an account are the same."));
        }
        let name = Text::copy(name);
        if self.0.accounts.role(&name).is_some() {
            return Err(CimError::new(
                CimStatus::AlreadyExists,
                format!("The account {name} exists already."),
            ));
        }
        let password =
            password_in(&instance)?.ok_or_else(|| invalid("An account needs a UserPassword."))?;
        // Nobody gets more than reading by accident; the role is given afterwards.
        self.0
            .accounts
            .set_password(name.clone(), Role::ReadOnly, &password)
            .map_err(refused)?;
        Ok(self.0.account_path(&name))
    }

    fn modify(
        &self,
        context: &Context<'_>,
        path: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        let name = Text::copy(name_in(path));
        if context.caller.user != name {
            only_administrators(context)?;
        }
        let stranger = change
            .properties
            .iter()
            .find(|property| property.name != "UserPassword");
        if let Some(stranger) = stranger {
            return Err(CimError::new(
                CimStatus::NotSupported,
                format!("Only UserPassword can be modified, not {}.", stranger.name),
            ));
        }
        let password =
            password_in(&change)?.ok_or_else(|| invalid("The password cannot be removed."))?;
        let role = self
            .0
            .accounts
            .role(&name)
            .ok_or(crate::AccountError::Unknown)
            .map_err(refused)?;
        self.0
            .accounts
            .set_password(name, role, &password)
            .map_err(refused)
    }

    fn delete(&self, context: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        only_administrators(context)?;
        self.0
            .accounts
            .clone()
            .remove(name_in(path))
            .map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::octets;

    #[test]
    fn octet_strings_count_their_length() {
        assert_eq!(octets("00000006616b"), Some(b"ak".to_vec()));
        assert_eq!(octets("00000004"), Some(vec![]));
        assert_eq!(octets("0000000561"), Some(b"a".to_vec()));
        for bad in ["", "0000000", "00000006616", "0000000661zz", "ffffffff61"] {
            assert_eq!(octets(bad), None, "{bad}");
        }
    }
}
