//! Rule: no package registry's host and no path of one machine is written down.
//!
//! Where packages come from is the machine's business (its cargo, pip and apt configuration).

use super::{Tree, numbered};
use anyhow::Result;

// In two parts each, so that this file keeps its own rule.
const HOSTS: [&str; 9] = [
    concat!("static.crates", ".io"),
    concat!("index.crates", ".io"),
    concat!("//crates", ".io"),
    concat!("static.rust-lang", ".org"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("registry.npmjs", ".org"),
    concat!("deb.debian", ".org"),
    concat!("security.debian", ".org"),
];
// The home of user root with its hidden folders; "/root/" alone begins CIM namespaces.
const MACHINE: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/.")];
/// Cargo writes the index' name into its lock file by itself.
const LOCK: &str = "Cargo.lock";

/// The rule.
pub fn no_registry_and_no_machine(tree: &Tree) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for file in tree.files().filter(|file| file.path != LOCK) {
        for (number, line) in numbered(&file.text) {
            let found = HOSTS
                .iter()
                .chain(&MACHINE)
                .find(|word| line.contains(*word));
            if let Some(word) = found {
                breaches.push(format!("{}:{number}: {word} is named", file.path));
            }
        }
    }
    Ok(breaches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_machine_paths_are_found() {
        for line in HOSTS.iter().chain(&MACHINE) {
            let text = format!("first\nsee https:{line}x\n");
            let tree = Tree::of(&[("a/notes.md", &text), ("Cargo.lock", &text)]);
            let breaches = no_registry_and_no_machine(&tree).unwrap();
            assert_eq!(breaches.len(), 1, "{line}");
            assert!(breaches[0].starts_with("a/notes.md:2:"));
        }
    }
}
