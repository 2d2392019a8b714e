//! The texts of one compilation and positions in them.
//!
//! The compiler registers every text it reads here, so that an error can name its file and show the
//! line it stands on. Positions stay small because a syntax tree carries one per name.

use alloc::string::String;
use alloc::vec::Vec;

use crate::limits;

/// Which of the texts of a [`SourceMap`] a position lies in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(u16);

/// A place in a MOF text; line and column count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The text.
    pub file: FileId,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// The first character of a text.
    #[must_use]
    pub const fn start(file: FileId) -> Self {
        Self {
            file,
            line: 1,
            column: 1,
        }
    }
}

#[derive(Debug)]
struct SourceFile {
    path: String,
    text: String,
}

/// Every text read so far, by [`FileId`].
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
    bytes: usize,
}

impl SourceMap {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            files: Vec::new(),
            bytes: 0,
        }
    }

    /// Registers a text; `None` when the limits on number or total size of texts are exceeded.
    pub fn add(&mut self, path: &str, text: &str) -> Option<FileId> {
        let id = u16::try_from(self.files.len()).ok()?;
        let bytes = self.bytes.checked_add(text.len())?;
        if usize::from(id) >= limits::FILES || bytes > limits::TOTAL_BYTES {
            return None;
        }
        self.bytes = bytes;
        self.files.push(SourceFile {
            path: path.into(),
            text: text.into(),
        });
        Some(FileId(id))
    }

    /// The path a text was registered under.
    #[must_use]
    pub fn path(&self, file: FileId) -> &str {
        self.files
            .get(usize::from(file.0))
            .map_or("?", |f| f.path.as_str())
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self, file: FileId) -> &str {
        self.files
            .get(usize::from(file.0))
            .map_or("", |f| f.text.as_str())
    }

    /// One line of a text without its line end, counted from 1.
    #[must_use]
    pub fn line(&self, file: FileId, line: u32) -> &str {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        self.text(file).lines().nth(index).unwrap_or("")
    }
}
