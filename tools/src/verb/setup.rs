//! `cargo xtask setup`: everything a fresh Debian machine needs.

use crate::setup::{self, Purpose};
use crate::workspace::Workspace;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Makes this Debian machine (12 or 13) ready for all verbs; does nothing, and quickly, when it is.
///
/// Installs packages (as root), the bare-metal Rust target and a Python environment, fetches the demonstration guest and the
/// Bochs emulator, and mends what is half-done.
/// The other verbs call the part they need by themselves.
#[derive(Args)]
pub struct Setup {
    /// Do not ask rustup for the bare-metal target: build it from Debian's rust-src
    #[arg(long)]
    without_rustup: bool,
}

impl Setup {
    /// Runs the verb.
    pub fn run(self, workspace: &Workspace) -> Result<ExitCode> {
        if self.without_rustup {
            setup::bare_target::ensure(workspace, setup::bare_target::Rustup::Unused)?;
        }
        setup::ensure(workspace, Purpose::Everything)?;
        setup::bochs::ensure(workspace)?;
        println!("set up: packages, Rust target, Python environment and emulators are in order");
        Ok(ExitCode::SUCCESS)
    }
}
