//! [`PasswordHash`]: a password as Argon2id keeps it.

use argon2::{Algorithm, Argon2, Params, Version};
use blake2::{Blake2b256, Digest};
use subtle::ConstantTimeEq;

/// Memory in KiB, passes and lanes: 7 MiB and 5 passes are as costly to an attacker as the 19 MiB and 2 passes
/// that are customary on larger machines (OWASP), and fit the partition's memory.
const MEMORY: u32 = 7_168;
const PASSES: u32 = 5;
const LANES: u32 = 1;
/// Bytes of salt and of hash.
pub(crate) const SALT: usize = 16;
pub(crate) const HASH: usize = 32;
/// The longest password; hashing must not become a way to burn time.
const MAX_PASSWORD: usize = 1_024;

/// A salted, memory-hard hash. It knows its parameters, so that they can be raised later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordHash {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes.
    pub passes: u32,
    /// The salt.
    pub salt: [u8; SALT],
    /// The hash.
    pub hash: [u8; HASH],
}

impl PasswordHash {
    /// Hashes a password with a fresh random salt; `None` for an empty or overlong password.
    pub fn new(password: &str, salt: [u8; SALT]) -> Option<Self> {
        if password.is_empty() || password.len() > MAX_PASSWORD {
            return None;
        }
        let hash = derive(password.as_bytes(), &salt, MEMORY, PASSES)?;
        Some(PasswordHash {
            memory: MEMORY,
            passes: PASSES,
            salt,
            hash,
        })
    }

    /// A hash that no password has; checking against it takes as long as against a real one.
    pub(crate) const fn unmatchable(salt: [u8; SALT]) -> Self {
        PasswordHash {
            memory: MEMORY,
            passes: PASSES,
            salt,
            hash: [0; HASH],
        }
    }

    /// Whether this is the password; takes the same time whatever the answer.
    pub fn verify(&self, password: &str) -> bool {
        if password.len() > MAX_PASSWORD {
            return false;
        }
        match derive(password.as_bytes(), &self.salt, self.memory, self.passes) {
            Some(hash) => hash.ct_eq(&self.hash).into(),
            None => false,
        }
    }
}

/// A cheap keyed digest for remembering a verified password: the key is drawn at each start and never stored.
pub(crate) fn remember(password: &str, user: &str, key: &[u8; HASH]) -> [u8; HASH] {
    // The length keeps "ab" + "c" apart from "a" + "bc".
    let length = (user.len() as u64).to_le_bytes();
    let digest = Blake2b256::new()
        .chain_update(key)
        .chain_update(length)
        .chain_update(user)
        .chain_update(password);
    digest.finalize().into()
}

fn derive(password: &[u8], salt: &[u8], memory: u32, passes: u32) -> Option<[u8; HASH]> {
    let params = Params::new(memory, passes, LANES, Some(HASH)).ok()?;
    let mut hash = [0; HASH];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, salt, &mut hash)
        .ok()
        .map(|()| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_matches() {
        let hash = PasswordHash::new("correct horse", [7; SALT]).unwrap();
        assert!(hash.verify("correct horse"));
        assert!(!hash.verify("correct horses"));
        assert!(!hash.verify(""));
        assert_ne!(
            hash.hash,
            PasswordHash::new("correct horse", [8; SALT]).unwrap().hash
        );
        assert_eq!(PasswordHash::new("", [7; SALT]), None);
        assert_eq!(PasswordHash::new(&"x".repeat(2_000), [7; SALT]), None);
        assert!(!PasswordHash::unmatchable([1; SALT]).verify("x"));
    }

    #[test]
    fn remembered_digests_depend_on_user_and_key() {
        let key = [1; HASH];
        let digest = remember("secret", "anna", &key);
        assert_ne!(remember("c", "ab", &key), remember("bc", "a", &key));
        assert_ne!(digest, remember("secret", "bert", &key));
        assert_ne!(digest, remember("secret", "anna", &[2; HASH]));
        assert_ne!(digest, remember("Secret", "anna", &key));
    }
}
