//! Sample images, which are only names here.

use cim_domain::{Image, ImageFormat, ImageName, Images};

/// The images that there are at the start.
const NAMES: [(&str, ImageFormat); 5] = [
    ("flat.bin", ImageFormat::Unknown),
    ("initrd.img", ImageFormat::Unknown),
    ("multiboot.elf", ImageFormat::Elf),
    ("pvh.elf", ImageFormat::Elf),
    ("vmlinuz", ImageFormat::LinuxKernel),
];

/// Sample images.
pub(super) struct Samples(Vec<Image>);

impl Default for Samples {
    fn default() -> Self {
        let image = |(name, format): &(&str, ImageFormat)| {
            Some(Image {
                name: ImageName::new(name)?,
                bytes: 1 << 20,
                sha256: None,
                unix_micros: None,
                format: *format,
                removable: true,
            })
        };
        Samples(NAMES.iter().filter_map(image).collect())
    }
}

impl Images for Samples {
    fn list(&self) -> Vec<Image> {
        self.0.clone()
    }

    fn remove(&mut self, name: &ImageName) -> Result<(), String> {
        self.0.retain(|image| image.name != *name);
        Ok(())
    }
}
