//! Basic authentication (RFC 7617): the only scheme that CIM clients have in common.

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

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Credentials {
    /// Reads the value of an Authorization field; `None` when it is of another scheme or malformed.
    pub fn from_authorization(value: &str) -> Option<Self> {
        let (scheme, encoded) = value.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Basic") {
            return None;
        }
        let text = String::from_utf8(decode(encoded.trim())?).ok()?;
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
        encode(&plain, &mut text);
        text
    }
}

/// Base 64 with padding (RFC 4648 section 4).
fn encode(bytes: &[u8], out: &mut String) {
    for group in bytes.chunks(3) {
        let mut word = [0u8; 4];
        for (slot, byte) in word.iter_mut().skip(1).zip(group) {
            *slot = *byte;
        }
        let word = u32::from_be_bytes(word);
        for index in 0..4 {
            let digit = (word >> (18 - 6 * index)) & 63;
            let letter = ALPHABET.get(digit as usize).copied().unwrap_or(b'=');
            out.push(if index <= group.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    // Some clients leave the padding out.
    let digits = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.as_bytes().chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut word = 0u32;
        for byte in group {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word = word << 6 | u32::from(digit);
        }
        word <<= 6 * (4 - group.len());
        out.extend(word.to_be_bytes().iter().skip(1).take(group.len() - 1));
    }
    Some(out)
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
