//! Basic authentication (RFC 7617): the only scheme that CIM clients have in common.

use crate::base64;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A user name and a password. Debug output hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name; it cannot contain a colon.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads the value of an Authorization field; `None` when it is of another scheme or malformed.
    pub fn from_authorization(value: &str) -> Option<Self> {
        let (scheme, encoded) = value.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Basic") {
            return None;
        }
        let text = String::from_utf8(base64::decode(encoded.trim())?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Credentials {
            user: user.into(),
            password: password.into(),
        })
    }

    /// The value of an Authorization field.
    pub fn to_authorization(&self) -> String {
        let mut plain = Vec::new();
        plain.extend_from_slice(self.user.as_bytes());
        plain.push(b':');
        plain.extend_from_slice(self.password.as_bytes());
        let mut text = String::from("Basic ");
        base64::encode(&plain, &mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_back() {
        for (user, password) in [("u", ":p"), ("", ""), ("admin", "gehe!m ä:ö"), ("ab", "c")] {
            let credentials = Credentials {
                user: user.into(),
                password: password.into(),
            };
            let value = credentials.to_authorization();
            assert_eq!(Credentials::from_authorization(&value), Some(credentials));
        }
        let captured = Credentials::from_authorization("Basic dTpw").unwrap();
        assert_eq!(
            (captured.user.as_str(), captured.password.as_str()),
            ("u", "p")
        );
        assert_eq!(captured.to_authorization(), "Basic dTpw");
        assert!(Credentials::from_authorization("basic  dTpw").is_some());
    }

    #[test]
    fn malformed_values_are_nobody() {
        for value in [
            "",
            "Basic",
            "Basic d",
            "Basic dT*w",
            "Digest dTpw",
            "Basic dXA=",
            "Basic /w==",
        ] {
            assert_eq!(Credentials::from_authorization(value), None, "{value}");
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        let text = format!(
            "{:?}",
            Credentials {
                user: "u".into(),
                password: "secret".into()
            }
        );
        assert!(!text.contains("secret"));
    }
}
