//! The partitions that the machine starts with: the text of the boot module `partitions.conf`.
//!
//! One partition a line, in words: `partition name=NAME image=MODULE memory=16M cpus=2 pin=0,1 args="..." management`.
//! Empty lines and lines that begin with `#` do not count. A partition says what it wants, never addresses.

use core::fmt;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::id::CpuId;

/// Most vCPUs of a partition.
pub const MAX_VCPUS: u16 = 64;
/// Least memory of a partition in bytes: what its start-up structures and a small image need.
pub const MIN_MEMORY: u64 = 2 << 20;

/// Whether a partition has management rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It owns the machine's devices and may use management hypercalls.
    Management,
    /// It is confined to itself.
    Guest,
}

/// One partition as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionConfig {
    /// Its name: letters, digits, `-`, `_`, `.`; at most 63 bytes; unique.
    pub name: String,
    /// The boot module that holds its image.
    pub image: String,
    /// Bytes of memory, a multiple of 2 MiB.
    pub memory: u64,
    /// Number of vCPUs.
    pub vcpus: u16,
    /// The physical CPU of each vCPU, cyclically; empty: the system chooses.
    pub pin: Vec<CpuId>,
    /// The command line.
    pub arguments: String,
    /// Rights.
    pub role: Role,
}

/// What is wrong with the configuration, and how to mend it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The line, counted from 1.
    pub line: usize,
    /// The word that is wrong.
    pub word: String,
    /// What is wrong with it.
    pub reason: &'static str,
    /// What to write instead.
    pub hint: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            word,
            reason,
            hint,
        } = self;
        write!(f, "partitions.conf line {line}: `{word}` {reason}; {hint}")
    }
}

/// Reads the whole text.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(text: &str) -> Result<Vec<PartitionConfig>, ConfigError> {
    let mut partitions: Vec<PartitionConfig> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let partition = parse_line(line).map_err(|error| ConfigError {
            line: line_number,
            ..error
        })?;
        let fail = |word: &str, reason, hint| {
            Err(ConfigError {
                line: line_number,
                word: word.to_string(),
                reason,
                hint,
            })
        };
        if partitions.iter().any(|other| other.name == partition.name) {
            return fail(
                &partition.name,
                "is the name of an earlier partition",
                "choose another name",
            );
        }
        let managed = |config: &PartitionConfig| config.role == Role::Management;
        if managed(&partition) && partitions.iter().any(managed) {
            return fail(
                "management",
                "stands on an earlier line already",
                "only one partition manages",
            );
        }
        partitions.push(partition);
    }
    // The management partition is partition 0, wherever its line stands.
    partitions.sort_by_key(|config| config.role == Role::Guest);
    Ok(partitions)
}

fn error(word: &str, reason: &'static str, hint: &'static str) -> ConfigError {
    ConfigError {
        line: 0,
        word: word.to_string(),
        reason,
        hint,
    }
}

/// Splits a line into words; a word may hold a quoted part with blanks.
fn words(line: &str) -> Result<Vec<String>, ConfigError> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            blank if blank.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(core::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    if quoted {
        return Err(error(
            &word,
            "has a quote that does not end",
            "close it with \"",
        ));
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

fn parse_line(line: &str) -> Result<PartitionConfig, ConfigError> {
    let words = words(line)?;
    let mut words = words.iter();
    match words.next().map(String::as_str) {
        Some("partition") => {}
        other => {
            let hint = "a line begins with `partition`";
            return Err(error(other.unwrap_or_default(), "is not known here", hint));
        }
    }
    let mut name = None;
    let mut image = None;
    let mut config = PartitionConfig {
        name: String::new(),
        image: String::new(),
        memory: 16 << 20,
        vcpus: 1,
        pin: Vec::new(),
        arguments: String::new(),
        role: Role::Guest,
    };
    for word in words {
        match word.split_once('=') {
            Some(("name", value)) => name = Some(parse_name(word, value)?),
            Some(("image", value)) if !value.is_empty() => image = Some(value.to_string()),
            Some(("memory", value)) => config.memory = parse_memory(word, value)?,
            Some(("cpus", value)) => config.vcpus = parse_vcpus(word, value)?,
            Some(("pin", value)) => config.pin = parse_pin(word, value)?,
            Some(("args", value)) => config.arguments = value.to_string(),
            None if word == "management" => config.role = Role::Management,
            _ => {
                let hint = "known are name=, image=, memory=, cpus=, pin=, args= and management";
                return Err(error(word, "is not known here", hint));
            }
        }
    }
    config.name = name.ok_or_else(|| error("name=", "is missing", "give the partition a name"))?;
    config.image =
        image.ok_or_else(|| error("image=", "is missing", "name the boot module to start"))?;
    Ok(config)
}

fn parse_name(word: &str, value: &str) -> Result<String, ConfigError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.is_empty() || value.len() > 63 || !value.chars().all(legal) {
        let hint = "use 1 to 63 letters, digits, `-`, `_` or `.`";
        return Err(error(word, "is not a name", hint));
    }
    Ok(value.to_string())
}

fn parse_memory(word: &str, value: &str) -> Result<u64, ConfigError> {
    let hint = "write a size such as 64M or 2G, a multiple of 2M";
    let (digits, shift) = match value.strip_suffix(['M', 'm']) {
        Some(digits) => (digits, 20),
        None => match value.strip_suffix(['G', 'g']) {
            Some(digits) => (digits, 30),
            None => return Err(error(word, "has no unit", hint)),
        },
    };
    let count: u64 = digits
        .parse()
        .map_err(|_| error(word, "is not a size", hint))?;
    let bytes = count
        .checked_mul(1 << shift)
        .filter(|&bytes| bytes <= 1 << 46)
        .ok_or_else(|| error(word, "is more than any machine has", hint))?;
    if bytes < MIN_MEMORY || bytes % (2 << 20) != 0 {
        return Err(error(word, "is not a multiple of 2M", hint));
    }
    Ok(bytes)
}

fn parse_vcpus(word: &str, value: &str) -> Result<u16, ConfigError> {
    match value.parse() {
        Ok(count) if (1..=MAX_VCPUS).contains(&count) => Ok(count),
        _ => Err(error(
            word,
            "is not a number of CPUs",
            "write a number from 1 to 64",
        )),
    }
}

fn parse_pin(word: &str, value: &str) -> Result<Vec<CpuId>, ConfigError> {
    value
        .split(',')
        .map(|number| number.parse().map(CpuId))
        .collect::<Result<_, _>>()
        .map_err(|_| error(word, "is not a list of CPUs", "write numbers such as 0,1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_a_partition_wants() {
        let text = "# demo\n\npartition name=a image=a.elf cpus=2 pin=1,0 args=\"x y=1\"\n\
                    partition name=mgmt image=mgmt memory=1G management\n";
        let partitions = parse(text).unwrap();
        assert_eq!(partitions.len(), 2);
        assert_eq!(partitions[0].name, "mgmt");
        assert_eq!(
            (partitions[0].role, partitions[0].memory),
            (Role::Management, 1 << 30)
        );
        let a = &partitions[1];
        assert_eq!((a.vcpus, a.memory, a.role), (2, 16 << 20, Role::Guest));
        assert_eq!(a.pin, [CpuId(1), CpuId(0)]);
        assert_eq!(a.arguments, "x y=1");
    }

    #[test]
    fn every_wrong_word_is_named_with_its_line_and_a_hint() {
        for (text, expected) in [
            ("partition image=x", "line 1: `name=` is missing"),
            ("\npartition name=a", "line 2: `image=` is missing"),
            ("partition name=a/b image=x", "`name=a/b` is not a name"),
            (
                "partition name=a image=x memory=64",
                "`memory=64` has no unit",
            ),
            (
                "partition name=a image=x memory=3M",
                "`memory=3M` is not a multiple of 2M",
            ),
            (
                "partition name=a image=x memory=99999999999G",
                "is more than any machine has",
            ),
            (
                "partition name=a image=x memory=-2M",
                "`memory=-2M` is not a size",
            ),
            (
                "partition name=a image=x cpus=0",
                "`cpus=0` is not a number of CPUs",
            ),
            (
                "partition name=a image=x cpus=65",
                "`cpus=65` is not a number of CPUs",
            ),
            (
                "partition name=a image=x pin=1,b",
                "`pin=1,b` is not a list of CPUs",
            ),
            (
                "partition name=a image=x colour=red",
                "`colour=red` is not known here",
            ),
            ("guest name=a", "`guest` is not known here"),
            ("partition name=a image=x args=\"open", "does not end"),
            (
                "partition name=a image=x\npartition name=a image=x",
                "line 2: `a` is the name",
            ),
            (
                "partition name=a image=x management\npartition name=b image=x management",
                "line 2: `management` stands on an earlier line",
            ),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
            assert!(message.contains("; "), "{message}");
        }
    }
}
