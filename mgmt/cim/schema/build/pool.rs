//! Pools of strings, integers and lists, each value stored once and named by a 16-bit id.
//!
//! Sixteen bits keep the rows small; the build fails when a pool outgrows them.

use std::collections::HashMap;

/// The id that stands for "none" everywhere in the tables.
pub const NONE: u16 = u16::MAX;

/// A run of entries of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index of the first entry.
    pub start: u16,
    /// Number of entries.
    pub len: u16,
}

/// An index as an id of the tables.
///
/// # Errors
/// When the table is full.
pub fn id(index: usize) -> Result<u16, String> {
    match u16::try_from(index) {
        Ok(id) if id != NONE => Ok(id),
        _ => Err(format!("entry {index} does not fit a 16-bit table")),
    }
}

/// The pools of one schema.
#[derive(Debug, Default)]
pub struct Pools {
    texts: Vec<String>,
    text_ids: HashMap<String, u16>,
    integers: Vec<u64>,
    integer_ids: HashMap<u64, u16>,
    lists: Vec<u16>,
    list_spans: HashMap<Vec<u16>, Span>,
}

impl Pools {
    /// The id of a string.
    pub fn string(&mut self, text: &str) -> Result<u16, String> {
        if let Some(id) = self.text_ids.get(text) {
            return Ok(*id);
        }
        let id = id(self.texts.len())?;
        self.texts.push(text.into());
        self.text_ids.insert(text.into(), id);
        Ok(id)
    }

    /// The id of an integer, in two's complement when signed, or of the bits of a real.
    pub fn integer(&mut self, bits: u64) -> Result<u16, String> {
        if let Some(id) = self.integer_ids.get(&bits) {
            return Ok(*id);
        }
        let id = id(self.integers.len())?;
        self.integers.push(bits);
        self.integer_ids.insert(bits, id);
        Ok(id)
    }

    /// The place of a list of ids.
    pub fn list(&mut self, ids: Vec<u16>) -> Result<Span, String> {
        if let Some(span) = self.list_spans.get(&ids) {
            return Ok(*span);
        }
        let span = Span {
            start: id(self.lists.len())?,
            len: id(ids.len())?,
        };
        self.lists.extend_from_slice(&ids);
        self.list_spans.insert(ids, span);
        Ok(span)
    }

    /// All strings in one.
    pub fn text(&self) -> String {
        self.texts.concat()
    }

    /// Where each string starts in [`Self::text`], and where the last one ends.
    pub fn text_starts(&self) -> Vec<usize> {
        let mut starts = vec![0];
        let mut end = 0;
        for text in &self.texts {
            end += text.len();
            starts.push(end);
        }
        starts
    }

    /// Every integer by id.
    pub fn integers(&self) -> &[u64] {
        &self.integers
    }

    /// The ids of all lists, one after the other.
    pub fn lists(&self) -> &[u16] {
        &self.lists
    }
}
