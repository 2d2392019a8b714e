//! [`Accounts`]: checks credentials and manages accounts.

use crate::account::{Account, AccountError, AccountStore};
use crate::guard::Guard;
use crate::password::{HASH, PasswordHash, SALT, remember};
use crate::settings::ServerSettings;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use cim_http::Credentials;
use cim_model::Text;
use cim_ops::Role;
use core::cell::RefCell;
use core::time::Duration;
use subtle::ConstantTimeEq;

const MAX_ACCOUNTS: usize = 256;
const MAX_NAME: usize = 64;
/// Letters and digits that cannot be taken for each other on a console.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const FIRST_NAME: &str = "admin";

/// Whether credentials are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// They are, with these rights.
    Granted(Role),
    /// They are not.
    Denied,
    /// The peer has to wait that long before it may try again.
    Wait(Duration),
}

/// The administrator that the first start makes.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstAccount {
    /// The name.
    pub name: Text,
    /// The password, to be shown once.
    pub password: String,
}

/// The accounts of a server; clones share them.
#[derive(Clone)]
pub struct Accounts(Rc<RefCell<Inner>>);

struct Inner {
    accounts: Vec<Account>,
    store: Box<dyn AccountStore>,
    guard: Guard,
    /// Verified passwords, as keyed digests: the memory-hard hash is too slow for each request.
    verified: Vec<Verified>,
    key: [u8; HASH],
    dummy_salt: [u8; SALT],
    /// Salts made from the key so far.
    salts: u64,
}

struct Verified {
    name: Text,
    digest: [u8; HASH],
    until: Duration,
}

impl Accounts {
    /// Opens the accounts. When there are none, makes an administrator named `admin` with the given password or
    /// a random one.
    ///
    /// `entropy` fills a buffer with random bytes of cryptographic quality.
    ///
    /// # Errors
    /// [`AccountError::Store`], or a bad given password.
    pub fn open(
        store: Box<dyn AccountStore>,
        given_password: Option<&str>,
        entropy: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(Self, Option<FirstAccount>), AccountError> {
        let mut key = [0; HASH];
        entropy(&mut key);
        let mut dummy_salt = [0; SALT];
        entropy(&mut dummy_salt);
        let accounts = store.load()?;
        let is_first = accounts.is_empty();
        let mut opened = Accounts(Rc::new(RefCell::new(Inner {
            accounts,
            store,
            guard: Guard::default(),
            verified: Vec::new(),
            key,
            dummy_salt,
            salts: 0,
        })));
        if !is_first {
            return Ok((opened, None));
        }
        let password = match given_password {
            Some(password) => String::from(password),
            None => random_password(entropy),
        };
        let name = Text::from_static(FIRST_NAME);
        opened.set(name.clone(), Role::Administrator, &password, entropy)?;
        Ok((opened, Some(FirstAccount { name, password })))
    }

    /// Makes an account, or gives an existing one another role and password.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed.
    pub fn set(
        &mut self,
        name: Text,
        role: Role,
        password: &str,
        entropy: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), AccountError> {
        let mut salt = [0; SALT];
        entropy(&mut salt);
        self.0.borrow_mut().set(name, role, password, salt)
    }

    /// The same without a source of random bytes: the salt, which has to be unique but not secret, comes from the
    /// key of this start and a counter.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed.
    pub(crate) fn set_password(
        &self,
        name: Text,
        role: Role,
        password: &str,
    ) -> Result<(), AccountError> {
        let mut inner = self.0.borrow_mut();
        inner.salts = inner.salts.wrapping_add(1);
        let digest = remember(
            "salt",
            &alloc::format!("{}:{name}", inner.salts),
            &inner.key,
        );
        let salt = digest.first_chunk().copied().unwrap_or_default();
        inner.set(name, role, password, salt)
    }

    /// Gives an account another role.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed.
    pub fn set_role(&mut self, name: &str, role: Role) -> Result<(), AccountError> {
        self.0.borrow_mut().set_role(name, role)
    }

    /// Removes an account.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed.
    pub fn remove(&mut self, name: &str) -> Result<(), AccountError> {
        let mut inner = self.0.borrow_mut();
        inner.find(name).ok_or(AccountError::Unknown)?;
        inner.check_not_last(name)?;
        inner.store.remove(name)?;
        inner.forget(name);
        Ok(())
    }

    /// The names and roles of all accounts.
    pub fn list(&self) -> Vec<(Text, Role)> {
        let inner = self.0.borrow();
        inner
            .accounts
            .iter()
            .map(|account| (account.name.clone(), account.role))
            .collect()
    }

    /// The role of an account.
    pub fn role(&self, name: &str) -> Option<Role> {
        self.0.borrow().find(name).map(|account| account.role)
    }

    /// Checks the credentials that a peer sent.
    pub fn check(
        &mut self,
        settings: &ServerSettings,
        peer: &Text,
        credentials: &Credentials,
        now: Duration,
    ) -> Access {
        self.0.borrow_mut().check(settings, peer, credentials, now)
    }
}

impl Inner {
    fn set(
        &mut self,
        name: Text,
        role: Role,
        password: &str,
        salt: [u8; SALT],
    ) -> Result<(), AccountError> {
        let count = name.chars().count();
        if count == 0 || count > MAX_NAME || name.chars().any(|c| c == ':' || c.is_control()) {
            return Err(AccountError::Name);
        }
        let known = self.find(&name).map(|account| account.role);
        if known.is_none() && self.accounts.len() >= MAX_ACCOUNTS {
            return Err(AccountError::TooMany);
        }
        if known == Some(Role::Administrator) && role != Role::Administrator {
            self.check_not_last(&name)?;
        }
        let password = PasswordHash::new(password, salt).ok_or(AccountError::Password)?;
        self.keep(Account {
            name,
            role,
            password,
        })
    }

    fn set_role(&mut self, name: &str, role: Role) -> Result<(), AccountError> {
        let account = self.find(name).ok_or(AccountError::Unknown)?.clone();
        if account.role == Role::Administrator && role != Role::Administrator {
            self.check_not_last(name)?;
        }
        self.keep(Account { role, ..account })
    }

    fn keep(&mut self, account: Account) -> Result<(), AccountError> {
        self.store.save(&account)?;
        self.forget(&account.name);
        self.accounts.push(account);
        Ok(())
    }

    fn check(
        &mut self,
        settings: &ServerSettings,
        peer: &Text,
        credentials: &Credentials,
        now: Duration,
    ) -> Access {
        let user = Text::copy(&credentials.user);
        let digest = remember(&credentials.password, &user, &self.key);
        if let Some(role) = self.is_remembered(&user, &digest, now) {
            return Access::Granted(role);
        }
        if let Some(wait) = self.guard.wait(peer, &user, now) {
            return Access::Wait(wait);
        }
        let role = match self.find(&user) {
            Some(account) => account
                .password
                .verify(&credentials.password)
                .then_some(account.role),
            None => {
                // An unknown name must take as long as a known one.
                PasswordHash::unmatchable(self.dummy_salt).verify(&credentials.password);
                None
            }
        };
        match role {
            None => {
                self.guard.failed(settings, peer, &user, now);
                Access::Denied
            }
            Some(role) => {
                self.guard.succeeded(peer, &user);
                self.verified.retain(|known| known.name != user);
                self.verified.push(Verified {
                    name: user,
                    digest,
                    until: now.saturating_add(settings.trust),
                });
                Access::Granted(role)
            }
        }
    }

    fn is_remembered(&self, user: &Text, digest: &[u8; HASH], now: Duration) -> Option<Role> {
        let known = self
            .verified
            .iter()
            .find(|known| known.name == *user && known.until > now)?;
        bool::from(known.digest.ct_eq(digest))
            .then(|| self.find(user).map(|account| account.role))
            .flatten()
    }

    fn find(&self, name: &str) -> Option<&Account> {
        self.accounts
            .iter()
            .find(|account| account.name.as_str() == name)
    }

    fn forget(&mut self, name: &str) {
        self.accounts.retain(|known| known.name.as_str() != name);
        self.verified.retain(|known| known.name.as_str() != name);
    }

    fn check_not_last(&self, name: &str) -> Result<(), AccountError> {
        let others = self
            .accounts
            .iter()
            .filter(|account| account.role == Role::Administrator && account.name.as_str() != name);
        if others.count() == 0
            && self
                .find(name)
                .is_some_and(|account| account.role == Role::Administrator)
        {
            return Err(AccountError::LastAdministrator);
        }
        Ok(())
    }
}

/// Four groups of five characters: 100 bits.
fn random_password(entropy: &mut dyn FnMut(&mut [u8])) -> String {
    let mut bytes = [0; 20];
    entropy(&mut bytes);
    let mut password = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            password.push('-');
        }
        // 32 characters: the low five bits choose without bias.
        let character = ALPHABET
            .get(usize::from(byte & 31))
            .copied()
            .unwrap_or(b'x');
        password.push(char::from(character));
    }
    password
}
