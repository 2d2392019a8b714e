//! The demonstration guest: Debian's stock kernel, and an initramfs of its drivers and a static busybox.
//!
//! Called by what boots Linux. Both come from Debian's packages, unpacked under `guest-linux` in the output folder; nothing is
//! installed. What was fetched stays, and the initramfs is made anew from it each time.

use super::apt_sources::Archive;
use super::private_apt::{self, PrivateApt};
use super::venv;
use crate::workspace::{self, Workspace};
use anyhow::{Context, Result, ensure};
use qemu_tests::cpio::{self, Member};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The kernel without its compression, as an ELF file: where instructions are emulated one by one, unpacking takes longer than
/// all the rest of its boot.
pub fn unpacked_kernel(workspace: &Workspace, guest: &GuestLinux) -> Result<PathBuf> {
    let folder = workspace.output("guest-linux")?;
    let elf = folder.join("vmlinux");
    let kernel = fs::read(&guest.kernel)?;
    let payload = payload(&kernel).context("the kernel is no bzImage with an xz payload")?;
    let packed = folder.join("vmlinux.xz");
    fs::write(&packed, payload).with_context(|| format!("cannot write {}", packed.display()))?;
    let unfinished = folder.join("vmlinux.part");
    let mut python = Command::new(venv::folder(workspace).join("bin/python"));
    python.args(["-c", UNPACK]).arg(&packed).arg(&unfinished);
    workspace::succeed(&mut python, "the kernel cannot be unpacked")?;
    fs::rename(&unfinished, &elf)?;
    fs::remove_file(&packed)?;
    Ok(elf)
}

/// Behind the xz stream is its length, which xz itself would take for rubbish.
const UNPACK: &str = "import lzma, sys
with open(sys.argv[1], 'rb') as packed, open(sys.argv[2], 'wb') as out:
    out.write(lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(packed.read()))
";

/// The compressed kernel in a bzImage (Linux, Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length).
fn payload(image: &[u8]) -> Option<&[u8]> {
    const XZ: &[u8] = b"\xfd7zXZ\0";
    let word = |at: usize| {
        let bytes = image.get(at..)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    if image.get(0x202..)?.first_chunk() != Some(b"HdrS") {
        return None;
    }
    let sectors = match *image.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = ((sectors + 1) * 512).checked_add(word(0x248)?)?;
    let payload = image.get(start..start.checked_add(word(0x24c)?)?)?;
    payload.starts_with(XZ).then_some(payload)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage with two set-up sectors and a payload of 16 bytes behind 32 others.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 2048];
        image[0x1f1] = 2;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x24c].copy_from_slice(&32_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&16_u32.to_le_bytes());
        image[3 * 512 + 32..][..6].copy_from_slice(b"\xfd7zXZ\0");
        image
    }

    #[test]
    fn the_payload_is_where_the_header_says() {
        let found = image();
        assert_eq!(payload(&found).map(<[u8]>::len), Some(16));
        let mut other = image();
        other[3 * 512 + 32] = 0;
        assert_eq!(payload(&other), None, "another compression");
        let mut short = image();
        short[0x24c..0x250].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(payload(&short), None, "beyond the end");
        assert_eq!(payload(&image()[..0x240]), None);
        assert_eq!(payload(b"\x7fELF"), None);
    }
}
