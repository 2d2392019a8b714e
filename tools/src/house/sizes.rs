//! Rule: no source file is longer than 600 lines, pure data tables apart.

use super::Tree;
use anyhow::Result;

const LONGEST: usize = 600;
/// Files that are nothing but tables.
const TABLES: [&str; 0] = [];

/// The rule; prints the distribution, which the style guide cares about more than about the longest file.
pub fn files_are_short(tree: &Tree) -> Result<Vec<String>> {
    let mut lengths: Vec<(usize, &str)> = tree
        .rust()
        .filter(|file| !TABLES.contains(&file.path.as_str()))
        .map(|file| (file.text.lines().count(), file.path.as_str()))
        .collect();
    lengths.sort_unstable();
    let at = |hundredth: usize| {
        lengths
            .get(lengths.len() * hundredth / 100)
            .map_or(0, |(n, _)| *n)
    };
    println!(
        "      {} Rust files: median {} lines, nine in ten up to {}",
        lengths.len(),
        at(50),
        at(90)
    );
    let long = lengths
        .iter()
        .rev()
        .take_while(|(length, _)| *length > LONGEST);
    Ok(long
        .map(|(length, path)| format!("{path}: {length} lines, more than {LONGEST}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_limit_is_named() {
        let (long, full) = ("x\n".repeat(LONGEST + 1), "x\n".repeat(LONGEST));
        let tree = Tree::of(&[("a.rs", &long), ("b.rs", &full), ("c.txt", &long)]);
        assert_eq!(
            files_are_short(&tree).unwrap(),
            ["a.rs: 601 lines, more than 600"]
        );
        assert!(files_are_short(&Tree::default()).unwrap().is_empty());
    }
}
