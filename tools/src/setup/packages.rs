//! The Debian packages: which are missing, and their installation.

use crate::workspace;
use anyhow::{Result, bail};
use qemu_tests::emulator::find_program;
use qemu_tests::firmware;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// What a package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Running the machine.
    Run,
    /// Making the ISO image.
    Image,
    /// Booting with UEFI firmware.
    Uefi,
    /// CIM clients.
    Clients,
}

/// How a package shows that it is there.
#[derive(Debug, Clone, Copy)]
enum Sign {
    Program(&'static str),
    File(&'static str),
    Ovmf,
    GrubPlatform,
}

/// Package, use, and the thing looked for: the thing, not the package manager's opinion.
const PACKAGES: [(&str, Group, Sign); 10] = [
    ("qemu-system-x86", Group::Run, Sign::Program(super::QEMU)),
    (
        "qemu-system-data",
        Group::Run,
        Sign::File("/usr/share/qemu/pvh.bin"),
    ),
    (
        "seabios",
        Group::Run,
        Sign::File("/usr/share/seabios/bios-256k.bin"),
    ),
    ("grub-common", Group::Image, Sign::Program("grub-mkrescue")),
    ("grub-pc-bin", Group::Image, Sign::GrubPlatform),
    ("grub-efi-amd64-bin", Group::Image, Sign::GrubPlatform),
    ("xorriso", Group::Image, Sign::Program("xorriso")),
    ("mtools", Group::Image, Sign::Program("mformat")),
    ("ovmf", Group::Uefi, Sign::Ovmf),
    ("sblim-wbemcli", Group::Clients, Sign::Program("wbemcli")),
];

impl Sign {
    fn is_there(self, package: &str) -> bool {
        match self {
            Self::Program(name) => find_program(name).is_some(),
            Self::File(path) => Path::new(path).is_file(),
            Self::Ovmf => firmware::ovmf().is_some(),
            Self::GrubPlatform => firmware::grub_platforms()
                .iter()
                .any(|platform| platform.package == package && platform.is_complete()),
        }
    }
}

/// The packages of `groups` whose contents are not there.
pub fn missing(groups: &[Group]) -> BTreeSet<&'static str> {
    PACKAGES
        .iter()
        .filter(|(package, group, sign)| groups.contains(group) && !sign.is_there(package))
        .map(|(package, _, _)| *package)
        .collect()
}

/// Installs `packages`, as root; otherwise fails with the command to run as root.
pub fn install(packages: &BTreeSet<&str>) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = packages.iter().copied().collect();
    let names = names.join(" ");
    if find_program("apt-get").is_none() {
        bail!("this machine has no apt-get: install what Debian calls {names} and try again");
    }
    if !is_root() {
        bail!(
            "packages are missing; run this as root, then try again:\n    {}",
            as_root(&names)
        );
    }
    println!("installing packages: {names}");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &as_root(&names)])
        .env("DEBIAN_FRONTEND", "noninteractive");
    workspace::succeed(
        &mut shell,
        &format!(
            "the packages {names} cannot be installed: mend apt (its messages are above), or install them by hand"
        ),
    )
}

/// The command that installs `names`, whatever state an interrupted installation has left.
///
/// `--reinstall` brings back files that are gone although the package counts as installed.
fn as_root(names: &str) -> String {
    format!(
        "dpkg --configure -a; apt-get update; \
         apt-get install --yes --no-install-recommends --reinstall {names}"
    )
}

/// Whether we may install: the owner of our own process entry is user 0.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_has_one_row() {
        let names: BTreeSet<_> = PACKAGES.iter().map(|(package, _, _)| package).collect();
        assert_eq!(names.len(), PACKAGES.len());
    }

    #[test]
    fn grub_platforms_know_their_packages() {
        let known = firmware::grub_platforms().map(|platform| platform.package);
        for (package, _, sign) in PACKAGES {
            if matches!(sign, Sign::GrubPlatform) {
                assert!(known.contains(&package), "{package}");
            }
        }
    }

    #[test]
    fn nothing_missing_needs_no_root() {
        install(&BTreeSet::new()).unwrap();
        assert!(missing(&[]).is_empty());
    }

    #[test]
    fn what_is_absent_is_noticed() {
        assert!(!Sign::Program("no-such-program-here").is_there("x"));
        assert!(!Sign::File("/no/such/file").is_there("x"));
        assert!(!Sign::GrubPlatform.is_there("no-such-package"));
    }

    #[test]
    fn the_command_for_root_is_complete() {
        let command = as_root("a b");
        assert!(command.ends_with(" a b"));
        assert!(command.contains("apt-get update"));
    }
}
