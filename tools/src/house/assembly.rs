//! Rule: assembly and CPU intrinsics stay where hardware is touched.

use super::{Tree, numbered};
use anyhow::Result;

/// Folders whose code touches the CPU.
const PLACES: [&str; 6] = [
    "hypervisor/hw/",
    "hypervisor/src/",
    "boot/src/entry",
    "mgmt/src/",
    "mgmt/drivers/",
    "qemu-tests/guests/",
];

/// The rule.
pub fn stays_in_its_places(tree: &Tree) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for file in tree.rust() {
        if PLACES.iter().any(|place| file.path.starts_with(place)) {
            continue;
        }
        for (number, line) in numbered(&file.text) {
            if is_assembly(line) {
                breaches.push(format!(
                    "{}:{number}: assembly belongs in hypervisor/hw",
                    file.path
                ));
            }
        }
    }
    Ok(breaches)
}

/// Whether a line of code, not of comment, has assembly or intrinsics.
fn is_assembly(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    // Written in two parts, so that this file keeps its own rule.
    [
        concat!("as", "m!("),
        concat!("core::", "arch"),
        concat!("std::", "arch"),
    ]
    .iter()
    .any(|word| code.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = concat!("fn f() {}\nuse core::", "arch::x86_64::_rdtsc; // why\n");

    #[test]
    fn intrinsics_outside_their_places_are_found() {
        let tree = Tree::of(&[
            ("hypervisor/core/src/a.rs", CODE),
            ("hypervisor/hw/src/a.rs", CODE),
        ]);
        let breaches = stays_in_its_places(&tree).unwrap();
        assert_eq!(breaches.len(), 1);
        assert!(breaches[0].starts_with("hypervisor/core/src/a.rs:2:"));
    }

    #[test]
    fn the_macros_are_found_and_comments_are_not() {
        for start in ["core::", "global_", "naked_", ""] {
            assert!(is_assembly(&format!(
                "    {start}{}",
                concat!("as", "m!(\"nop\")")
            )));
        }
        assert!(!is_assembly(concat!("// as", "m!(\"nop\")")));
        assert!(!is_assembly("architecture"));
    }
}
