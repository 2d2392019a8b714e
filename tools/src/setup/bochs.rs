//! The Bochs emulator, whose Intel CPUs have VMX: Debian's packages, unpacked into the output folder.
//!
//! Called by what runs the VMX backend. The packages of a newer release are taken than most machines have, with the libc they
//! were linked with; nothing is installed but the system libraries that the emulator wants.

use super::apt_sources::Archive;
use super::packages;
use super::private_apt::{self, PrivateApt};
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use qemu_tests::bochs::Bochs;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

/// Version 3.0: the one before has no posted interrupts, the one after divides wrongly.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 4] = ["bochs", "bochsbios", "vgabios", "libc6"];
/// Libraries that the emulator takes from the system, and their packages.
const LIBRARIES: [(&str, &str); 4] = [
    ("libgtk-3.so.0", "libgtk-3-0"),
    ("libltdl.so.7", "libltdl7"),
    ("libreadline.so.8", "libreadline8"),
    ("libsamplerate.so.0", "libsamplerate0"),
];
const SYSTEM_LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// Fetches what is missing.
pub fn ensure(workspace: &Workspace) -> Result<Bochs> {
    let missing: BTreeSet<_> = LIBRARIES
        .iter()
        .filter(|(file, _)| !Path::new(SYSTEM_LIBRARIES).join(file).exists())
        .map(|(_, package)| *package)
        .collect();
    packages::install(&missing)?;
    let folder = workspace.output("bochs")?;
    let lock = folder.join("lock");
    let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
    lock.lock().context("cannot wait for another set-up")?;
    let prefix = folder.join("prefix");
    if !prefix.is_dir() {
        fetch(&folder, &prefix).context("the Bochs emulator cannot be fetched")?;
    }
    let bochs = Bochs::new(prefix.clone());
    let (program, arguments) = bochs.program();
    let version = Command::new(program).args(arguments).arg("--help").output();
    let version = version.context("the Bochs emulator does not start")?;
    let text = [version.stdout, version.stderr].concat();
    ensure!(
        String::from_utf8_lossy(&text).contains("Bochs x86 Emulator"),
        "the Bochs emulator in {} does not run: remove that folder and try again\n{}",
        prefix.display(),
        String::from_utf8_lossy(&text)
    );
    Ok(bochs)
}

fn fetch(folder: &Path, prefix: &Path) -> Result<()> {
    let scratch = folder.join("scratch");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch)
        .with_context(|| format!("cannot write to {}", scratch.display()))?;
    println!("fetching the Bochs emulator from Debian's {SUITE}");
    let archive = Archive::of_machine(Path::new("/etc/apt"))?;
    let apt = PrivateApt::new(&archive, SUITE, &scratch.join("apt"))?;
    let tree = scratch.join("prefix");
    for package in PACKAGES {
        private_apt::unpack(&apt.download(package)?, &tree)?;
    }
    fs::rename(&tree, prefix).with_context(|| format!("cannot make {}", prefix.display()))?;
    fs::remove_dir_all(&scratch).context("cannot remove what was fetched")
}
