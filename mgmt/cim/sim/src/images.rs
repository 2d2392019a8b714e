//! The simulator's image library: in memory, and at once.

use cim_domain::{Image, ImageFormat, ImageName};
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

/// Tells who uses an image.
type UserOf = Box<dyn Fn(&str) -> Option<String>>;

#[derive(Default)]
struct Shared {
    images: RefCell<BTreeMap<String, Held>>,
    user_of: RefCell<Option<UserOf>>,
}

/// The images; clones share them.
#[derive(Clone, Default)]
pub struct MemoryImages(Rc<Shared>);

/// Images for systems to name; the simulated machine reads none of them.
const SAMPLES: [&str; 5] = [
    "flat.bin",
    "initrd.img",
    "multiboot.elf",
    "pvh.elf",
    "vmlinuz",
];

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
    /// A library with a few samples.
    pub fn with_samples() -> Self {
        let library = Self::default();
        for name in SAMPLES {
            let contents = format!("This is the sample {name}.\n").into_bytes();
            let facts = ImageFacts {
                name: name.into(),
                bytes: contents.len() as u64,
                sha256: Some(sha2::Sha256::digest(&contents).into()),
                added: 0,
                format: "unknown".into(),
                access: ImageAccess::Changeable,
            };
            let contents = Rc::new(contents);
            let mut images = library.0.images.borrow_mut();
            images.insert(name.into(), Held { facts, contents });
        }
        library
    }

    /// From now on, changes of an image are refused while this names a user of it.
    pub fn refuse_changes_if(&self, user_of: impl Fn(&str) -> Option<String> + 'static) {
        *self.0.user_of.borrow_mut() = Some(Box::new(user_of));
    }

    fn check_unused(&self, name: &str) -> Result<(), ImageRefusal> {
        let user_of = self.0.user_of.borrow();
        match user_of.as_ref().and_then(|user_of| user_of(name)) {
            Some(user) => refuse(
                RefusalKind::Conflict,
                &format!("the image is in use by {user}"),
            ),
            None => Ok(()),
        }
    }

    fn used(&self) -> u64 {
        self.0
            .images
            .borrow()
            .values()
            .map(|held| held.facts.bytes)
            .sum()
    }
}

impl Images for MemoryImages {
    fn list(&self) -> Vec<ImageFacts> {
        let images = self.0.images.borrow();
        images.values().map(|held| held.facts.clone()).collect()
    }

    fn space(&self) -> ImageSpace {
        ImageSpace {
            capacity: CAPACITY,
            free: CAPACITY.saturating_sub(self.used()),
        }
    }

    fn download(&self, name: &str) -> Result<(ImageFacts, Box<dyn Download>), ImageRefusal> {
        let images = self.0.images.borrow();
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
        self.check_unused(name)?;
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
        self.check_unused(name)?;
        match self.0.images.borrow_mut().remove(name) {
            Some(_) => Ok(Box::new(Removed)),
            None => refuse(RefusalKind::Missing, "there is no image of this name"),
        }
    }
}

impl cim_domain::Images for MemoryImages {
    fn list(&self) -> Vec<Image> {
        let images = self.0.images.borrow();
        let image = |held: &Held| {
            Some(Image {
                name: ImageName::new(held.facts.name.as_str())?,
                bytes: held.facts.bytes,
                sha256: held.facts.sha256,
                unix_micros: (held.facts.added > 0).then_some(held.facts.added * 1_000_000),
                format: ImageFormat::Unknown,
                removable: true,
            })
        };
        images.values().filter_map(image).collect()
    }

    fn remove(&mut self, name: &ImageName) -> Result<(), String> {
        self.0.images.borrow_mut().remove(name.as_str());
        Ok(())
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
        let former = self
            .images
            .0
            .images
            .borrow_mut()
            .insert(self.name.clone(), held);
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
