//! The image library as HTTP sees it: what the owner of the server implements, and what clients get.
//!
//! Called by [`crate::Connection`] for paths below `/images`. Everything returns at once: what takes time is asked about
//! again whenever the connection is looked at, so that the owner wakes the connection's transport when there is news.

pub(crate) mod checksum;
pub(crate) mod listing;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use cim_model::Text;
use cim_ops::Clock;

/// A SHA-256 checksum.
pub type Sha256 = [u8; 32];

/// What is known about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// Its name.
    pub name: Text,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its checksum, where it is known.
    pub sha256: Option<Sha256>,
    /// When it came, in seconds since 1970-01-01T00:00:00 UTC; 0 where that is not known.
    pub added: i64,
    /// What it looks like, in a word or two.
    pub format: Text,
    /// Whether it can be replaced and removed.
    pub access: ImageAccess,
}

/// Whether an image can be replaced and removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageAccess {
    /// It can.
    Changeable,
    /// It cannot: a boot module.
    Fixed,
}

/// What kind of reason a refusal has; decides the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The name is none that an image can have: 400.
    Name,
    /// Length or checksum are not what was promised: 400.
    Mismatch,
    /// There is no such image: 404.
    Missing,
    /// The image is in use, or cannot be changed: 409.
    Conflict,
    /// The disk is full: 507.
    Full,
    /// The disk or the store failed: 500.
    Failed,
}

/// The library refuses, or has failed; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRefusal {
    /// What kind of reason it is.
    pub kind: RefusalKind,
    /// The reason, for people.
    pub reason: String,
}

/// What an upload has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The image is new.
    Added,
    /// It took the place of another one.
    Replaced,
}

/// How much room the library has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSpace {
    /// Bytes in all.
    pub capacity: u64,
    /// Bytes that are free.
    pub free: u64,
}

/// The image library.
pub trait Images {
    /// All images, by name.
    fn list(&self) -> Vec<ImageFacts>;

    /// How much room there is.
    fn space(&self) -> ImageSpace;

    /// Begins to read an image.
    ///
    /// # Errors
    /// There is none of this name.
    fn download(&self, name: &str) -> Result<(ImageFacts, Box<dyn Download>), ImageRefusal>;

    /// Begins to write an image; `length` is its length where the client has told it.
    ///
    /// # Errors
    /// What can be known before the contents come: name, room, use.
    fn upload(
        &self,
        name: &str,
        length: Option<u64>,
        clock: Clock,
    ) -> Result<Box<dyn Upload>, ImageRefusal>;

    /// Begins to remove an image.
    ///
    /// # Errors
    /// There is none, or it is in use.
    fn remove(&self, name: &str) -> Result<Box<dyn Removal>, ImageRefusal>;
}

/// An image that is being read.
pub trait Download {
    /// The next piece of the contents; not asked again when all bytes have come.
    fn next(&mut self) -> Piece;
}

/// What a download has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes.
    Bytes(Vec<u8>),
    /// Nothing at the moment.
    Later,
    /// The disk failed.
    Failed,
}

/// An image that is being written. Dropped before its outcome is known, it leaves nothing behind, unless
/// [`Upload::end`] was called: then it may have been kept.
pub trait Upload {
    /// How many bytes it takes now.
    fn room(&self) -> usize;

    /// More of the contents, at most [`Upload::room`] bytes.
    fn push(&mut self, bytes: &[u8]);

    /// All contents have come; they must have this checksum, if the client has told one.
    fn end(&mut self, sha256: Option<Sha256>);

    /// What has become of it: a failure, at any time, or what was stored, durably, after the end.
    fn outcome(&mut self) -> Option<Result<(ImageFacts, Stored), ImageRefusal>>;
}

/// An image that is being removed.
pub trait Removal {
    /// Whether it is gone, durably.
    fn outcome(&mut self) -> Option<Result<(), ImageRefusal>>;
}
