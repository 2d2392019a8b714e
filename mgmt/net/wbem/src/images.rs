//! The image library as the server's clients reach it: the disk's part is done by tasks of the executor.
//!
//! A connection and its task share a small buffer; each tells the other when something has changed: the connection by
//! the task's signal, the task by the keeper's news, which has all transports look at their connections.

mod catalog;
mod download;
mod upload;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::RefCell;

use cim_ops::Clock;
use cim_server::images::{
    Download, ImageAccess, ImageFacts, ImageRefusal, ImageSpace, Images, RefusalKind, Removal,
    Upload,
};
use image_library::{Catalog, Damage, Library, LibraryError, Medium, Origin};
use mgmt_executor::Spawner;

use crate::Keeper;
pub use catalog::KeeperCatalog;
use download::Reader;
use upload::Writer;

/// The library on a disk, with its catalog in the keeper.
pub type KeptLibrary<M> = Library<M, KeeperCatalog>;

/// Opens the library whose data area begins at sector `data_start` of the disk. Also returns what of the catalog cannot
/// be used.
pub fn open_library<M: Medium>(
    medium: M,
    keeper: &Keeper,
    data_start: u64,
) -> (KeptLibrary<M>, Vec<Damage>) {
    Library::open(medium, KeeperCatalog(keeper.clone()), data_start)
}

/// Serves a library's images.
pub struct KeptImages<M, C = KeeperCatalog> {
    library: Library<M, C>,
    keeper: Keeper,
    spawner: Spawner,
}

impl<M: Medium + 'static, C: Catalog + 'static> KeptImages<M, C> {
    /// Serves this library, by tasks of this executor. Who was [told](Keeper::tell) of the keeper's commits is also told
    /// when a connection may go on.
    pub fn new(library: Library<M, C>, keeper: Keeper, spawner: Spawner) -> Self {
        KeptImages {
            library,
            keeper,
            spawner,
        }
    }
}

impl<M: Medium + 'static, C: Catalog + 'static> Images for KeptImages<M, C> {
    fn list(&self) -> Vec<ImageFacts> {
        self.library.list().iter().map(facts).collect()
    }

    fn space(&self) -> ImageSpace {
        ImageSpace {
            capacity: self.library.capacity(),
            free: self.library.free(),
        }
    }

    fn download(&self, name: &str) -> Result<(ImageFacts, Box<dyn Download>), ImageRefusal> {
        let image = self.library.image(name).map_err(refusal)?;
        let found = facts(image.facts());
        let reader = Reader::start(image, &self.keeper, &self.spawner);
        Ok((found, Box::new(reader)))
    }

    fn upload(
        &self,
        name: &str,
        length: Option<u64>,
        clock: Clock,
    ) -> Result<Box<dyn Upload>, ImageRefusal> {
        let upload = self.library.upload(name, length, clock.unix_micros);
        let upload = upload.map_err(refusal)?;
        Ok(Box::new(Writer::start(upload, &self.keeper, &self.spawner)))
    }

    fn remove(&self, name: &str) -> Result<Box<dyn Removal>, ImageRefusal> {
        let outcome = Rc::new(RefCell::new(None));
        let remover = Remover(outcome.clone());
        let (library, keeper) = (self.library.clone(), self.keeper.clone());
        let name = name.to_string();
        self.spawner.spawn(async move {
            let removed = library.remove(&name).await;
            *outcome.borrow_mut() = Some(removed.map_err(refusal));
            keeper.news();
        });
        Ok(Box::new(remover))
    }
}

/// A removal under way.
struct Remover(Rc<RefCell<Option<Result<(), ImageRefusal>>>>);

impl Removal for Remover {
    fn outcome(&mut self) -> Option<Result<(), ImageRefusal>> {
        self.0.borrow_mut().take()
    }
}

fn facts(facts: &image_library::ImageFacts) -> ImageFacts {
    ImageFacts {
        name: facts.name.to_string().into(),
        bytes: facts.bytes,
        sha256: facts.sha256.map(|sum| sum.0),
        added: facts.added / 1_000_000,
        format: facts.format.name().into(),
        access: match facts.origin {
            Origin::Disk => ImageAccess::Changeable,
            Origin::Module => ImageAccess::Fixed,
        },
    }
}

fn refusal(error: LibraryError) -> ImageRefusal {
    use image_library::CatalogError;
    let kind = match &error {
        LibraryError::Name => RefusalKind::Name,
        LibraryError::Missing => RefusalKind::Missing,
        LibraryError::ReadOnly | LibraryError::InUse(_) | LibraryError::TooMany => {
            RefusalKind::Conflict
        }
        LibraryError::Full { .. }
        | LibraryError::Scattered
        | LibraryError::Catalog(CatalogError::Full) => RefusalKind::Full,
        LibraryError::Checksum | LibraryError::Length { .. } => RefusalKind::Mismatch,
        LibraryError::Range | LibraryError::Disk(_) | LibraryError::Catalog(CatalogError::Lost) => {
            RefusalKind::Failed
        }
    };
    ImageRefusal {
        kind,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
