//! Rules: libraries forbid unsafe code, and modules are named after what they hold.

use super::Tree;
use anyhow::Result;

/// Library crates that may use `unsafe`: they touch hardware or memory shared with it, or are guests.
const MAY_BE_UNSAFE: [&str; 3] = ["hypervisor/hw/", "mgmt/drivers/", "qemu-tests/guests/"];
const NO_NAMES: [&str; 4] = ["util", "common", "helpers", "misc"];

/// The rule `forbid-unsafe`.
pub fn libraries_forbid_unsafe(tree: &Tree) -> Result<Vec<String>> {
    let libraries = tree.rust().filter(|file| file.path.ends_with("src/lib.rs"));
    let bad = libraries.filter(|file| {
        !MAY_BE_UNSAFE
            .iter()
            .any(|folder| file.path.starts_with(folder))
            && !file
                .text
                .lines()
                .any(|line| line.trim() == "#![forbid(unsafe_code)]")
    });
    Ok(bad
        .map(|file| format!("{} lacks #![forbid(unsafe_code)]", file.path))
        .collect())
}

/// The rule `module-names`.
pub fn modules_have_names(tree: &Tree) -> Result<Vec<String>> {
    let nameless = tree.rust().filter(|file| {
        let path = file.path.strip_suffix(".rs").unwrap_or(&file.path);
        path.split('/').any(|part| {
            NO_NAMES
                .iter()
                .any(|word| part == *word || part.strip_suffix('s') == Some(word))
        })
    });
    Ok(nameless
        .map(|file| format!("{}: name the module after what it holds", file.path))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_without_the_line_is_named() {
        let tree = Tree::of(&[
            ("a/src/lib.rs", "//! A.\n#![forbid(unsafe_code)]\n"),
            ("b/src/lib.rs", "// #![forbid(unsafe_code)]\n"),
            ("hypervisor/hw/src/lib.rs", "//! Hardware.\n"),
            ("c/src/main.rs", ""),
        ]);
        let breaches = libraries_forbid_unsafe(&tree).unwrap();
        assert_eq!(breaches, ["b/src/lib.rs lacks #![forbid(unsafe_code)]"]);
    }

    #[test]
    fn nameless_modules_are_found_as_file_and_folder() {
        let tree = Tree::of(&[
            ("a/src/util.rs", ""),
            ("a/src/utils/x.rs", ""),
            ("a/src/common/mod.rs", ""),
            ("a/src/utility_room.rs", ""),
            ("a/util/notes.txt", ""),
        ]);
        assert_eq!(modules_have_names(&tree).unwrap().len(), 3);
    }
}
