//! Builds core, alloc and compiler_builtins for the bare-metal target from Debian's package rust-src.
//!
//! Called by `bare_target` where rustup cannot fetch the target. The sources must be of the very version of the
//! compiler: the libraries use its internals.

use super::apt_sources::Archive;
use super::private_apt::{self, PrivateApt};
use crate::workspace::{self, BARE_TARGET, Workspace};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Where versions newer than a release's own are found, in the order to look.
const SUITES: [&str; 2] = ["trixie-backports", "sid"];
const PACKAGE: &str = "rust-src";

/// Builds the libraries for rustc `release` and returns the folder that holds them; `scratch` is emptied first.
pub fn build(workspace: &Workspace, release: &str, scratch: &Path) -> Result<PathBuf> {
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    fs::create_dir_all(scratch)
        .with_context(|| format!("cannot write to {}", scratch.display()))?;
    let archive = Archive::of_machine(Path::new("/etc/apt"))?;
    let library = sources(&archive, release, scratch)?;
    println!("building core, alloc and compiler_builtins for {BARE_TARGET}");
    compile(workspace, &library, scratch)
}

/// Fetches and unpacks the sources; returns the folder `library`.
fn sources(archive: &Archive, release: &str, scratch: &Path) -> Result<PathBuf> {
    let mut found = None;
    for suite in SUITES {
        let apt = PrivateApt::new(archive, suite, &scratch.join(suite))?;
        println!("looking for {PACKAGE} {release} in Debian's {suite}");
        if let Some(version) = choose(&apt.madison(PACKAGE)?, release) {
            found = Some((apt, version));
            break;
        }
    }
    let (apt, version) = found.with_context(|| {
        format!(
            "Debian has no {PACKAGE} {release} in {}",
            SUITES.join(" or ")
        )
    })?;
    let package = apt.download(&format!("{PACKAGE}={version}"))?;
    let tree = scratch.join("tree");
    private_apt::unpack(&package, &tree)?;
    let library = tree.join(format!("usr/src/rustc-{release}/library"));
    if !library.join("core").is_dir() {
        bail!("{PACKAGE} {version} does not hold usr/src/rustc-{release}/library");
    }
    Ok(library)
}

/// The Debian version of `release` in the table that `apt-cache madison` prints, if there is one.
///
/// Columns are separated by `|`: package, version, source. A Debian version is the upstream version, perhaps
/// `+dfsgN`, and a revision.
fn choose(table: &str, release: &str) -> Option<String> {
    table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| {
            let version = version
                .split_once(':')
                .map_or(*version, |(_epoch, rest)| rest);
            version
                .strip_prefix(release)
                .is_some_and(|rest| rest.starts_with(['+', '-']))
        })
        .map(str::to_owned)
}

/// Compiles an empty crate with cargo's build-std, which leaves the libraries among its dependencies.
fn compile(workspace: &Workspace, library: &Path, scratch: &Path) -> Result<PathBuf> {
    let package = scratch.join("package");
    fs::create_dir_all(package.join("src"))?;
    fs::write(
        package.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nedition = \"2024\"\n[workspace]\n[profile.release]\npanic = \"abort\"\n",
    )?;
    fs::write(package.join("src/lib.rs"), "#![no_std]\n")?;
    let output = scratch.join("out");
    let mut cargo = workspace.cargo();
    cargo
        .current_dir(&package)
        .args(["build", "--release", "--quiet", "--target", BARE_TARGET])
        .args([
            "-Zbuild-std=core,alloc",
            "-Zbuild-std-features=compiler-builtins-mem",
        ])
        .env("CARGO_TARGET_DIR", &output)
        .env("RUSTC", workspace.rustc())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", library)
        // Bitcode, so that a later link-time optimisation can include the libraries.
        .env("RUSTFLAGS", "-C embed-bitcode=yes");
    workspace::succeed(&mut cargo, "core does not build from Debian's sources")?;
    Ok(output.join(BARE_TARGET).join("release/deps"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  rust-src | 1.96.0+dfsg1-1~bpo13+1 | http://mirror.example/debian trixie-backports/main amd64 Packages
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://mirror.example/debian trixie-backports/main amd64 Packages
  rust-src | 1.9.0+dfsg1-1 | http://mirror.example/debian trixie/main amd64 Packages
";

    #[test]
    fn the_exact_upstream_version_is_chosen() {
        assert_eq!(
            choose(TABLE, "1.95.0").as_deref(),
            Some("1.95.0+dfsg1-2~bpo13+1")
        );
        assert_eq!(choose(TABLE, "1.9.0").as_deref(), Some("1.9.0+dfsg1-1"));
    }

    #[test]
    fn a_near_version_is_not_good_enough() {
        for release in ["1.95.1", "1.95", "1.9", "95.0", "1.95.0+dfsg"] {
            assert_eq!(choose(TABLE, release), None, "{release}");
        }
        assert_eq!(choose("", "1.95.0"), None);
    }
}
