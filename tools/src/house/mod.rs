//! The house rules: what the compiler does not enforce about layers, words and files.
//!
//! Called by the part `lint` of the tests. A rule reads the tree and returns its breaches, one sentence each.

mod addresses;
mod architecture;
mod assembly;
mod layers;
mod sizes;
mod words;

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// A rule.
pub type Rule = fn(&Tree) -> Result<Vec<String>>;

/// All rules by name.
pub const RULES: [(&str, Rule); 7] = [
    ("layers", layers::point_down),
    ("forbid-unsafe", architecture::libraries_forbid_unsafe),
    ("module-names", architecture::modules_have_names),
    ("assembly", assembly::stays_in_its_places),
    ("vendor-words", words::core_is_vendor_free),
    ("file-length", sizes::files_are_short),
    ("addresses", addresses::no_registry_and_no_machine),
];

/// The text files of the checkout.
#[derive(Debug, Default)]
pub struct Tree {
    files: Vec<TextFile>,
}

/// A text file.
#[derive(Debug)]
pub struct TextFile {
    /// Relative to the checkout, with slashes.
    pub path: String,
    /// Contents.
    pub text: String,
}

/// Folders that hold no source.
const NOT_SOURCE: [&str; 3] = [".git", "target", "__pycache__"];

impl Tree {
    /// Reads the checkout at `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.add(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn add(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let kind = entry.file_type()?;
            if kind.is_dir() && !NOT_SOURCE.contains(&name.as_str()) {
                self.add(&entry.path(), &format!("{prefix}{name}/"))?;
            } else if kind.is_file()
                // What is no text has no words; what another engineer has just deleted is no matter.
                && let Ok(text) = fs::read_to_string(entry.path())
            {
                self.files.push(TextFile {
                    path: format!("{prefix}{name}"),
                    text,
                });
            }
        }
        Ok(())
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter()
    }

    /// The Rust sources.
    pub fn rust(&self) -> impl Iterator<Item = &TextFile> {
        self.files().filter(|file| file.path.ends_with(".rs"))
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| TextFile {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        });
        Self {
            files: files.collect(),
        }
    }
}

/// Lines of `text` with their numbers, counted from 1.
pub fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().zip(1..).map(|(line, number)| (number, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_itself_is_read() {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tree = Tree::read(tools).unwrap();
        for path in ["src/house/mod.rs", "Cargo.toml"] {
            assert!(tree.files().any(|file| file.path == path), "{path}");
        }
        assert!(tree.rust().all(|file| file.path.ends_with(".rs")));
    }
}
