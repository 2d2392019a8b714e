//! The checkout: where things are, and how its crates are built.
//!
//! Called by every verb.

use anyhow::{Context, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// The target of the three images.
pub const BARE_TARGET: &str = "x86_64-unknown-none";
/// The packages that are images, hence build only for [`BARE_TARGET`].
pub const IMAGES: [&str; 3] = ["bulkhead", "bulkhead-mgmt", "micro-guests"];

/// The checkout.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
    cargo: PathBuf,
}

impl Workspace {
    /// The workspace this program was started in by cargo, or the one around the current folder.
    pub fn find() -> Result<Self> {
        let start = match env::var_os("CARGO_MANIFEST_DIR") {
            Some(package) => PathBuf::from(package),
            None => env::current_dir().context("the current folder is gone")?,
        };
        let root = start
            .ancestors()
            .find(|folder| folder.join("rust-toolchain.toml").is_file())
            .with_context(|| format!("{} is not inside Bulkhead's checkout", start.display()))?
            .to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => env::current_dir()?.join(folder),
            None => root.join("target"),
        };
        let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        Ok(Self {
            root,
            target,
            cargo,
        })
    }

    /// The checkout's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's output folder.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// A folder of that name in the output folder, made if missing.
    pub fn output(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        Ok(folder)
    }

    /// A cargo command in the checkout.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(&self.root);
        command
    }

    /// The toolchain's own `rustc`: beside the cargo that runs us, which saves asking rustup.
    pub fn rustc(&self) -> PathBuf {
        env::var_os("RUSTC").map(PathBuf::from).unwrap_or_else(|| {
            let beside = self.cargo.with_file_name("rustc");
            if beside.is_file() {
                beside
            } else {
                "rustc".into()
            }
        })
    }

    /// The compiler's name for this machine.
    pub fn host_target(&self) -> Result<String> {
        let output = Command::new(self.rustc())
            .arg("-vV")
            .output()
            .context("cannot run rustc")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let host = text.lines().find_map(|line| line.strip_prefix("host: "));
        host.map(str::to_owned)
            .context("rustc does not say for which machine it is")
    }

    /// Builds image `package`s and returns the folder with the results.
    pub fn build_images(&self, packages: &[&str]) -> Result<PathBuf> {
        let mut command = self.cargo();
        command.args(["build", "--release", "--target", BARE_TARGET]);
        for package in packages {
            command.args(["--package", package]);
        }
        succeed(
            &mut command,
            "the images do not build: the compiler's messages above say why",
        )?;
        Ok(self.target.join(BARE_TARGET).join("release"))
    }

    /// Builds the host program of `package`, for speed, and returns it. The program is named after the package.
    pub fn build_program(&self, package: &str) -> Result<PathBuf> {
        let mut command = self.cargo();
        command.args(["build", "--quiet", "--release", "--package", package]);
        succeed(
            &mut command,
            "it does not build: the compiler's messages above say why",
        )?;
        Ok(self.target.join("release").join(package))
    }
}

/// Runs `command` with our input and output.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))
}

/// Runs `command` with our input and output; a failure is the error `otherwise`.
pub fn succeed(command: &mut Command, otherwise: &str) -> Result<()> {
    if !status(command)?.success() {
        bail!("{otherwise}");
    }
    Ok(())
}
