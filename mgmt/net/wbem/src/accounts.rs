//! Accounts in the keeper: one blob each, named by the account.

use alloc::format;
use alloc::vec::Vec;

use cim_model::Text;
use cim_ops::Role;
use cim_server::{Account, AccountError, AccountStore, PasswordHash};

use crate::Keeper;

const PREFIX: &str = "account/";

/// The accounts.
pub struct KeptAccounts(pub Keeper);

impl AccountStore for KeptAccounts {
    fn load(&self) -> Result<Vec<Account>, AccountError> {
        let entries = self.0.entries(PREFIX).into_iter();
        entries
            .map(|(name, value)| {
                let name = name.strip_prefix(PREFIX).unwrap_or_default();
                decode(name, &value).ok_or(AccountError::Store)
            })
            .collect()
    }

    fn save(&mut self, account: &Account) -> Result<(), AccountError> {
        let name = format!("{PREFIX}{}", account.name);
        let saved = self.0.put(&name, encode(account));
        saved.map_err(|_| AccountError::Store)
    }

    fn remove(&mut self, name: &str) -> Result<(), AccountError> {
        self.0.remove(&format!("{PREFIX}{name}"));
        Ok(())
    }
}

/// Memory, passes, salt, hash, name of the role.
fn encode(account: &Account) -> Vec<u8> {
    let password = &account.password;
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&password.memory.to_le_bytes());
    bytes.extend_from_slice(&password.passes.to_le_bytes());
    bytes.extend_from_slice(&password.salt);
    bytes.extend_from_slice(&password.hash);
    bytes.extend_from_slice(account.role.name().as_bytes());
    bytes
}

fn decode(name: &str, bytes: &[u8]) -> Option<Account> {
    let (memory, bytes) = bytes.split_first_chunk()?;
    let (passes, bytes) = bytes.split_first_chunk()?;
    let (salt, bytes) = bytes.split_first_chunk()?;
    let (hash, role) = bytes.split_first_chunk()?;
    Some(Account {
        name: Text::copy(name),
        role: Role::from_name(core::str::from_utf8(role).ok()?)?,
        password: PasswordHash {
            memory: u32::from_le_bytes(*memory),
            passes: u32::from_le_bytes(*passes),
            salt: *salt,
            hash: *hash,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &'static str, role: Role) -> Account {
        Account {
            name: name.into(),
            role,
            password: PasswordHash {
                memory: 7168,
                passes: 5,
                salt: [1; 16],
                hash: [2; 32],
            },
        }
    }

    #[test]
    fn accounts_are_kept_and_replaced() {
        let keeper = Keeper::in_memory();
        let mut accounts = KeptAccounts(keeper.clone());
        accounts.save(&account("anna", Role::ReadOnly)).unwrap();
        accounts.save(&account("bert", Role::Operator)).unwrap();
        accounts
            .save(&account("anna", Role::Administrator))
            .unwrap();
        accounts.remove("nobody").unwrap();
        let kept = KeptAccounts(keeper.clone()).load().unwrap();
        let expected = [
            account("anna", Role::Administrator),
            account("bert", Role::Operator),
        ];
        assert_eq!(kept, expected);
        accounts.remove("anna").unwrap();
        assert_eq!(accounts.load().unwrap().len(), 1);
        keeper.put("account/x", vec![1, 2, 3]).unwrap();
        assert_eq!(accounts.load(), Err(AccountError::Store));
    }
}
