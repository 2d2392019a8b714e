//! What is known about an image.

use crate::{Format, ImageName, Sha256Sum};

/// Where an image is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// On the disk: it can be replaced and removed.
    Disk,
    /// A boot module: it is there as long as the machine runs, and cannot be changed.
    Module,
}

/// What is known about an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageFacts {
    /// Its name.
    pub name: ImageName,
    /// Its length in bytes.
    pub bytes: u64,
    /// The checksum of its contents; of a boot module it is not computed.
    pub sha256: Option<Sha256Sum>,
    /// When it came, in microseconds since 1970-01-01T00:00:00 UTC; of a boot module, 0.
    pub added: i64,
    /// What its contents look like.
    pub format: Format,
    /// Where it is.
    pub origin: Origin,
}
