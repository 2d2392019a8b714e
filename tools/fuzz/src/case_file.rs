//! [`CaseFile`]: the input under way, in a file that outlives the worker.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEAD: usize = size_of::<u64>();

/// The file, open for writing.
#[derive(Debug)]
pub struct CaseFile(File);

impl CaseFile {
    /// Makes the file, empty.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(file))
    }

    /// Notes that `data` is under way. One write, as this is done for every case.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(&self, data: &[u8], buffer: &mut Vec<u8>) -> Result<()> {
        buffer.clear();
        buffer.extend_from_slice(&(data.len() as u64).to_le_bytes());
        buffer.extend_from_slice(data);
        self.0
            .write_all_at(buffer, 0)
            .context("cannot note the case")
    }

    /// The input that was under way; none before the first case.
    ///
    /// # Errors
    /// There is no such file.
    pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = usize::try_from(u64::from_le_bytes(*head)).unwrap_or(usize::MAX);
        // What stands behind is the end of a longer case before.
        Ok(rest.get(..length).map(<[u8]>::to_vec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_case_is_read_whatever_came_before() {
        let path = std::env::temp_dir().join(format!("bulkhead-case-{}", std::process::id()));
        let file = CaseFile::create(&path).unwrap();
        assert_eq!(CaseFile::read(&path).unwrap(), None);
        let mut buffer = Vec::new();
        file.note(b"a long case", &mut buffer).unwrap();
        file.note(b"short", &mut buffer).unwrap();
        assert_eq!(CaseFile::read(&path).unwrap().unwrap(), b"short");
        fs::remove_file(path).unwrap();
    }
}
