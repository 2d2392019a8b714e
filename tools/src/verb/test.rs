//! `cargo xtask test`: everything CI runs, in parts.

pub mod cim;
mod guests;
mod lint;
pub mod machine;
mod survival;
mod unit;

use crate::tally::Tally;
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use clap::Args;
use machine::Place;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the tests: all, or the parts named; ends with the line "N passed, M failed".
///
/// Parts: lint (format, clippy, house rules), unit (host tests of all libraries), cim (real CIM clients against the
/// server), svm, vmx and svm-bochs (the system in emulated machines), guests (virtual systems in the booted product), guests-vmx (those of
/// them that Bochs can run on VMX), survival
/// (restarts of the management partition, power cuts). Other words are filters: `test svm boot` runs the machine tests with "boot" in their names.
#[derive(Args)]
pub struct Test {
    /// Parts to run, and filters on test names
    #[arg(value_name = "PART|FILTER")]
    words: Vec<String>,
    /// The QEMU program for the machine tests [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,
    /// List the tests instead of running them
    #[arg(long)]
    list: bool,
}

/// A part of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Unit,
    Lint,
    Cim,
    Svm,
    Vmx,
    SvmInBochs,
    Guests,
    GuestsOnVmx,
    Survival,
}

impl Part {
    fn name(self) -> &'static str {
        PARTS
            .iter()
            .find(|(_, part)| *part == self)
            .map_or("", |(name, _)| name)
    }
}

/// Parts by name, in the order they run: the quickest to fail first.
const PARTS: [(&str, Part); 9] = [
    ("lint", Part::Lint),
    ("unit", Part::Unit),
    ("cim", Part::Cim),
    ("svm", Part::Svm),
    ("vmx", Part::Vmx),
    ("svm-bochs", Part::SvmInBochs),
    ("guests", Part::Guests),
    ("guests-vmx", Part::GuestsOnVmx),
    ("survival", Part::Survival),
];

/// Which tests to run.
#[derive(Debug, PartialEq, Eq)]
struct Selection {
    parts: Vec<Part>,
    filters: Vec<String>,
}

impl Selection {
    fn of(words: &[String]) -> Result<Self> {
        let part = |word: &String| {
            PARTS
                .iter()
                .find(|(name, _)| name == word)
                .map(|(_, part)| *part)
        };
        let filters: Vec<_> = words
            .iter()
            .filter(|word| part(word).is_none())
            .cloned()
            .collect();
        let named: Vec<_> = words.iter().filter_map(part).collect();
        let parts = PARTS.iter().map(|(_, part)| *part);
        let parts: Vec<_> = parts
            .filter(|part| named.is_empty() || named.contains(part))
            .collect();
        if named.is_empty() && !filters.is_empty() {
            bail!(
                "{:?} is no part of the tests (lint, unit, cim, svm, vmx, svm-bochs, guests, guests-vmx, survival); name the part before a filter: test svm {0}",
                filters.join(" ")
            );
        }
        Ok(Self { parts, filters })
    }
}

impl Test {
    /// Runs the verb.
    pub fn run(self, workspace: &Workspace) -> Result<ExitCode> {
        let selection = Selection::of(&self.words)?;
        if self.list {
            return list(workspace, &selection);
        }
        let mut sum = Tally::default();
        for part in &selection.parts {
            let tally = match part {
                Part::Lint => lint::run(workspace, &selection.filters),
                Part::Unit => unit::run(workspace, &selection.filters),
                Part::Cim => cim::run(workspace, &selection.filters),
                Part::Svm => self.machines(Place::Svm, workspace, &selection),
                Part::Vmx => self.machines(Place::Vmx, workspace, &selection),
                Part::SvmInBochs => self.machines(Place::SvmInBochs, workspace, &selection),
                Part::Guests => guests::run(workspace, &selection.filters, self.qemu.as_deref()),
                Part::GuestsOnVmx => guests::run_vmx(workspace, &selection.filters),
                Part::Survival => survival::run(workspace, &selection.filters),
            };
            sum += tally.unwrap_or_else(|error| {
                println!("FAIL  {}: {error:#}", part.name());
                Tally {
                    passed: 0,
                    failed: 1,
                }
            });
        }
        println!("{sum}");
        let good = sum.failed == 0 && sum.passed > 0;
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl Test {
    fn machines(
        &self,
        place: Place,
        workspace: &Workspace,
        selection: &Selection,
    ) -> Result<Tally> {
        machine::run(place, workspace, &selection.filters, self.qemu.as_deref())
    }
}

fn list(workspace: &Workspace, selection: &Selection) -> Result<ExitCode> {
    for part in &selection.parts {
        match part {
            Part::Lint => lint::list(),
            Part::Unit => unit::list(workspace, &selection.filters)?,
            Part::Cim => cim::list(&selection.filters),
            Part::Svm => machine::list(Place::Svm, &selection.filters),
            Part::Vmx => machine::list(Place::Vmx, &selection.filters),
            Part::SvmInBochs => machine::list(Place::SvmInBochs, &selection.filters),
            Part::Guests => guests::list(),
            Part::GuestsOnVmx => guests::list_vmx(),
            Part::Survival => survival::list(&selection.filters),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a test's name has one of `filters`; no filter lets all pass.
fn selected(name: &str, filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(words: &[&str]) -> Result<Selection> {
        Selection::of(
            &words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn without_words_all_parts_run() {
        assert_eq!(selection(&[]).unwrap().parts, PARTS.map(|(_, part)| part));
    }

    #[test]
    fn parts_and_filters_are_told_apart() {
        let chosen = selection(&["svm", "boot", "lint"]).unwrap();
        assert_eq!(chosen.parts, [Part::Lint, Part::Svm]);
        assert_eq!(chosen.filters, ["boot"]);
        assert!(selected("reboot-x", &chosen.filters));
        assert!(!selected("cpuid", &chosen.filters));
        assert!(selected("cpuid", &[]));
    }

    #[test]
    fn a_misspelt_part_is_not_taken_as_a_filter_of_everything() {
        let error = selection(&["svn"]).unwrap_err().to_string();
        assert!(error.contains("\"svn\" is no part"), "{error}");
    }
}
