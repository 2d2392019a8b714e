//! A short-lived folder in the system's folder for temporary files.
//!
//! Used for QEMU's unix sockets: the path of a unix socket is limited to 107 bytes, that of the checkout is not.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder that is removed with the value.
#[derive(Debug)]
pub struct SocketFolder(PathBuf);

const PREFIX: &str = "bulkhead-";

impl SocketFolder {
    /// A new folder; `name` keeps those of one process apart. Folders of processes that were killed go.
    ///
    /// # Errors
    /// The system's folder for temporary files cannot be written.
    pub fn new(name: &str) -> Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let folder = parent.join(format!("{PREFIX}{}-{name}", std::process::id()));
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        // What cannot be removed now, the next process sweeps.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the folders of processes that are no more.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(owner);
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            // Another user's folder stays: it is theirs to sweep.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process number in a folder's name.
fn owner(name: &str) -> Option<&str> {
    let (number, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_lives_as_long_as_the_value() {
        let folder = SocketFolder::new("lifetime").unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("x"), "").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn folders_of_killed_processes_are_swept_and_others_kept() {
        let parent = SocketFolder::new("sweep").unwrap();
        let mine = format!("{PREFIX}{}-x", std::process::id());
        // Larger than any process number Linux gives out.
        for name in [
            "bulkhead-99999999-x",
            mine.as_str(),
            "bulkhead-notes-x",
            "other",
        ] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        sweep(parent.path());
        let mut left: Vec<_> = fs::read_dir(parent.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left.len(), 3);
        assert!(!left.iter().any(|name| name == "bulkhead-99999999-x"));
    }
}
