//! apt with a private configuration: the machine's own lists, cache and sources stay as they are, and no root is needed.
//!
//! Called for what is unpacked into the output folder instead of being installed.

use super::apt_sources::Archive;
use crate::workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// apt with its own sources, lists and cache.
pub struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    /// apt for Debian's `suite` from the machine's own mirror; `folder` is its working folder.
    pub fn new(archive: &Archive, suite: &str, folder: &Path) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        // apt tells the format by the name's end.
        fs::write(folder.join("private.sources"), archive.source(suite))?;
        let apt = Self {
            folder: folder.to_owned(),
        };
        let mut update = apt.command("apt-get");
        workspace::succeed(
            update.args(["-qq", "update"]),
            &format!("apt cannot read Debian's {suite} from this machine's mirror"),
        )?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.display();
        command.current_dir(&self.folder);
        for option in [
            format!("Dir::Etc::sourcelist={folder}/private.sources"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            // The folder is ours, not of apt's own user.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=2".to_owned(),
            "Acquire::http::Timeout=60".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }

    /// The table of `package`'s versions, as `apt-cache madison` prints it.
    pub fn madison(&self, package: &str) -> Result<String> {
        let output = self
            .command("apt-cache")
            .args(["madison", package])
            .output()
            .context("cannot run apt-cache")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What `package` depends on, by name.
    pub fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let output = self
            .command("apt-cache")
            .args(["depends", package])
            .output()
            .context("cannot run apt-cache")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    /// Downloads `package`, a name or NAME=VERSION, and returns the file.
    pub fn download(&self, package: &str) -> Result<PathBuf> {
        workspace::succeed(
            self.command("apt-get").args(["-qq", "download", package]),
            &format!("apt cannot download {package}"),
        )?;
        let name = package.split('=').next().unwrap_or(package);
        let entries = fs::read_dir(&self.folder)?;
        let found = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| is_of_package(path, name));
        found.with_context(|| format!("apt has not left a {name} package behind"))
    }
}

/// Whether the file is `name_VERSION_ARCHITECTURE.deb`.
fn is_of_package(path: &Path, name: &str) -> bool {
    let file = path.file_name().and_then(|file| file.to_str());
    file.and_then(|file| file.strip_prefix(name))
        .is_some_and(|rest| rest.starts_with('_') && rest.ends_with(".deb"))
}

/// Unpacks the files of a package into `tree`.
pub fn unpack(package: &Path, tree: &Path) -> Result<()> {
    workspace::succeed(
        Command::new("dpkg-deb").arg("-x").arg(package).arg(tree),
        "the downloaded package cannot be unpacked",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_file_is_found_by_its_whole_name() {
        let is = |file: &str| is_of_package(Path::new(file), "linux-image-6.1.0-9-amd64");
        assert!(is("/x/linux-image-6.1.0-9-amd64_6.1.1-1_amd64.deb"));
        assert!(!is("/x/linux-image-6.1.0-9-amd64-dbg_6.1.1-1_amd64.deb"));
        assert!(!is("/x/linux-image-6.1.0-9-amd64_6.1.1-1_amd64.dsc"));
    }
}
