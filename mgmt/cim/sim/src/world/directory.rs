//! Blobs as files in a directory of the host, so that a simulator can be restarted over what an earlier one kept.

use cim_domain::{Keep, KeepError};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Blobs as files. A slash in a name is a `+` in the file's.
pub(super) struct Directory {
    path: PathBuf,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Directory {
    /// Reads a directory, which is made if there is none.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        Self::read(path)
            .map_err(|error| format!("the store {} cannot be read: {error}", path.display()))
    }

    fn read(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let mut blobs = BTreeMap::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().replace('+', "/");
            if !name.ends_with('~') {
                blobs.insert(name, fs::read(entry.path())?);
            }
        }
        Ok(Directory {
            path: path.into(),
            blobs,
        })
    }

    fn write(&self, name: &str, value: &[u8]) -> io::Result<()> {
        let file_name = name.replace('/', "+");
        let new = self.path.join(format!("{file_name}~"));
        let mut file = File::create(&new)?;
        file.write_all(value)?;
        file.sync_all()?;
        fs::rename(new, self.path.join(file_name))
    }
}

impl Keep for Directory {
    fn put(&mut self, name: &str, value: &[u8]) -> Result<(), KeepError> {
        self.write(name, value).map_err(|_| KeepError::Failed)?;
        self.blobs.insert(name.into(), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), KeepError> {
        if self.blobs.remove(name).is_some() {
            let file = self.path.join(name.replace('/', "+"));
            fs::remove_file(file).map_err(|_| KeepError::Failed)?;
        }
        Ok(())
    }

    fn entries(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let entries = self.blobs.range(prefix.to_string()..);
        entries
            .take_while(|(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}
