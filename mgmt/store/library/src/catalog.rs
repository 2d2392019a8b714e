//! Where the catalog is kept.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::future::Future;

use store::{Step, Store, StoreError};

use crate::Medium;

/// The catalog's change is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CatalogError {
    /// The configuration store has no room; nothing has changed.
    Full,
    /// The commit failed: the change may be lost at the next start.
    Lost,
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CatalogError::Full => "the configuration store has no room for the catalog's entry",
            CatalogError::Lost => {
                "the configuration store could not be written: the change may be lost at the next start"
            }
        })
    }
}

/// The catalog's entries: named blobs that survive a power cut.
pub trait Catalog {
    /// All entries whose names begin with `prefix`.
    fn entries(&self, prefix: &str) -> Vec<(String, Vec<u8>)>;

    /// Sets an entry; it is durable when a [`Catalog::settled`] that begins later has ended well.
    ///
    /// # Errors
    /// There is no room; nothing has changed.
    fn put(&self, name: &str, value: Vec<u8>) -> Result<(), CatalogError>;

    /// Removes an entry, in the same way.
    fn remove(&self, name: &str);

    /// Waits until all changes so far are durable.
    fn settled(&self) -> impl Future<Output = Result<(), CatalogError>>;
}

/// The catalog in a configuration store that nobody else uses: for the host's tools, where no keeper runs.
pub struct StoreCatalog<M> {
    store: RefCell<Store>,
    medium: Rc<M>,
}

impl<M: Medium> StoreCatalog<M> {
    /// The catalog in this store, which was opened on this medium.
    pub fn new(store: Store, medium: Rc<M>) -> Self {
        let store = RefCell::new(store);
        StoreCatalog { store, medium }
    }

    async fn carry_out(&self, steps: &[Step]) -> Result<(), M::Error> {
        for step in steps {
            match step {
                Step::Write { sector, data } => self.medium.write(*sector, data).await?,
                Step::Flush => self.medium.flush().await?,
            }
        }
        Ok(())
    }
}

impl<M: Medium> Catalog for StoreCatalog<M> {
    fn entries(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let store = self.store.borrow();
        let entries = store.entries(prefix);
        entries
            .map(|(name, value)| (name.into(), value.to_vec()))
            .collect()
    }

    fn put(&self, name: &str, value: Vec<u8>) -> Result<(), CatalogError> {
        let put = self.store.borrow_mut().put(name, value);
        put.map_err(|error| match error {
            StoreError::Full | StoreError::Name => CatalogError::Full,
        })
    }

    fn remove(&self, name: &str) {
        self.store.borrow_mut().remove(name);
    }

    async fn settled(&self) -> Result<(), CatalogError> {
        let Some(commit) = self.store.borrow().begin() else {
            return Ok(());
        };
        let done = self.carry_out(commit.steps()).await;
        done.map_err(|_| CatalogError::Lost)?;
        self.store.borrow_mut().finish(commit);
        Ok(())
    }
}
