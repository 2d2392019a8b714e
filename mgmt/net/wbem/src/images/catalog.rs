//! The image catalog in the keeper.

use alloc::string::String;
use alloc::vec::Vec;

use image_library::{Catalog, CatalogError};

use crate::{Durability, Keeper};

/// The catalog in the keeper.
pub struct KeeperCatalog(pub(super) Keeper);

impl KeeperCatalog {
    /// The catalog in this keeper.
    pub fn new(keeper: Keeper) -> Self {
        KeeperCatalog(keeper)
    }
}

impl Catalog for KeeperCatalog {
    fn entries(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        self.0.entries(prefix)
    }

    fn put(&self, name: &str, value: Vec<u8>) -> Result<(), CatalogError> {
        self.0.put(name, value).map_err(|_| CatalogError::Full)
    }

    fn remove(&self, name: &str) {
        self.0.remove(name);
    }

    async fn settled(&self) -> Result<(), CatalogError> {
        match self.0.settled(self.0.mark()).await {
            Durability::Durable => Ok(()),
            Durability::Pending | Durability::Lost => Err(CatalogError::Lost),
        }
    }
}
