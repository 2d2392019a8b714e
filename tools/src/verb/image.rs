//! `cargo xtask image`: the product as files to boot from.
//!
//! Also called by `run`, which boots what this makes.

use crate::setup::{self, Purpose};
use crate::workspace::{IMAGES, Workspace};
use anyhow::{Context, Result, bail};
use clap::Args;
use qemu_tests::cpio::{self, Member};
use qemu_tests::iso;
use qemu_tests::partition::{FILE_NAME, MANAGEMENT_IMAGE, Partition, configuration};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Builds everything and makes target/image/bulkhead.iso, which boots from CD, USB stick and disk, with BIOS and UEFI.
#[derive(Args)]
pub struct Image {
    /// A file to carry as a boot module under its own name (a kernel, a disk image ...)
    #[arg(long = "add", value_name = "FILE", num_args = 1..)]
    add: Vec<PathBuf>,
    /// The hypervisor's command line
    #[arg(long, value_name = "TEXT", default_value = "")]
    command_line: String,
}

impl Image {
    /// Runs the verb.
    pub fn run(self, workspace: &Workspace) -> Result<ExitCode> {
        setup::ensure(workspace, Purpose::Image)?;
        let built = BootFiles::build(workspace)?;
        let boot = BootFiles::make(&built, &workspace.output("image")?, &self.add, "")?;
        let iso = boot.iso(&self.command_line)?;
        for file in [&boot.hypervisor, &boot.modules, &iso] {
            println!("{}", file.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The files every way of booting starts from.
#[derive(Debug)]
pub struct BootFiles {
    folder: PathBuf,
    /// The hypervisor's ELF file.
    pub hypervisor: PathBuf,
    /// The boot-module archive.
    pub modules: PathBuf,
}

impl BootFiles {
    /// Builds the images; returns their folder.
    pub fn build(workspace: &Workspace) -> Result<PathBuf> {
        setup::ensure(workspace, Purpose::Build)?;
        let [hypervisor, management, _] = IMAGES;
        workspace.build_images(&[hypervisor, management])
    }

    /// Writes the images that are in `built` to `folder`; `arguments` is the management partition's command line.
    pub fn make(built: &Path, folder: &Path, add: &[PathBuf], arguments: &str) -> Result<Self> {
        let [hypervisor, management, _] = IMAGES;
        let mut members = vec![
            Member::new(
                FILE_NAME,
                configuration(&[Partition::product_management().arguments(arguments)]),
            ),
            Member::new(MANAGEMENT_IMAGE, read(&built.join(management))?),
        ];
        for file in add {
            members.push(Member::new(module_name(file)?, read(file)?));
        }
        let boot = Self {
            hypervisor: folder.join("bulkhead.elf"),
            modules: folder.join("modules.cpio"),
            folder: folder.to_owned(),
        };
        replace(&boot.modules, &cpio::archive(&members)?)?;
        replace(&boot.hypervisor, &read(&built.join(hypervisor))?)?;
        Ok(boot)
    }

    /// Makes the ISO image of these files.
    pub fn iso(&self, command_line: &str) -> Result<PathBuf> {
        let iso = self.folder.join("bulkhead.iso");
        let contents = iso::Contents {
            ways: iso::Ways::Both,
            hypervisor: &self.hypervisor,
            modules: &self.modules,
            command_line,
        };
        iso::build(&contents, &iso, &self.folder.join("tree"))?;
        Ok(iso)
    }
}

fn module_name(file: &Path) -> Result<String> {
    match file.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(name.to_owned()),
        None => bail!("{} has no name a boot module could have", file.display()),
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Writes beside and renames: a machine that boots from the former file keeps it whole.
fn replace(file: &Path, data: &[u8]) -> Result<()> {
    let unfinished = file.with_extension("part");
    fs::write(&unfinished, data)
        .with_context(|| format!("cannot write {}", unfinished.display()))?;
    fs::rename(&unfinished, file).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_like_its_file() {
        assert_eq!(
            module_name(Path::new("a/b/vmlinuz-6.1")).unwrap(),
            "vmlinuz-6.1"
        );
        assert!(module_name(Path::new("..")).is_err());
    }
}
