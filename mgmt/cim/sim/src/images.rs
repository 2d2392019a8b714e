//! The simulator's image library: in memory, and at once.

use cim_ops::Clock;
use cim_server::images::{
    Download, ImageAccess, ImageFacts, ImageRefusal, ImageSpace, Images, Piece, RefusalKind,
    Removal, Sha256, Stored, Upload,
};
use sha2::Digest;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What all images together may have.
const CAPACITY: u64 = 1 << 30;
/// Bytes that an upload takes at a time.
const ROOM: usize = 1 << 20;

struct Held {
    facts: ImageFacts,
    contents: Rc<Vec<u8>>,
}

/// The images; clones share them.
#[derive(Clone, Default)]
pub struct MemoryImages(Rc<RefCell<BTreeMap<String, Held>>>);

fn refuse<T>(kind: RefusalKind, reason: &str) -> Result<T, ImageRefusal> {
    let reason = reason.into();
    Err(ImageRefusal { kind, reason })
}

fn check(name: &str) -> Result<(), ImageRefusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~@".contains(&byte);
    if name.len() <= 128 && name.bytes().all(plain) && !name.starts_with(['.', '-']) {
        return Ok(());
    }
    refuse(
        RefusalKind::Name,
        "an image's name has 1 to 128 letters, digits and characters of . _ - + ~ @, and does not begin with a dot or \
         a hyphen",
    )
}

impl MemoryImages {
    fn used(&self) -> u64 {
        self.0.borrow().values().map(|held| held.facts.bytes).sum()
    }
}

impl Images for MemoryImages {
    fn list(&self) -> Vec<ImageFacts> {
        let images = self.0.borrow();
        images.values().map(|held| held.facts.clone()).collect()
    }

    fn space(&self) -> ImageSpace {
        ImageSpace {
            capacity: CAPACITY,
            free: CAPACITY.saturating_sub(self.used()),
        }
    }

    fn download(&self, name: &str) -> Result<(ImageFacts, Box<dyn Download>), ImageRefusal> {
        let images = self.0.borrow();
        let Some(held) = images.get(name) else {
            return refuse(RefusalKind::Missing, "there is no image of this name");
        };
        let reader = Reader {
            contents: Rc::clone(&held.contents),
            at: 0,
        };
        Ok((held.facts.clone(), Box::new(reader)))
    }

    fn upload(
        &self,
        name: &str,
        length: Option<u64>,
        clock: Clock,
    ) -> Result<Box<dyn Upload>, ImageRefusal> {
        check(name)?;
        if length.is_some_and(|length| length > self.space().free) {
            return full();
        }
        Ok(Box::new(Writer {
            images: self.clone(),
            name: name.into(),
            added: clock.unix_micros / 1_000_000,
            contents: Vec::new(),
            outcome: None,
        }))
    }

    fn remove(&self, name: &str) -> Result<Box<dyn Removal>, ImageRefusal> {
        match self.0.borrow_mut().remove(name) {
            Some(_) => Ok(Box::new(Removed)),
            None => refuse(RefusalKind::Missing, "there is no image of this name"),
        }
    }
}

fn full<T>() -> Result<T, ImageRefusal> {
    refuse(
        RefusalKind::Full,
        "the library has no room for the image; delete an image first",
    )
}

struct Reader {
    contents: Rc<Vec<u8>>,
    at: usize,
}

impl Download for Reader {
    fn next(&mut self) -> Piece {
        let rest = self.contents.get(self.at..).unwrap_or_default();
        let piece = rest.get(..64 * 1024).unwrap_or(rest);
        self.at += piece.len();
        Piece::Bytes(piece.to_vec())
    }
}

struct Writer {
    images: MemoryImages,
    name: String,
    added: i64,
    contents: Vec<u8>,
    outcome: Option<Result<(ImageFacts, Stored), ImageRefusal>>,
}

impl Upload for Writer {
    fn room(&self) -> usize {
        ROOM
    }

    fn push(&mut self, bytes: &[u8]) {
        let free = self.images.space().free;
        if self.contents.len() as u64 + bytes.len() as u64 > free {
            self.contents = Vec::new();
            self.outcome = Some(full());
        } else if self.outcome.is_none() {
            self.contents.extend_from_slice(bytes);
        }
    }

    fn end(&mut self, promised: Option<Sha256>) {
        if self.outcome.is_some() {
            return;
        }
        let contents = std::mem::take(&mut self.contents);
        let sha256: Sha256 = sha2::Sha256::digest(&contents).into();
        if promised.is_some_and(|promised| promised != sha256) {
            self.outcome = Some(refuse(
                RefusalKind::Mismatch,
                "the contents do not have the SHA-256 checksum that was promised; send the file again",
            ));
            return;
        }
        let facts = ImageFacts {
            name: self.name.clone().into(),
            bytes: contents.len() as u64,
            sha256: Some(sha256),
            added: self.added,
            // Nothing here boots from it.
            format: "unknown".into(),
            access: ImageAccess::Changeable,
        };
        let held = Held {
            facts: facts.clone(),
            contents: Rc::new(contents),
        };
        let former = self.images.0.borrow_mut().insert(self.name.clone(), held);
        let stored = former.map_or(Stored::Added, |_| Stored::Replaced);
        self.outcome = Some(Ok((facts, stored)));
    }

    fn outcome(&mut self) -> Option<Result<(ImageFacts, Stored), ImageRefusal>> {
        self.outcome.take()
    }
}

struct Removed;

impl Removal for Removed {
    fn outcome(&mut self) -> Option<Result<(), ImageRefusal>> {
        Some(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const CLOCK: Clock = Clock {
        monotonic: Duration::ZERO,
        unix_micros: 5_000_000,
    };

    #[test]
    fn what_is_written_is_read() {
        let images = MemoryImages::default();
        let mut upload = images.upload("a", None, CLOCK).unwrap();
        upload.push(&[1; 70_000]);
        upload.end(None);
        let (facts, stored) = upload.outcome().unwrap().unwrap();
        assert_eq!(
            (facts.bytes, facts.added, stored),
            (70_000, 5, Stored::Added)
        );
        let (_, mut download) = images.download("a").unwrap();
        let mut read = 0;
        while read < 70_000 {
            match download.next() {
                Piece::Bytes(bytes) => read += bytes.len(),
                other => panic!("{other:?}"),
            }
        }
        let mut upload = images.upload("b", Some(1), CLOCK).unwrap();
        upload.push(b"x");
        upload.end(Some([0; 32]));
        assert_eq!(
            upload.outcome().unwrap().unwrap_err().kind,
            RefusalKind::Mismatch
        );
        assert_eq!(images.list().len(), 1);
        assert!(images.upload("a/b", None, CLOCK).is_err());
        assert!(images.upload("c", Some(CAPACITY), CLOCK).is_err());
        assert!(images.remove("a").is_ok() && images.remove("a").is_err());
    }
}
