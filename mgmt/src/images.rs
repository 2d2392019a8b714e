//! The image library of this partition: the boot modules, and what is on the first disk behind the configuration store.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};

use cim_domain::{Image, ImageFormat, ImageName, Images};
use image_library::{Format, LibraryError, Medium, Origin};
use mgmt_executor::Spawner;
use mgmt_virtio::VirtioError;
use mgmt_wbem::{KeeperCatalog, KeptLibrary};
use vmm_loader::ImageFile;

use crate::disk::HostDisk;
use crate::report;

/// The library; clones share it.
pub type DiskLibrary = KeptLibrary<LibraryDisk>;

/// The disk under the library; without one it has no sectors.
pub struct LibraryDisk(pub Option<HostDisk>);

impl LibraryDisk {
    fn disk(&self) -> Result<&HostDisk, VirtioError> {
        self.0.as_ref().ok_or(VirtioError::BadRange)
    }
}

impl Medium for LibraryDisk {
    type Error = VirtioError;

    fn sectors(&self) -> u64 {
        self.0.as_ref().map_or(0, HostDisk::sectors)
    }

    async fn read(&self, sector: u64, into: &mut [u8]) -> Result<(), VirtioError> {
        self.disk()?.read(sector, into).await
    }

    async fn write(&self, sector: u64, data: &[u8]) -> Result<(), VirtioError> {
        self.disk()?.write(sector, data).await
    }

    async fn flush(&self) -> Result<(), VirtioError> {
        self.disk()?.flush().await
    }
}

/// An image that a system is loaded from.
pub struct File(image_library::Image<LibraryDisk, KeeperCatalog>);

impl File {
    /// Opens an image.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn open(library: &DiskLibrary, name: &str) -> Result<Self, LibraryError> {
        library.image(name).map(File)
    }
}

impl ImageFile for File {
    type Error = LibraryError;

    fn bytes(&self) -> u64 {
        self.0.facts().bytes
    }

    async fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), LibraryError> {
        self.0.read(offset, into).await
    }
}

/// The library as the domain sees it.
pub struct DomainImages {
    /// The library.
    pub library: DiskLibrary,
    /// Finishes what cannot be done at once.
    pub spawner: Spawner,
}

impl Images for DomainImages {
    fn list(&self) -> Vec<Image> {
        let facts = self.library.list();
        facts.iter().filter_map(image).collect()
    }

    fn find(&self, name: &ImageName) -> Option<Image> {
        let found = self.library.image(name.as_str()).ok()?;
        image(found.facts())
    }

    fn remove(&mut self, name: &ImageName) -> Result<(), String> {
        let library = self.library.clone();
        let name = name.clone();
        let mut removal = Box::pin(async move { library.remove(name.as_str()).await });
        // The change is made at once; what is waited for is its commit, which the answer to the client waits for as well.
        match removal
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(done) => done.map_err(|error| error.to_string()),
            Poll::Pending => {
                self.spawner.spawn(async move {
                    if let Err(error) = removal.await {
                        report!("image library: {error}");
                    }
                });
                Ok(())
            }
        }
    }
}

fn image(facts: &image_library::ImageFacts) -> Option<Image> {
    Some(Image {
        name: ImageName::new(facts.name.as_str())?,
        bytes: facts.bytes,
        sha256: facts.sha256.map(|sum| sum.0),
        unix_micros: (facts.added != 0).then_some(facts.added),
        format: match facts.format {
            Format::LinuxKernel => ImageFormat::LinuxKernel,
            Format::Elf => ImageFormat::Elf,
            _ => ImageFormat::Unknown,
        },
        removable: facts.origin == Origin::Disk,
    })
}
