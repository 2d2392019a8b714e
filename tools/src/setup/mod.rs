//! Makes the machine ready: packages, the bare-metal Rust target, the Python environment.
//!
//! Called by the verb `setup` for everything, and by the others for what they need. Each part looks at the thing
//! itself (is the program there, does it compile), so that a damaged installation is noticed and mended.

pub mod apt_sources;
pub mod bare_target;
pub mod bochs;
pub mod debian_rust;
pub mod guest_linux;
pub mod packages;
pub mod private_apt;
pub mod venv;

use crate::workspace::Workspace;
use anyhow::{Context, Result};
use bare_target::Rustup;
use packages::Group;
use std::fs::File;
use std::thread;

/// QEMU's program.
pub const QEMU: &str = "qemu-system-x86_64";

/// What a caller is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Compile the images.
    Build,
    /// Make the ISO image.
    Image,
    /// Boot in QEMU.
    Run,
    /// Boot in QEMU every way, ISO and UEFI included.
    MachineTests,
    /// Test with real CIM clients.
    Clients,
    /// All of it.
    Everything,
}

impl Purpose {
    fn groups(self) -> &'static [Group] {
        match self {
            Self::Build => &[],
            Self::Image => &[Group::Image],
            Self::Run => &[Group::Run],
            Self::MachineTests => &[Group::Run, Group::Image, Group::Uefi],
            Self::Clients => &[Group::Clients],
            Self::Everything => &[Group::Run, Group::Image, Group::Uefi, Group::Clients],
        }
    }

    /// Whether the demonstration guest is fetched as well; what boots it fetches it by itself.
    fn needs_guest(self) -> bool {
        matches!(self, Self::Everything)
    }

    fn needs_python(self) -> bool {
        matches!(self, Self::Clients | Self::Everything)
    }
}

/// Makes sure that `purpose` can be served.
pub fn ensure(workspace: &Workspace, purpose: Purpose) -> Result<()> {
    // The looks are independent and each costs some ten milliseconds, mostly in other programs.
    let (target, venv) = thread::scope(|scope| {
        let target = scope.spawn(|| bare_target::is_good(workspace));
        let venv = scope.spawn(|| !purpose.needs_python() || venv::is_good(workspace));
        (target.join().unwrap_or(false), venv.join().unwrap_or(false))
    });
    let missing = packages::missing(purpose.groups());
    if missing.is_empty() && target && venv {
        return guest(workspace, purpose);
    }
    // Two callers at once would mend the same thing.
    let lock = workspace.output("setup")?.join("lock");
    let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
    lock.lock().context("cannot wait for another set-up")?;
    packages::install(&packages::missing(purpose.groups()))?;
    if !target {
        bare_target::ensure(workspace, Rustup::Tried)?;
    }
    if !venv {
        venv::ensure(workspace)?;
    }
    guest(workspace, purpose)
}

fn guest(workspace: &Workspace, purpose: Purpose) -> Result<()> {
    if purpose.needs_guest() {
        guest_linux::ensure(workspace)?;
    }
    Ok(())
}
