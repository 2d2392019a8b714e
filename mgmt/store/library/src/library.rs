//! [`Library`]: the images by name.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use crate::area::{Area, Space};
use crate::entry::{Entry, PREFIX};
use crate::image::{Content, Stored};
use crate::upload::Reserve;
use crate::{
    BLOCK_BYTES, Catalog, CatalogError, Format, Image, ImageFacts, ImageName, LibraryError, Medium,
    Origin, Sha256Sum, Upload,
};

/// Most images on the disk; with their extents they fit into the smallest configuration store.
const MAX_IMAGES: usize = 400;

/// Says who uses an image by its name without holding it open, if anybody does: a definition that names it.
type InUse = Box<dyn Fn(&str) -> Option<String>>;

/// What a change has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The image is new.
    Added,
    /// It took the place of another one.
    Replaced,
}

/// A catalog entry that cannot be used; its blocks count as free.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The entry's name.
    pub entry: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.entry.strip_prefix(PREFIX).unwrap_or(&self.entry);
        write!(
            f,
            "image {name}: its catalog entry is damaged or names blocks that are not there; add the file again"
        )
    }
}

pub(crate) struct Shared<M, C> {
    pub(crate) medium: M,
    pub(crate) area: Area,
    catalog: C,
    images: RefCell<BTreeMap<ImageName, Rc<Stored>>>,
    /// Images on the disk whose names boot modules have: they are there again when the machine boots without these.
    hidden: RefCell<Vec<Rc<Stored>>>,
    /// Blocks whose last catalog entry may come back, since the change that took it away is not known to be durable.
    unsettled: RefCell<Vec<Rc<Space>>>,
    in_use: RefCell<Option<InUse>>,
}

/// The library; clones share it.
pub struct Library<M, C>(pub(crate) Rc<Shared<M, C>>);

impl<M, C> Clone for Library<M, C> {
    fn clone(&self) -> Self {
        Library(self.0.clone())
    }
}

impl<M: Medium, C: Catalog> Library<M, C> {
    /// The library whose data area begins at sector `data_start` of the medium ([`store::Store::data_start`]) and ends
    /// with it, and what of its catalog cannot be used.
    pub fn open(medium: M, catalog: C, data_start: u64) -> (Self, Vec<Damage>) {
        let area = Area::new(data_start, medium.sectors());
        let mut images = BTreeMap::new();
        let mut damages = Vec::new();
        for (entry, value) in catalog.entries(PREFIX) {
            match read(&area, &entry, &value) {
                Some((name, stored)) => {
                    images.insert(name, Rc::new(stored));
                }
                None => damages.push(Damage { entry }),
            }
        }
        let shared = Shared {
            medium,
            area,
            catalog,
            images: RefCell::new(images),
            hidden: RefCell::default(),
            unsettled: RefCell::default(),
            in_use: RefCell::default(),
        };
        (Library(Rc::new(shared)), damages)
    }

    /// Adds a boot module as an image that cannot be changed. It goes before an image of the same name on the disk.
    pub fn add_module(&self, name: ImageName, contents: &'static [u8]) {
        let facts = ImageFacts {
            name: name.clone(),
            bytes: contents.len() as u64,
            sha256: None,
            added: 0,
            format: Format::guess(contents),
            origin: Origin::Module,
        };
        let content = Content::Module(contents);
        let stored = Rc::new(Stored { facts, content });
        let hidden = self.0.images.borrow_mut().insert(name, stored);
        self.0.hidden.borrow_mut().extend(hidden);
    }

    /// Asks `in_use` before an image is replaced or removed: its answer is who uses the image, as in "system web1".
    pub fn refuse_changes_if(&self, in_use: impl Fn(&str) -> Option<String> + 'static) {
        *self.0.in_use.borrow_mut() = Some(Box::new(in_use));
    }

    /// All images, by name.
    pub fn list(&self) -> Vec<ImageFacts> {
        let images = self.0.images.borrow();
        images.values().map(|stored| stored.facts.clone()).collect()
    }

    /// Bytes of the data area; 0 where the disk ends with the configuration store.
    pub fn capacity(&self) -> u64 {
        self.0.area.blocks().saturating_mul(BLOCK_BYTES)
    }

    /// Bytes that nothing uses, in whole blocks.
    pub fn free(&self) -> u64 {
        self.0.area.free().saturating_mul(BLOCK_BYTES)
    }

    /// An image, to be read. As long as it is held, its contents stay as they are.
    ///
    /// # Errors
    /// [`LibraryError::Missing`].
    pub fn image(&self, name: &str) -> Result<Image<M, C>, LibraryError> {
        let images = self.0.images.borrow();
        let stored = images.get(name).ok_or(LibraryError::Missing)?;
        Ok(Image {
            shared: self.0.clone(),
            stored: stored.clone(),
        })
    }

    /// Begins an upload. With a known length all of its space is taken now.
    ///
    /// `now` is in microseconds since 1970-01-01T00:00:00 UTC.
    ///
    /// # Errors
    /// The name is bad or taken by a boot module, the image is in use, or there is no room.
    pub fn upload(
        &self,
        name: &str,
        length: Option<u64>,
        now: i64,
    ) -> Result<Upload<M, C>, LibraryError> {
        let name = ImageName::new(name)?;
        self.check_changeable(&name)?;
        let reserve = match length {
            Some(length) => Reserve::Whole(length),
            None => Reserve::Growing,
        };
        Upload::begin(self.0.clone(), name, reserve, now)
    }

    /// Removes an image from the disk; when this returns, the removal is durable.
    ///
    /// # Errors
    /// There is none, it is a boot module or in use, or the configuration store failed.
    pub async fn remove(&self, name: &str) -> Result<(), LibraryError> {
        let stored = self.image(name)?.stored;
        self.check_changeable(&stored.facts.name)?;
        // Held by the map and here.
        if Rc::strong_count(&stored) > 2 {
            return Err(LibraryError::InUse(
                "a client or a system that reads it".into(),
            ));
        }
        let shared = &self.0;
        shared.images.borrow_mut().remove(name);
        shared.catalog.remove(&entry_name(&stored.facts.name));
        shared.settle(stored.space()).await
    }

    fn check_changeable(&self, name: &ImageName) -> Result<(), LibraryError> {
        let images = self.0.images.borrow();
        if let Some(stored) = images.get(name)
            && stored.facts.origin == Origin::Module
        {
            return Err(LibraryError::ReadOnly);
        }
        let in_use = self.0.in_use.borrow();
        match in_use.as_ref().and_then(|in_use| in_use(name.as_str())) {
            Some(by) if images.contains_key(name) => Err(LibraryError::InUse(by)),
            _ => Ok(()),
        }
    }
}

impl<M: Medium, C: Catalog> Shared<M, C> {
    /// Puts an image whose contents are durable into the catalog; when this returns, it is there for good.
    pub(crate) async fn keep(
        &self,
        facts: ImageFacts,
        sha256: Sha256Sum,
        space: Rc<Space>,
    ) -> Result<Outcome, LibraryError> {
        let name = facts.name.clone();
        let replaced = self.images.borrow().get(&name).cloned();
        if let Some(replaced) = &replaced
            && replaced.facts.origin == Origin::Module
        {
            return Err(LibraryError::ReadOnly);
        }
        if replaced.is_none() && self.images.borrow().len() >= MAX_IMAGES {
            return Err(LibraryError::TooMany);
        }
        let entry = Entry {
            bytes: facts.bytes,
            added: facts.added,
            format: facts.format,
            sha256,
            extents: space.extents(),
        };
        let put = self.catalog.put(&entry_name(&name), entry.encode());
        put.map_err(LibraryError::Catalog)?;
        let content = Content::Disk(space);
        let stored = Rc::new(Stored { facts, content });
        self.images.borrow_mut().insert(name, stored);
        let former = replaced.as_ref().and_then(|stored| stored.space());
        drop(replaced);
        let outcome = match former {
            Some(_) => Outcome::Replaced,
            None => Outcome::Added,
        };
        self.settle(former).await?;
        Ok(outcome)
    }

    /// Waits until the catalog's changes are durable. Until then the blocks of an entry that is gone are not used
    /// again: after a power cut the entry may be there. They are not, either, after a commit that failed.
    async fn settle(&self, former: Option<Rc<Space>>) -> Result<(), LibraryError> {
        if let Some(space) = &former {
            self.unsettled.borrow_mut().push(space.clone());
        }
        let settled: Result<(), CatalogError> = self.catalog.settled().await;
        settled.map_err(LibraryError::Catalog)?;
        if let Some(space) = former {
            let mut unsettled = self.unsettled.borrow_mut();
            unsettled.retain(|held| !Rc::ptr_eq(held, &space));
        }
        Ok(())
    }

    pub(crate) fn free(&self) -> u64 {
        self.area.free().saturating_mul(BLOCK_BYTES)
    }
}

fn entry_name(name: &ImageName) -> String {
    alloc::format!("{PREFIX}{name}")
}

/// The image of a catalog entry; `None` where it cannot be one.
fn read(area: &Area, entry: &str, value: &[u8]) -> Option<(ImageName, Stored)> {
    let name = ImageName::new(entry.strip_prefix(PREFIX)?).ok()?;
    let entry = Entry::decode(value)?;
    let space = area.claim(entry.extents)?;
    let facts = ImageFacts {
        name: name.clone(),
        bytes: entry.bytes,
        sha256: Some(entry.sha256),
        added: entry.added,
        format: entry.format,
        origin: Origin::Disk,
    };
    let content = Content::Disk(space);
    Some((name, Stored { facts, content }))
}

#[cfg(test)]
mod tests;
