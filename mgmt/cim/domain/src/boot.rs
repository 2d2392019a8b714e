//! [`Boot`]: what a system starts with.

use crate::image::ImageName;
use alloc::string::String;
use alloc::vec::Vec;

/// How the kernel is to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootFormat {
    /// Linux bzImage by the 64-bit boot protocol.
    Linux,
    /// ELF with a PVH entry note.
    Pvh,
    /// ELF (or flat by its header) with a Multiboot 1 header.
    Multiboot,
    /// ELF with a Multiboot 2 header.
    Multiboot2,
    /// The bytes as they are, at an address.
    Flat,
}

impl BootFormat {
    /// Every format.
    pub const ALL: [BootFormat; 5] = [
        BootFormat::Linux,
        BootFormat::Pvh,
        BootFormat::Multiboot,
        BootFormat::Multiboot2,
        BootFormat::Flat,
    ];

    /// The name that clients and the store use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            BootFormat::Linux => "linux",
            BootFormat::Pvh => "pvh",
            BootFormat::Multiboot => "multiboot",
            BootFormat::Multiboot2 => "multiboot2",
            BootFormat::Flat => "flat",
        }
    }

    /// The format of that name, in whatever case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(name))
    }
}

/// What a system starts with. Without a kernel the system can be defined but not started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// The kernel.
    pub kernel: Option<ImageName>,
    /// The initial RAM disk, for Linux and PVH.
    pub initrd: Option<ImageName>,
    /// The kernel's command line; `None` for an empty one.
    pub command_line: Option<String>,
    /// How to load the kernel; `None` looks at it.
    pub format: Option<BootFormat>,
    /// Modules, for Multiboot and PVH.
    pub modules: Vec<BootModule>,
    /// Guest-physical address of a flat binary; `None` for 0x100000.
    pub load_address: Option<u64>,
    /// Guest-physical address where a flat binary starts; `None` for its first byte.
    pub entry_address: Option<u64>,
}

/// A boot module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootModule {
    /// The file.
    pub image: ImageName,
    /// The text that the guest gets with it.
    pub arguments: String,
}

impl Boot {
    /// Every image that the system needs at its start.
    pub fn images(&self) -> impl Iterator<Item = &ImageName> {
        let modules = self.modules.iter().map(|module| &module.image);
        self.kernel.iter().chain(&self.initrd).chain(modules)
    }

    /// Takes over a fact that stands under this name, in the store and in what clients see; `None` where there is no such fact,
    /// or it cannot have this value. `arguments` are those of the last module.
    pub fn take_fact(&mut self, name: &str, value: String) -> Option<()> {
        match name {
            "kernel" => self.kernel = Some(ImageName::new(&value)?),
            "initrd" => self.initrd = Some(ImageName::new(&value)?),
            "command-line" => self.command_line = Some(value),
            "format" => self.format = Some(BootFormat::from_name(&value)?),
            "load-address" => self.load_address = Some(value.parse().ok()?),
            "entry-address" => self.entry_address = Some(value.parse().ok()?),
            "module" => self.modules.push(BootModule {
                image: ImageName::new(&value)?,
                arguments: String::new(),
            }),
            "arguments" => self.modules.last_mut()?.arguments = value,
            _ => return None,
        }
        Some(())
    }
}
