//! Reads the machine's own apt sources, in both formats, to learn where and how it fetches Debian.
//!
//! Called by the builder of the bare-metal target, which needs another suite from the same mirror. No address is
//! known to this program.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// A Debian archive as the machine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    uris: String,
    /// Everything else of the source, as deb822 fields: how it is signed and fetched.
    options: Vec<String>,
}

/// Fields that choose what to take from an archive; ours differ from the machine's.
const CHOICE: [&str; 7] = [
    "types",
    "uris",
    "suites",
    "components",
    "enabled",
    "architectures",
    "languages",
];
/// Release names of Debian whose archives also carry the suite wanted here.
const RELEASES: [&str; 7] = [
    "bookworm",
    "trixie",
    "forky",
    "stable",
    "oldstable",
    "testing",
    "sid",
];

impl Archive {
    /// The first Debian archive among the sources under `etc_apt` (`/etc/apt`).
    pub fn of_machine(etc_apt: &Path) -> Result<Self> {
        let parts = etc_apt.join("sources.list.d");
        let mut files = vec![etc_apt.join("sources.list")];
        if let Ok(entries) = fs::read_dir(&parts) {
            files.extend(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())));
        }
        files.sort();
        files
            .iter()
            .find_map(|file| {
                let text = fs::read_to_string(file).ok()?;
                match file.extension()?.to_str()? {
                    "sources" => Self::in_deb822(&text),
                    "list" => Self::in_one_line(&text),
                    _ => None,
                }
            })
            .with_context(|| {
                format!(
                    "no Debian archive among the apt sources in {}",
                    etc_apt.display()
                )
            })
    }

    fn in_deb822(text: &str) -> Option<Self> {
        stanzas(text).into_iter().find_map(|fields| {
            let value = |name: &str| {
                let field = fields
                    .iter()
                    .find(|field| field.name.eq_ignore_ascii_case(name));
                field.map(|field| field.value.trim())
            };
            let usable = value("types")?.split_whitespace().any(|word| word == "deb")
                && value("enabled").is_none_or(|word| !["no", "false", "0"].contains(&word))
                && value("suites")?.split_whitespace().any(is_release)
                && value("components")?
                    .split_whitespace()
                    .any(|word| word == "main");
            let options = fields.iter().filter(|field| {
                !CHOICE
                    .iter()
                    .any(|choice| field.name.eq_ignore_ascii_case(choice))
            });
            usable.then(|| Self {
                uris: value("uris").unwrap_or_default().to_owned(),
                options: options
                    .map(|field| format!("{}:{}", field.name, field.value))
                    .collect(),
            })
        })
    }

    fn in_one_line(text: &str) -> Option<Self> {
        text.lines().find_map(|line| {
            let line = line.split('#').next()?.trim();
            let rest = line.strip_prefix("deb")?;
            if !rest.starts_with([' ', '\t', '[']) {
                return None; // deb-src
            }
            let rest = rest.trim_start();
            let (options, rest) = match rest.strip_prefix('[') {
                Some(inside) => inside.split_once(']')?,
                None => ("", rest),
            };
            let mut words = rest.split_whitespace();
            let (uri, suite) = (words.next()?, words.next()?);
            let usable = is_release(suite) && words.any(|word| word == "main");
            usable.then(|| Self {
                uris: uri.to_owned(),
                options: options
                    .split_whitespace()
                    .filter_map(field_of_option)
                    .collect(),
            })
        })
    }

    /// A deb822 source for `suite` of this archive.
    pub fn source(&self, suite: &str) -> String {
        let mut text = format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n",
            self.uris
        );
        for option in &self.options {
            text.push_str(option);
            text.push('\n');
        }
        text
    }
}

/// A release, not its security or updates companion: those archives carry no other suite.
fn is_release(suite: &str) -> bool {
    RELEASES.contains(&suite)
}

/// `signed-by=FILE` of the one-line format as a deb822 field; the two formats' options have the same names, but for
/// the plural of some that choose what to take.
fn field_of_option(option: &str) -> Option<String> {
    let (name, value) = option.split_once('=')?;
    let name = name.trim_end_matches(['+', '-']);
    let choice = ["arch", "lang", "target", "pdiffs", "by-hash"];
    (!choice.contains(&name)).then(|| format!("{name}: {value}"))
}

struct Field {
    name: String,
    /// With its continuation lines, as an inline key has them.
    value: String,
}

fn stanzas(text: &str) -> Vec<Vec<Field>> {
    let mut all = vec![Vec::<Field>::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            all.push(Vec::new());
        } else if let Some(fields) = all.last_mut() {
            if line.starts_with([' ', '\t']) {
                if let Some(field) = fields.last_mut() {
                    field.value.push('\n');
                    field.value.push_str(line);
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push(Field {
                    name: name.to_owned(),
                    value: value.to_owned(),
                });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use qemu_tests::socket_folder::SocketFolder;

    const SOURCES: &str = "\
# the archive
Types: deb-src
URIs: http://other.example/debian
Suites: bookworm
Components: main

Types: deb deb-src
# a comment inside
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/some.gpg
Check-Valid-Until: no
";

    #[test]
    fn the_deb822_archive_keeps_its_key_and_options() {
        let archive = Archive::in_deb822(SOURCES).unwrap();
        assert_eq!(
            archive.source("trixie-backports"),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie-backports\n\
             Components: main\nSigned-By: /usr/share/keyrings/some.gpg\nCheck-Valid-Until: no\n"
        );
    }

    #[test]
    fn an_inline_key_stays_whole() {
        let text = "Types: deb\nURIs: u\nSuites: trixie\nComponents: main\n\
                    Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n";
        let source = Archive::in_deb822(text).unwrap().source("s");
        assert!(source.ends_with("Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"));
    }

    #[test]
    fn disabled_foreign_and_security_sources_are_passed_over() {
        for text in [
            "Types: deb\nURIs: u\nSuites: trixie\nComponents: main\nEnabled: no\n",
            "Types: deb\nURIs: u\nSuites: nodistro\nComponents: main\n",
            "Types: deb\nURIs: u\nSuites: trixie-security\nComponents: main\n",
            "Types: deb\nURIs: u\nSuites: trixie\nComponents: contrib\n",
            "",
        ] {
            assert_eq!(Archive::in_deb822(text), None, "{text}");
        }
    }

    #[test]
    fn the_one_line_format_is_read() {
        let text = "# deb http://no.example bookworm main\n\
            deb-src http://no.example/debian bookworm main\n\
            deb http://sec.example bookworm-security main\n\
            deb [arch=amd64 signed-by=/k.gpg trusted=yes] http://yes.example/debian trixie main # x\n";
        let archive = Archive::in_one_line(text).unwrap();
        assert_eq!(
            archive.source("sid"),
            "Types: deb\nURIs: http://yes.example/debian\nSuites: sid\nComponents: main\n\
             signed-by: /k.gpg\ntrusted: yes\n"
        );
        assert_eq!(Archive::in_one_line("deb http://x bookworm contrib"), None);
    }

    #[test]
    fn files_that_apt_ignores_are_ignored() {
        let folder = SocketFolder::new("apt").unwrap();
        let parts = folder.path().join("sources.list.d");
        fs::create_dir(&parts).unwrap();
        fs::write(parts.join("a.sources.disabled"), SOURCES).unwrap();
        assert!(Archive::of_machine(folder.path()).is_err());
        fs::write(parts.join("z.sources"), SOURCES).unwrap();
        assert!(Archive::of_machine(folder.path()).is_ok());
    }
}
