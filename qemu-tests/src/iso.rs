//! Makes the hybrid boot image: GRUB with Multiboot2, for BIOS and UEFI, on CD or USB stick.
//!
//! Called by `cargo xtask image` and by the machine tests that boot from an ISO.

use crate::emulator::find_program;
use crate::firmware::grub_platforms;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What goes on the image.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The hypervisor's ELF file.
    pub hypervisor: &'a Path,
    /// The boot-module archive.
    pub modules: &'a Path,
    /// The hypervisor's command line.
    pub command_line: &'a str,
    /// Who can boot it.
    pub ways: Ways,
}

/// The firmwares that an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// BIOS and UEFI.
    Both,
    /// BIOS alone: made faster.
    Bios,
}

/// GRUB's menu: one entry, started at once, on screen and serial line.
///
/// The video modules are there for the framebuffer that the hypervisor's header asks for. GRUB itself stays with the
/// firmware's text console: its graphical terminal hangs on a BIOS machine without a display adapter.
pub fn menu(command_line: &str) -> String {
    format!(
        "set timeout=0\n\
         set default=0\n\
         serial --unit=0 --speed=115200\n\
         terminal_input --append serial\n\
         terminal_output --append serial\n\
         insmod all_video\n\
         menuentry \"Bulkhead\" {{\n    \
             multiboot2 /boot/bulkhead.elf {}\n    \
             module2 /boot/modules.cpio\n    \
             boot\n\
         }}\n",
        quoted(command_line)
    )
}

/// The command line as GRUB's script language takes it: each word in single quotes, so that nothing is expanded.
fn quoted(command_line: &str) -> String {
    let words: Vec<_> = command_line
        .split_whitespace()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
        .collect();
    words.join(" ")
}

/// Writes the image to `iso`, using `scratch` for its folder tree.
///
/// # Errors
/// A tool or a GRUB platform is missing, grub-mkrescue fails, or the result lacks one of the two boot ways.
pub fn build(contents: &Contents<'_>, iso: &Path, scratch: &Path) -> Result<()> {
    for platform in grub_platforms() {
        ensure!(
            platform.is_complete(),
            "GRUB's modules are not in {} (package {}): `cargo xtask setup` installs them",
            platform.folder.display(),
            platform.package
        );
    }
    let mkrescue = find_program("grub-mkrescue")
        .context("grub-mkrescue is missing: `cargo xtask setup` installs it")?;
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    let boot = scratch.join("boot");
    fs::create_dir_all(boot.join("grub"))
        .with_context(|| format!("cannot write to {}", scratch.display()))?;
    fs::copy(contents.hypervisor, boot.join("bulkhead.elf")).with_context(|| {
        format!(
            "cannot read the hypervisor {}",
            contents.hypervisor.display()
        )
    })?;
    fs::copy(contents.modules, boot.join("modules.cpio"))
        .with_context(|| format!("cannot read the modules {}", contents.modules.display()))?;
    fs::write(boot.join("grub/grub.cfg"), menu(contents.command_line))?;
    // Made beside the image, so that a failure leaves the former image as it was.
    let unfinished = iso.with_extension("iso.part");
    // No -d: of two, grub-mkrescue takes the last, and its default is every platform checked above.
    let mut command = Command::new(mkrescue);
    if contents.ways == Ways::Bios {
        let [bios, _] = grub_platforms();
        command.arg("-d").arg(bios.folder);
    }
    let output = command
        .args(["--locales=", "--themes=", "-o"])
        .arg(&unfinished)
        .arg(scratch)
        .output()
        .context("cannot run grub-mkrescue")?;
    if !output.status.success() {
        bail!(
            "grub-mkrescue failed:\n{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    if contents.ways == Ways::Both {
        check_boot_ways(&unfinished)?;
    }
    fs::rename(&unfinished, iso)?;
    fs::remove_dir_all(scratch)?;
    Ok(())
}

/// grub-mkrescue leaves a firmware out in silence when something is missing, so ask the image itself.
fn check_boot_ways(iso: &Path) -> Result<()> {
    let xorriso =
        find_program("xorriso").context("xorriso is missing: `cargo xtask setup` installs it")?;
    let output = Command::new(xorriso)
        .arg("-indev")
        .arg(iso)
        .args(["-report_el_torito", "plain"])
        .output()
        .context("cannot run xorriso")?;
    let report = String::from_utf8_lossy(&output.stdout);
    if let Some(firmware) = missing_boot_way(&report) {
        bail!("the image would not boot with {firmware}: grub-mkrescue left it out");
    }
    Ok(())
}

/// The firmware that xorriso's El Torito report does not name.
fn missing_boot_way(report: &str) -> Option<&'static str> {
    let has = |platform: &str| {
        report.lines().any(|line| {
            line.starts_with("El Torito boot img") && line.split_whitespace().any(|w| w == platform)
        })
    };
    [("BIOS", "BIOS"), ("UEFI", "UEFI")]
        .into_iter()
        .find_map(|(platform, name)| (!has(platform)).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "El Torito catalog  : 47  1\n\
        El Torito boot img :   N  Pltf  B   Emul  Ld_seg  Hdpt  Ldsiz         LBA\n\
        El Torito boot img :   1  BIOS  y   none  0x0000  0x00      4        2281\n\
        El Torito boot img :   2  UEFI  y   none  0x0000  0x00   5760          57\n";

    #[test]
    fn the_menu_loads_hypervisor_and_modules() {
        let text = menu("console=com1 exit=when-done");
        assert!(text.contains("multiboot2 /boot/bulkhead.elf 'console=com1' 'exit=when-done'\n"));
        assert!(text.contains("module2 /boot/modules.cpio"));
        assert!(text.contains("serial --unit=0"));
        assert!(text.contains("all_video"));
        assert!(
            !text.contains("gfxterm"),
            "it hangs on a BIOS machine without a display"
        );
    }

    #[test]
    fn the_command_line_is_not_expanded_by_grub() {
        assert_eq!(quoted("a=$b c='d'"), "'a=$b' 'c='\\''d'\\'''");
        assert_eq!(quoted(""), "");
    }

    #[test]
    fn both_boot_ways_are_required() {
        assert_eq!(missing_boot_way(REPORT), None);
        let bios_only: String = REPORT
            .lines()
            .take(3)
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(missing_boot_way(&bios_only), Some("UEFI"));
        assert_eq!(missing_boot_way(""), Some("BIOS"));
    }
}
