//! The Rust target of the images: is it whole, and how to get or mend it.
//!
//! An ordinary rustup has fetched it already, as rust-toolchain.toml names it. Where rustup cannot, its three
//! libraries are built from Debian's rust-src. Exactly one copy of each must be in the sysroot: the compiler refuses
//! to choose between two (E0464) and to use those of another version (E0514).

mod libraries;
mod probe;

use super::debian_rust;
use crate::workspace::{BARE_TARGET, Workspace};
use anyhow::{Context, Result, bail};
use libraries::{Condition, Libraries};
use probe::compiles;
use qemu_tests::emulator::find_program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long rustup may take: the download is 15 MB, and where its server cannot be reached it retries for long.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(180);
const WHAT_TO_DO: &str = "when nothing helps, install Rust with rustup (it reads rust-toolchain.toml and fetches \
                          the target), remove the folder `target` and try again";

/// Whether to ask rustup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rustup {
    /// First, where it keeps the toolchain.
    Tried,
    /// Not at all.
    Unused,
}

/// What rustup can do for the toolchain in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// Nothing: it does not keep it, or is not to be asked.
    Nobody,
    /// It can add the target.
    Rustup,
    /// It believes the target to be there.
    RustupBelievesPresent,
}

/// A step that may bring the target into order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// Delete copies that rustup does not know.
    DropStrangers,
    RustupAdd,
    /// Remove and add: rustup does not look at files it has once installed.
    RustupReinstall,
    BuildFromDebian,
}

/// The remedies to try, in order, until the target is in order.
fn remedies(condition: Condition, keeper: Keeper) -> Vec<Remedy> {
    let mut list = Vec::new();
    if condition == Condition::SeveralCopies && keeper == Keeper::RustupBelievesPresent {
        list.push(Remedy::DropStrangers);
    }
    match keeper {
        Keeper::Nobody => {}
        Keeper::Rustup => list.push(Remedy::RustupAdd),
        Keeper::RustupBelievesPresent => list.push(Remedy::RustupReinstall),
    }
    list.push(Remedy::BuildFromDebian);
    list
}

/// Whether the target is whole and of this compiler: one copy of each library, and a program really links.
pub fn is_good(workspace: &Workspace) -> bool {
    Toolchain::find(workspace).is_ok_and(|toolchain| toolchain.check().is_ok())
}

/// Gets or mends the target, if needed.
pub fn ensure(workspace: &Workspace, rustup: Rustup) -> Result<()> {
    let toolchain = Toolchain::find(workspace)?;
    let Err(problem) = toolchain.check() else {
        return Ok(());
    };
    println!("the Rust target {BARE_TARGET} is not in order: {problem:#}");
    let mut failures = Vec::new();
    for remedy in remedies(toolchain.libraries().condition(), toolchain.keeper(rustup)) {
        let tried = toolchain
            .apply(remedy, workspace)
            .and_then(|()| toolchain.check());
        match tried {
            Ok(()) => {
                println!("the Rust target {BARE_TARGET} is in order now");
                return forget_builds(workspace);
            }
            Err(error) => failures.push(format!("{remedy:?}: {error:#}")),
        }
    }
    bail!(
        "the Rust target {BARE_TARGET} cannot be had:\n  {}\n{WHAT_TO_DO}",
        failures.join("\n  ")
    )
}

/// Everything compiled against the former libraries is of no use, and cargo does not notice.
fn forget_builds(workspace: &Workspace) -> Result<()> {
    let built = workspace.target().join(BARE_TARGET);
    if built.exists() {
        fs::remove_dir_all(&built).with_context(|| format!("cannot remove {}", built.display()))?;
    }
    Ok(())
}

/// The compiler in use and its sysroot.
struct Toolchain {
    rustc: PathBuf,
    sysroot: PathBuf,
    probes: PathBuf,
}

impl Toolchain {
    fn find(workspace: &Workspace) -> Result<Self> {
        let rustc = workspace.rustc();
        let sysroot = PathBuf::from(ask(&rustc, &["--print", "sysroot"])?.trim());
        Ok(Self {
            rustc,
            sysroot,
            probes: workspace.output("setup")?,
        })
    }

    fn libraries(&self) -> Libraries {
        Libraries::in_folder(&self.folder())
    }

    fn folder(&self) -> PathBuf {
        self.rustlib().join(BARE_TARGET).join("lib")
    }

    fn rustlib(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib")
    }

    fn check(&self) -> Result<()> {
        match self.libraries().condition() {
            Condition::OneOfEach => compiles(&self.rustc, &self.probes),
            Condition::SeveralCopies => bail!("a library is there twice"),
            Condition::Incomplete => bail!("a library is missing"),
            Condition::Absent => bail!("it is not installed"),
        }
    }

    /// Rustup keeps a toolchain when it is in a folder `toolchains` and has rustup's own list of components.
    fn keeper(&self, rustup: Rustup) -> Keeper {
        let in_toolchains = self
            .sysroot
            .parent()
            .and_then(Path::file_name)
            .is_some_and(|n| n == "toolchains");
        let components = fs::read_to_string(self.rustlib().join("components"));
        match (rustup, in_toolchains, components, find_program("rustup")) {
            (Rustup::Tried, true, Ok(components), Some(_)) => {
                let ours = format!("rust-std-{BARE_TARGET}");
                if components.lines().any(|line| line == ours) {
                    Keeper::RustupBelievesPresent
                } else {
                    Keeper::Rustup
                }
            }
            _ => Keeper::Nobody,
        }
    }

    fn apply(&self, remedy: Remedy, workspace: &Workspace) -> Result<()> {
        match remedy {
            Remedy::DropStrangers => {
                let list = self
                    .rustlib()
                    .join(format!("manifest-rust-std-{BARE_TARGET}"));
                let known = fs::read_to_string(&list)
                    .with_context(|| format!("cannot read {}", list.display()))?;
                self.libraries().remove_unless(|file| known.contains(file))
            }
            Remedy::RustupAdd => {
                // What is there without rustup's knowledge would be a second copy.
                self.libraries().remove_unless(|_| false)?;
                self.rustup("add")
            }
            Remedy::RustupReinstall => {
                // Rustup refuses to remove a target that lacks one of its files.
                for path in self
                    .installed_by_rustup()?
                    .iter()
                    .filter(|path| !path.exists())
                {
                    fs::create_dir_all(path.parent().unwrap_or(&self.sysroot))
                        .and_then(|()| fs::write(path, ""))
                        .with_context(|| format!("cannot write {}", path.display()))?;
                }
                self.rustup("remove")?;
                self.libraries().remove_unless(|_| false)?;
                self.rustup("add")
            }
            Remedy::BuildFromDebian => self.build_from_debian(workspace),
        }
    }

    /// The target's files as rustup has listed them.
    fn installed_by_rustup(&self) -> Result<Vec<PathBuf>> {
        let list = self
            .rustlib()
            .join(format!("manifest-rust-std-{BARE_TARGET}"));
        let text =
            fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
        let paths = text.lines().filter_map(|line| line.strip_prefix("file:"));
        Ok(paths.map(|path| self.sysroot.join(path)).collect())
    }

    fn rustup(&self, action: &str) -> Result<()> {
        let name = self
            .sysroot
            .file_name()
            .context("the sysroot has no name")?;
        println!("rustup target {action} {BARE_TARGET}");
        let mut child = Command::new("rustup")
            .args(["target", action, "--toolchain"])
            .arg(name)
            .arg(BARE_TARGET)
            .spawn()
            .context("cannot run rustup")?;
        let deadline = Instant::now() + RUSTUP_PATIENCE;
        loop {
            match child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(_) => bail!("rustup cannot {action} the target"),
                None if Instant::now() >= deadline => {
                    // It may end by itself at this very moment.
                    let _ = child.kill();
                    child.wait()?;
                    bail!(
                        "rustup did not {action} the target in {} s",
                        RUSTUP_PATIENCE.as_secs()
                    );
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn build_from_debian(&self, workspace: &Workspace) -> Result<()> {
        let folder = self.folder();
        let refused = || {
            format!(
                "the toolchain's folder {} cannot be written: run this as its owner",
                folder.display()
            )
        };
        // Before the long way, see that it can end well.
        fs::create_dir_all(&folder).with_context(refused)?;
        let trial = folder.join("bulkhead-setup");
        fs::write(&trial, "")
            .and_then(|()| fs::remove_file(&trial))
            .with_context(refused)?;
        let release = release(&ask(&self.rustc, &["--version", "--verbose"])?)?;
        let scratch = workspace.output("setup")?.join("rust-src");
        let built = debian_rust::build(workspace, &release, &scratch)?;
        self.libraries().remove_unless(|_| false)?;
        Libraries::in_folder(&built)
            .copy_to(&folder)
            .with_context(refused)?;
        fs::remove_dir_all(&scratch).context("cannot remove the unpacked sources")?;
        Ok(())
    }
}

/// The output of `program`.
fn ask(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}: install Rust with rustup", program.display()))?;
    if !output.status.success() {
        bail!(
            "{} fails: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The line `release: 1.95.0` of `rustc --version --verbose`.
fn release(version: &str) -> Result<String> {
    let line = version
        .lines()
        .find_map(|line| line.strip_prefix("release: "));
    Ok(line
        .context("rustc does not tell its release")?
        .trim()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustup_is_asked_before_debian() {
        assert_eq!(
            remedies(Condition::Absent, Keeper::Rustup),
            [Remedy::RustupAdd, Remedy::BuildFromDebian]
        );
    }

    #[test]
    fn without_rustup_debian_is_the_only_way() {
        for condition in [
            Condition::Absent,
            Condition::Incomplete,
            Condition::SeveralCopies,
        ] {
            assert_eq!(
                remedies(condition, Keeper::Nobody),
                [Remedy::BuildFromDebian]
            );
        }
    }

    #[test]
    fn what_rustup_believes_present_is_installed_again() {
        assert_eq!(
            remedies(Condition::Incomplete, Keeper::RustupBelievesPresent),
            [Remedy::RustupReinstall, Remedy::BuildFromDebian]
        );
    }

    #[test]
    fn a_second_copy_is_dropped_first() {
        assert_eq!(
            remedies(Condition::SeveralCopies, Keeper::RustupBelievesPresent).first(),
            Some(&Remedy::DropStrangers)
        );
    }

    #[test]
    fn the_release_is_found_in_rustcs_answer() {
        let text = "rustc 1.95.0 (5980761 2026-04-14)\nbinary: rustc\nrelease: 1.95.0\nLLVM: 1\n";
        assert_eq!(release(text).unwrap(), "1.95.0");
        assert!(release("rustc 1.95.0").is_err());
    }
}
