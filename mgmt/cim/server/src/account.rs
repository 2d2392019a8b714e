//! [`Account`]: who may use the server, and the port through which accounts are kept.

use crate::password::PasswordHash;
use alloc::vec::Vec;
use cim_model::Text;
use cim_ops::Role;
use core::fmt;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name, case-sensitive.
    pub name: Text,
    /// The rights.
    pub role: Role,
    /// The password.
    pub password: PasswordHash,
}

/// An account could not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountError {
    /// The name is empty, too long, or has a colon or a control character in it.
    Name,
    /// The password is empty or too long.
    Password,
    /// There is no such account.
    Unknown,
    /// It is the last administrator.
    LastAdministrator,
    /// There are too many accounts.
    TooMany,
    /// The store failed.
    Store,
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AccountError::Name => {
                "an account name has 1 to 64 characters, without colons and control characters"
            }
            AccountError::Password => "a password has 1 to 1024 bytes",
            AccountError::Unknown => "there is no such account",
            AccountError::LastAdministrator => "the last administrator cannot be removed",
            AccountError::TooMany => "there are too many accounts",
            AccountError::Store => "the accounts could not be saved",
        })
    }
}

impl core::error::Error for AccountError {}

/// Keeps accounts. When a call returns, the change is safe against a power cut.
pub trait AccountStore {
    /// Every account.
    ///
    /// # Errors
    /// [`AccountError::Store`].
    fn load(&self) -> Result<Vec<Account>, AccountError>;

    /// Writes an account in place of one with the same name.
    ///
    /// # Errors
    /// [`AccountError::Store`]; nothing has changed.
    fn save(&mut self, account: &Account) -> Result<(), AccountError>;

    /// Removes an account; one that is not there counts as removed.
    ///
    /// # Errors
    /// [`AccountError::Store`]; nothing has changed.
    fn remove(&mut self, name: &str) -> Result<(), AccountError>;
}

/// Accounts in memory, for the simulator and tests.
#[derive(Debug, Default)]
pub struct MemoryAccounts(Vec<Account>);

impl AccountStore for MemoryAccounts {
    fn load(&self) -> Result<Vec<Account>, AccountError> {
        Ok(self.0.clone())
    }

    fn save(&mut self, account: &Account) -> Result<(), AccountError> {
        self.0.retain(|known| known.name != account.name);
        self.0.push(account.clone());
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), AccountError> {
        self.0.retain(|known| known.name.as_str() != name);
        Ok(())
    }
}
