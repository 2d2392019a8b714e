//! Finds what Debian's packages put on the disk for booting: OVMF and GRUB's two platforms.
//!
//! Called by set-up (is it there?), the ISO builder and the boots under UEFI.

use crate::machine::Firmware;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// OVMF's code and variables: Debian 12 has both sizes, Debian 13 only the 4 MiB one.
const OVMF: [(&str, &str); 2] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
];

const GRUB: &str = "/usr/lib/grub";
/// GRUB's platforms on the image, by firmware.
const GRUB_PLATFORMS: [(&str, &str); 2] = [
    ("grub-pc-bin", "i386-pc"),
    ("grub-efi-amd64-bin", "x86_64-efi"),
];

/// OVMF's files, when the package `ovmf` is there.
pub fn ovmf() -> Option<(&'static Path, &'static Path)> {
    OVMF.iter()
        .map(|(code, variables)| (Path::new(*code), Path::new(*variables)))
        .find(|(code, variables)| code.is_file() && variables.is_file())
}

/// UEFI firmware for one boot, its variables copied to `folder`.
///
/// # Errors
/// OVMF is not installed, or the copy cannot be written.
pub fn uefi(folder: &Path) -> Result<Firmware> {
    let (code, original) =
        ovmf().context("UEFI firmware (OVMF) is missing: `cargo xtask setup` installs it")?;
    let variables = folder.join("uefi-variables.fd");
    fs::copy(original, &variables)
        .with_context(|| format!("cannot write {}", variables.display()))?;
    Ok(Firmware::Uefi {
        code: code.to_owned(),
        variables,
    })
}

/// A GRUB platform: its folder of modules and the Debian package that brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrubPlatform {
    /// Debian package.
    pub package: &'static str,
    /// Folder of the modules.
    pub folder: PathBuf,
}

impl GrubPlatform {
    /// Whether the modules are there.
    pub fn is_complete(&self) -> bool {
        // Both are read by grub-mkrescue and used at every boot of our menu.
        ["moddep.lst", "multiboot2.mod"]
            .iter()
            .all(|file| self.folder.join(file).is_file())
    }
}

/// The platforms the image needs, one for each firmware.
pub fn grub_platforms() -> [GrubPlatform; 2] {
    GRUB_PLATFORMS.map(|(package, platform)| GrubPlatform {
        package,
        folder: Path::new(GRUB).join(platform),
    })
}
