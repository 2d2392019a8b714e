//! [`Corpus`]: the inputs that each reached something new, kept in a folder between campaigns.

use crate::finding::name;
use crate::random::Random;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The inputs.
#[derive(Debug)]
pub struct Corpus {
    folder: PathBuf,
    inputs: Vec<Vec<u8>>,
}

impl Corpus {
    /// An empty corpus that keeps its inputs in `folder`.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            inputs: Vec::new(),
        })
    }

    /// The inputs in the folder, the short ones first: what a long one has in common with them is then no news.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn kept(&self) -> Result<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            all.push(fs::read(entry?.path())?);
        }
        all.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        Ok(all)
    }

    /// Takes in an input.
    pub fn add(&mut self, data: Vec<u8>) {
        self.inputs.push(data);
    }

    /// Takes in an input and keeps it for the next time.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep(&mut self, data: Vec<u8>) -> Result<()> {
        let path = self.folder.join(name(&data));
        fs::write(&path, &data).with_context(|| format!("cannot write {}", path.display()))?;
        self.inputs.push(data);
        Ok(())
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.inputs.len()
    }

    /// An input to start from: half the time one of the newest, as what leads further is most often there.
    pub fn pick(&self, random: &mut Random) -> &[u8] {
        let newest = (self.inputs.len() / 8).max(1);
        let from = if random.below(2) == 0 {
            self.inputs.len().saturating_sub(newest)
        } else {
            0
        };
        let at = from + random.below(self.inputs.len() - from);
        self.inputs.get(at).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_there_the_next_time_in_the_order_of_their_length() {
        let folder = std::env::temp_dir().join(format!("bulkhead-corpus-{}", std::process::id()));
        let mut corpus = Corpus::new(&folder).unwrap();
        assert_eq!(corpus.pick(&mut Random::new(1)), b"");
        for input in ["ccc", "a", "bb"] {
            corpus.keep(input.into()).unwrap();
        }
        let again = Corpus::new(&folder).unwrap();
        assert_eq!(
            again.kept().unwrap(),
            [b"a".to_vec(), b"bb".to_vec(), b"ccc".to_vec()]
        );
        assert_eq!(corpus.len(), 3);
        fs::remove_dir_all(folder).unwrap();
    }
}
