//! Rule: the words of one vendor's virtualization do not occur in the core crate.

use super::{Tree, numbered};
use anyhow::Result;

const PLACE: &str = "hypervisor/core/src/";
const WORDS: [&str; 6] = ["vmx", "svm", "ept", "npt", "vmcs", "vmcb"];

/// The rule.
pub fn core_is_vendor_free(tree: &Tree) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for file in tree.files().filter(|file| file.path.starts_with(PLACE)) {
        for (number, line) in numbered(&file.text) {
            if let Some(word) = words(line).find(|word| WORDS.contains(&word.as_str())) {
                breaches.push(format!("{}:{number}: core knows no {word:?}", file.path));
            }
        }
    }
    Ok(breaches)
}

/// The words of a line in small letters; identifiers are split at `_` and at the humps of camel case.
fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_ascii_alphabetic())
        .flat_map(humps)
        .map(|word| word.to_lowercase())
}

/// `VmcbField` is `Vmcb` and `Field`; `EPTEntry` is `EPT` and `Entry`.
fn humps(identifier: &str) -> Vec<String> {
    let letters: Vec<char> = identifier.chars().collect();
    let mut words = vec![String::new()];
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| letters.get(i));
        let after = letters.get(index + 1);
        let starts = letter.is_uppercase()
            && (before.is_some_and(|c| c.is_lowercase())
                || after.is_some_and(|c| c.is_lowercase()));
        if starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(*letter);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(line: &str) -> usize {
        core_is_vendor_free(&Tree::of(&[("hypervisor/core/src/a.rs", line)]))
            .unwrap()
            .len()
    }

    #[test]
    fn vendor_words_are_found_in_every_spelling() {
        for line in [
            "let svm = 1;",
            "struct VmcbField;",
            "fn npt_walk()",
            "EPTEntry",
            "const VMX_ON: u8 = 1;",
            "// like the VMCS does",
            "hasVmx",
            "EPT2M",
        ] {
            assert_eq!(breaches(line), 1, "{line}");
        }
    }

    #[test]
    fn words_that_only_contain_them_are_free() {
        for line in [
            "accept",
            "interrupt",
            "Concept",
            "kept",
            "exceptEpsilon",
            "septEmber",
            "",
        ] {
            assert_eq!(breaches(line), 0, "{line}");
        }
    }

    #[test]
    fn other_crates_may_say_them() {
        let tree = Tree::of(&[("hypervisor/hw/src/svm.rs", "struct Vmcb;")]);
        assert!(core_is_vendor_free(&tree).unwrap().is_empty());
    }
}
