//! [`Symptom`]: how a worker ended, and where.

use std::fmt::{self, Display, Formatter};
use std::process::ExitStatus;

/// What a worker says when a case takes too long.
pub const TOO_LONG: &str = "fuzz: a case takes too long";

/// Why a worker ended. Two ends with the same symptom are taken as the same finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Symptom {
    /// A panic at this place in the source.
    Panic(String),
    /// A case took too long.
    Hang,
    /// A case wanted too much memory.
    Memory,
    /// A case recursed too deep.
    Stack,
    /// Any other end of the process.
    Other(String),
}

impl Symptom {
    /// Reads the symptom from what the worker has said, and its status; `None` for a good end.
    pub fn of(status: ExitStatus, said: &str) -> Option<Self> {
        if status.success() {
            return None;
        }
        let place = said
            .lines()
            .find_map(|line| line.split_once(" panicked at "))
            .map(|(_, place)| place.trim_end_matches(':').to_owned());
        Some(if let Some(place) = place {
            Self::Panic(place)
        } else if said.contains(TOO_LONG) {
            Self::Hang
        } else if said.contains("has overflowed its stack") {
            Self::Stack
        } else if said.contains("memory allocation of") {
            Self::Memory
        } else {
            Self::Other(status.to_string())
        })
    }
}

impl Display for Symptom {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(place) => write!(f, "panic at {place}"),
            Self::Hang => f.write_str("a case that takes too long"),
            Self::Memory => f.write_str("a case that wants too much memory"),
            Self::Stack => f.write_str("a case that recurses too deep"),
            Self::Other(status) => write!(f, "the end of the process: {status}"),
        }
    }
}

/// A name for an input: the FNV-1a hash of its bytes.
pub fn name(data: &[u8]) -> String {
    let hash = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn ends_are_told_apart() {
        let aborted = ExitStatus::from_raw(6);
        let of = |said| Symptom::of(aborted, said);
        assert_eq!(
            of("x\nthread 'case' (7) panicked at a/b.rs:1:2:\nboo"),
            Some(Symptom::Panic("a/b.rs:1:2".into()))
        );
        assert_eq!(
            of("memory allocation of 7 bytes failed"),
            Some(Symptom::Memory)
        );
        assert_eq!(
            of("thread 'case' has overflowed its stack"),
            Some(Symptom::Stack)
        );
        assert_eq!(of(TOO_LONG), Some(Symptom::Hang));
        assert!(matches!(of(""), Some(Symptom::Other(_))));
        assert_eq!(Symptom::of(ExitStatus::from_raw(0), "panicked at"), None);
    }

    #[test]
    fn inputs_have_different_names() {
        assert_ne!(name(b"a"), name(b"b"));
        assert_eq!(name(b"").len(), 16);
    }
}
