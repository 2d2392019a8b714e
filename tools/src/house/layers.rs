//! Rule: dependencies point down the layers of ARCHITECTURE.md only.

use super::Tree;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use toml::Table;

/// Where a crate stands, by its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The contract: no dependency on any of ours.
    Abi,
    Boot,
    Core,
    Hw,
    Hypervisor,
    /// The CIM plane, which runs on the host as well.
    Cim,
    /// Other crates of the management partition.
    Mgmt,
    MicroGuests,
    /// Programs for the developer's machine.
    Host,
}

impl Place {
    fn of(folder: &str) -> Option<Self> {
        Some(match folder {
            "hypervisor/abi" => Self::Abi,
            "boot" => Self::Boot,
            "hypervisor/core" => Self::Core,
            "hypervisor/hw" => Self::Hw,
            "hypervisor" => Self::Hypervisor,
            "qemu-tests/guests" => Self::MicroGuests,
            "qemu-tests" | "tools" => Self::Host,
            _ if folder.starts_with("mgmt/cim/") => Self::Cim,
            _ if folder == "mgmt" || folder.starts_with("mgmt/") => Self::Mgmt,
            _ if folder.starts_with("tools/") || folder.starts_with("qemu-tests/") => Self::Host,
            _ => return None,
        })
    }

    /// The places below this one.
    fn may_use(self) -> &'static [Self] {
        match self {
            Self::Abi => &[],
            Self::Core | Self::MicroGuests => &[Self::Abi],
            // Boot records are turned into core's address types.
            Self::Boot => &[Self::Abi, Self::Core],
            Self::Hw => &[Self::Abi, Self::Boot, Self::Core],
            Self::Hypervisor => &[Self::Abi, Self::Boot, Self::Core, Self::Hw],
            Self::Cim => &[Self::Cim],
            Self::Mgmt => &[Self::Abi, Self::Cim, Self::Mgmt],
            Self::Host => &[
                Self::Abi,
                Self::Boot,
                Self::Core,
                Self::Cim,
                Self::Mgmt,
                Self::Host,
            ],
        }
    }
}

/// A crate of the workspace.
struct Crate {
    folder: String,
    manifest: Table,
}

/// The rule.
pub fn point_down(tree: &Tree) -> Result<Vec<String>> {
    let crates = crates(tree)?;
    let mut breaches = Vec::new();
    for (name, one) in &crates {
        let Some(place) = Place::of(&one.folder) else {
            breaches.push(format!(
                "{name} is in {}, which is no layer: add it to the layer test",
                one.folder
            ));
            continue;
        };
        for used in dependencies(&one.manifest) {
            // What is not ours is not in a layer.
            let Some(below) = crates.get(&used).and_then(|used| Place::of(&used.folder)) else {
                continue;
            };
            if !place.may_use().contains(&below) {
                breaches.push(format!(
                    "{name} ({}) depends on {used}: {place:?} may not use {below:?}",
                    one.folder
                ));
            }
        }
    }
    Ok(breaches)
}

/// The crates by name.
fn crates(tree: &Tree) -> Result<BTreeMap<String, Crate>> {
    let mut crates = BTreeMap::new();
    for file in tree.files() {
        let Some(folder) = file.path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        let manifest: Table = file
            .text
            .parse()
            .with_context(|| format!("{} is no TOML", file.path))?;
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name")?.as_str());
        let name = name
            .with_context(|| format!("{} names no package", file.path))?
            .to_owned();
        crates.insert(
            name,
            Crate {
                folder: folder.to_owned(),
                manifest,
            },
        );
    }
    Ok(crates)
}

/// Names of all packages that a manifest depends on, in whatever section.
fn dependencies(manifest: &Table) -> Vec<String> {
    let mut names = Vec::new();
    for (section, value) in manifest {
        let Some(table) = value.as_table() else {
            continue;
        };
        if section.ends_with("dependencies") {
            names.extend(table.iter().map(|(key, entry)| {
                let renamed = entry.get("package").and_then(|package| package.as_str());
                renamed.unwrap_or(key).to_owned()
            }));
        } else if section == "target" {
            // One table for each platform, with the same sections.
            names.extend(
                table
                    .values()
                    .filter_map(|one| one.as_table())
                    .flat_map(dependencies),
            );
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{rest}")
    }

    fn breaches(crates: &[(&str, &str, &str)]) -> Vec<String> {
        let texts: Vec<_> = crates
            .iter()
            .map(|(folder, name, rest)| (format!("{folder}/Cargo.toml"), manifest(name, rest)))
            .collect();
        let files: Vec<_> = texts
            .iter()
            .map(|(p, t)| (p.as_str(), t.as_str()))
            .collect();
        point_down(&Tree::of(&files)).unwrap()
    }

    #[test]
    fn downward_is_allowed() {
        let good = breaches(&[
            (
                "hypervisor/abi",
                "abi",
                "[dependencies]\nzerocopy = \"1\"\n",
            ),
            (
                "hypervisor/core",
                "core",
                "[dependencies]\nabi.workspace = true\n",
            ),
            (
                "mgmt/cim/xml",
                "xml",
                "[dependencies]\nmodel.workspace = true\n",
            ),
            ("mgmt/cim/model", "model", ""),
            (
                "mgmt",
                "mgmt",
                "[dependencies]\nabi.workspace = true\nxml.workspace = true\n",
            ),
            ("tools", "xtask", "[dependencies]\nxml.workspace = true\n"),
        ]);
        assert_eq!(good, Vec::<String>::new());
    }

    #[test]
    fn upward_and_sideways_are_named() {
        for (folder, used_folder) in [
            ("hypervisor/abi", "hypervisor/core"),
            ("hypervisor/core", "hypervisor/hw"),
            ("hypervisor/core", "boot"),
            ("boot", "hypervisor"),
            ("boot", "hypervisor/hw"),
            ("mgmt/store", "hypervisor/core"),
            ("mgmt/cim/model", "hypervisor/abi"),
            ("mgmt/cim/model", "mgmt/store"),
            ("qemu-tests/guests", "hypervisor/core"),
            ("hypervisor/hw", "mgmt/store"),
        ] {
            let bad = breaches(&[
                (folder, "one", "[dependencies]\ntwo.workspace = true\n"),
                (used_folder, "two", ""),
            ]);
            assert_eq!(bad.len(), 1, "{folder} -> {used_folder}");
            assert!(bad[0].contains("one") && bad[0].contains("two"));
        }
    }

    #[test]
    fn no_section_and_no_new_name_hides_a_dependency() {
        for section in [
            "[dev-dependencies]\ntwo = { path = \"../x\" }\n",
            "[build-dependencies.two]\npath = \"x\"\n",
            "[target.'cfg(unix)'.dependencies]\ntwo.workspace = true\n",
            "[dependencies]\nother = { package = \"two\", path = \"x\" }\n",
        ] {
            let crates = [
                ("hypervisor/abi", "one", section),
                ("hypervisor/core", "two", ""),
            ];
            assert_eq!(breaches(&crates).len(), 1, "{section}");
        }
    }

    #[test]
    fn a_crate_in_an_unknown_folder_is_a_breach() {
        assert!(breaches(&[("extras", "one", "")])[0].contains("no layer"));
    }
}
