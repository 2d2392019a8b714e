//! The demonstration guest: Debian's stock kernel, and an initramfs of its drivers and a static busybox.
//!
//! Called by what boots Linux. Both come from Debian's packages, unpacked under `guest-linux` in the output folder; nothing is
//! installed. What was fetched stays, and the initramfs is made anew from it each time.

use super::apt_sources::Archive;
use super::private_apt::{self, PrivateApt};
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use qemu_tests::cpio::{self, Member};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The release whose kernel is taken: one that stays as it is.
const SUITE: &str = "bookworm";
/// Depends on the package of the current kernel.
const KERNEL: &str = "linux-image-amd64";
const BUSYBOX: &str = "busybox-static";
/// Drivers in the order to load them, with their folders below the package's `kernel`.
const MODULES: [(&str, &str); 9] = [
    ("drivers/virtio", "virtio_ring"),
    ("drivers/virtio", "virtio"),
    ("drivers/virtio", "virtio_pci_modern_dev"),
    ("drivers/virtio", "virtio_pci_legacy_dev"),
    ("drivers/virtio", "virtio_pci"),
    ("drivers/char", "virtio_console"),
    ("drivers/char/hw_random", "virtio-rng"),
    ("drivers/input", "evdev"),
    ("drivers/acpi", "button"),
];

/// The files to boot.
#[derive(Debug, Clone)]
pub struct GuestLinux {
    /// The kernel, a bzImage.
    pub kernel: PathBuf,
    /// Its initramfs.
    pub initramfs: PathBuf,
}

/// Fetches what is missing, and makes the initramfs.
pub fn ensure(workspace: &Workspace) -> Result<GuestLinux> {
    let folder = workspace.output("guest-linux")?;
    let lock = folder.join("lock");
    let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
    lock.lock().context("cannot wait for another set-up")?;
    let parts = folder.join("parts");
    if !parts.is_dir() {
        fetch(&folder, &parts).context("the demonstration guest cannot be fetched")?;
    }
    let guest = GuestLinux {
        kernel: parts.join("vmlinuz"),
        initramfs: folder.join("initramfs"),
    };
    let archive = initramfs(&parts, &workspace.root().join("qemu-tests/linux/init"))?;
    if fs::read(&guest.initramfs).ok().as_deref() != Some(&archive) {
        fs::write(&guest.initramfs, archive)
            .with_context(|| format!("cannot write {}", guest.initramfs.display()))?;
    }
    Ok(guest)
}

/// Puts kernel, drivers and busybox into `parts`, all or nothing.
fn fetch(folder: &Path, parts: &Path) -> Result<()> {
    let scratch = folder.join("scratch");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    let new = scratch.join("parts");
    fs::create_dir_all(&new).with_context(|| format!("cannot write to {}", new.display()))?;
    println!("fetching Debian's kernel and busybox for the demonstration guest");
    let archive = Archive::of_machine(Path::new("/etc/apt"))?;
    let apt = PrivateApt::new(&archive, SUITE, &scratch.join("apt"))?;
    let image = apt
        .dependencies(KERNEL)?
        .into_iter()
        .find(|name| name.starts_with("linux-image-"))
        .with_context(|| format!("Debian's {SUITE} has no {KERNEL}"))?;
    let tree = scratch.join("tree");
    for package in [image.as_str(), BUSYBOX] {
        private_apt::unpack(&apt.download(package)?, &tree)?;
    }
    let version = image.trim_start_matches("linux-image-");
    let kernel = tree.join("boot").join(format!("vmlinuz-{version}"));
    copy(&kernel, &new.join("vmlinuz"))?;
    let modules = tree.join("lib/modules").join(version).join("kernel");
    for (place, name) in MODULES {
        let file = format!("{name}.ko");
        copy(&modules.join(place).join(&file), &new.join(&file))?;
    }
    let places = ["bin/busybox", "usr/bin/busybox"].map(|place| tree.join(place));
    let busybox = places.iter().find(|place| place.is_file());
    copy(
        busybox.context("its package holds no busybox")?,
        &new.join("busybox"),
    )?;
    fs::rename(&new, parts).with_context(|| format!("cannot make {}", parts.display()))?;
    fs::remove_dir_all(&scratch).context("cannot remove what was unpacked")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to);
    let bytes = copied.with_context(|| format!("the package holds no {}", from.display()))?;
    ensure!(bytes > 0, "{} is empty", from.display());
    Ok(())
}

fn initramfs(parts: &Path, init: &Path) -> Result<Vec<u8>> {
    let read = |path: &Path| {
        fs::read(path).with_context(|| {
            format!(
                "cannot read {}: remove its folder and try again",
                path.display()
            )
        })
    };
    let names = MODULES.map(|(_, name)| name);
    let mut members = vec![
        Member::folder("bin"),
        Member::program("bin/busybox", read(&parts.join("busybox"))?),
        Member::program("init", read(init)?),
        Member::folder("lib"),
        Member::folder("lib/modules"),
        Member::new("lib/modules/order", format!("{}\n", names.join("\n"))),
    ];
    for name in names {
        let file = format!("{name}.ko");
        let data = read(&parts.join(&file))?;
        members.push(Member::new(format!("lib/modules/{file}"), data));
    }
    cpio::archive(&members)
}
