//! The partition's command line: words with a name and a value.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// What the operator asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `ip=`: the address plan, not yet parsed.
    pub ip: Option<String>,
    /// `crash=after:SECONDS`: panic on purpose so long after the first start; a test's means to see the restart.
    pub crash_after: Option<Duration>,
    /// `crash=every:SECONDS`: the same after each start.
    pub crash_every: Option<Duration>,
    /// `consoles=`: the first TCP port for consoles of virtual systems.
    pub consoles: Option<u16>,
    /// `password=`: the password of the administrator that the first start makes; a random one without it.
    pub password: Option<String>,
    /// Words that are not understood.
    pub unknown: Vec<String>,
}

impl Options {
    /// Parses a command line. A word that is not understood is kept to be reported: a partition that the operator cannot
    /// reach because of a misspelt word would be worse.
    pub fn parse(command_line: &str) -> Self {
        let mut options = Options::default();
        for word in command_line.split_ascii_whitespace() {
            match word.split_once('=') {
                Some(("ip", value)) => options.ip = Some(value.into()),
                Some(("password", value)) if !value.is_empty() => {
                    options.password = Some(value.into());
                }
                Some(("crash", value)) => match value.split_once(':') {
                    Some(("after", value)) if seconds(value).is_some() => {
                        options.crash_after = seconds(value);
                    }
                    Some(("every", value)) if seconds(value).is_some() => {
                        options.crash_every = seconds(value);
                    }
                    _ => options.unknown.push(word.into()),
                },
                Some(("consoles", value)) => match value.parse() {
                    Ok(port) if port > 0 => options.consoles = Some(port),
                    _ => options.unknown.push(word.into()),
                },
                _ => options.unknown.push(word.into()),
            }
        }
        options
    }
}

fn seconds(value: &str) -> Option<Duration> {
    Some(Duration::from_secs(value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_password_may_hold_anything_but_blanks() {
        let options = Options::parse("password=a=b:c,\u{e4} ip=dhcp");
        assert_eq!(options.password.as_deref(), Some("a=b:c,\u{e4}"));
        let empty = Options::parse("password=");
        assert_eq!(
            (empty.password, empty.unknown),
            (None, vec!["password=".into()])
        );
    }

    #[test]
    fn words_are_told_apart() {
        let options =
            Options::parse(" ip=dhcp crash=after:5  crash=now quiet consoles=7000 consoles=0");
        assert_eq!(options.ip.as_deref(), Some("dhcp"));
        assert_eq!(options.crash_after, Some(Duration::from_secs(5)));
        assert_eq!(options.crash_every, None);
        let every = Options::parse("crash=every:60").crash_every;
        assert_eq!(every, Some(Duration::from_secs(60)));
        assert_eq!(options.consoles, Some(7000));
        assert_eq!(options.unknown, ["crash=now", "quiet", "consoles=0"]);
        assert_eq!(Options::parse(""), Options::default());
    }
}
