//! [`Options`]: the command line of the simulator.

use cim_ops::Role;
use std::fmt;
use std::path::PathBuf;

/// What the command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The TCP port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The administrator's password; a random one without it.
    pub password: Option<String>,
    /// Further accounts.
    pub accounts: Vec<NewAccount>,
    /// How many processors the demonstration systems have; `None` for virtual systems over a simulated machine.
    pub demo: Option<usize>,
    /// The directory where definitions are kept; `None` for memory.
    pub store: Option<PathBuf>,
    /// Systems that were on when the store was left still run.
    pub adopt: bool,
}

/// An account that the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// The name.
    pub name: String,
    /// The rights.
    pub role: Role,
    /// The password.
    pub password: String,
}

impl NewAccount {
    /// Reads `NAME:ROLE:PASSWORD`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let name = parts.next()?.to_string();
        let role = Role::from_name(parts.next()?)?;
        let password = parts.next()?.to_string();
        Some(NewAccount {
            name,
            role,
            password,
        })
    }
}

/// Why the command line is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError(String);

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{USAGE}", self.0)
    }
}

impl std::error::Error for OptionsError {}

const USAGE: &str = "usage: cim-sim [--cim-port PORT] [--cim-password WORD] [--demo PROCESSORS]\n\
    \x20              [--store DIRECTORY [--adopt]] [--cim-account NAME:ROLE:PASSWORD]... (roles: read-only, operator, administrator)";

impl Options {
    /// Reads the arguments behind the program name.
    ///
    /// # Errors
    /// [`OptionsError`] with the usage.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, OptionsError> {
        let mut options = Options {
            port: 5988,
            ..Options::default()
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| OptionsError(format!("{argument} needs a value")))
            };
            let number = |text: String| {
                text.parse::<usize>()
                    .map_err(|_| OptionsError(format!("{text} is not a number")))
            };
            match argument.as_str() {
                "--cim-port" => {
                    let text = value()?;
                    options.port = text
                        .parse()
                        .map_err(|_| OptionsError(format!("{text} is not a port")))?;
                }
                "--cim-password" => options.password = Some(value()?),
                "--cim-account" => {
                    let text = value()?;
                    let account = NewAccount::parse(&text)
                        .ok_or_else(|| OptionsError(format!("{text} is not NAME:ROLE:PASSWORD")))?;
                    options.accounts.push(account);
                }
                "--store" => options.store = Some(value()?.into()),
                "--adopt" => options.adopt = true,
                "--demo" => options.demo = Some(number(value()?)?),
                _ => return Err(OptionsError(format!("unknown argument {argument}"))),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, OptionsError> {
        Options::parse(arguments.iter().map(|argument| argument.to_string()))
    }

    #[test]
    fn arguments_are_read() {
        let options = parse(&["--cim-port", "0", "--demo", "12", "--cim-password", "x"]).unwrap();
        assert_eq!(
            options,
            Options {
                port: 0,
                password: Some("x".into()),
                demo: Some(12),
                ..Options::default()
            }
        );
        let accounts = parse(&["--cim-account", "eve:read-only:a:b"])
            .unwrap()
            .accounts;
        assert_eq!(accounts[0].role, Role::ReadOnly);
        assert_eq!(accounts[0].password, "a:b");
        assert_eq!(parse(&[]).unwrap().port, 5988);
        let kept = parse(&["--store", "kept", "--adopt"]).unwrap();
        assert_eq!(kept.store, Some("kept".into()));
        assert!(kept.adopt);
        for bad in [
            &["--cim-port"][..],
            &["--cim-port", "99999"],
            &["--demo", "x"],
            &["--nonsense"],
            &["--cim-account", "eve:queen:x"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
