//! The part `svm`: the system in emulated machines.

use super::selected;
use crate::setup::{self, Purpose};
use crate::tally::Tally;
use crate::workspace::{IMAGES, Workspace};
use anyhow::{Context, Result, ensure};
use qemu_tests::backend::{Backend, Backends};
use qemu_tests::emulator::find_program;
use qemu_tests::machine_test::MachineTest;
use qemu_tests::runner::{self, Artefacts, Outcome};
use qemu_tests::table::machine_tests;
use std::path::Path;

const BACKEND: Backend = Backend::Svm;

/// Runs the machine tests whose names have one of `filters`.
pub fn run(workspace: &Workspace, filters: &[String], qemu: Option<&Path>) -> Result<Tally> {
    let tests = chosen(filters);
    ensure!(
        !tests.is_empty(),
        "no machine test has {} in its name",
        filters.join(" or ")
    );
    let artefacts = artefacts(workspace, qemu)?;
    let mut sum = Tally::default();
    for outcome in runner::run(&tests, &artefacts, report) {
        sum += Tally::of(&outcome.verdict);
    }
    Ok(sum)
}

/// Prints the tests' names, and why some are for one backend only.
pub fn list(filters: &[String]) {
    for test in chosen(filters) {
        match test.backends {
            Backends::Both => println!("{BACKEND} {}", test.name),
            Backends::Only(_, reason) => println!("{BACKEND} {} (only here: {reason})", test.name),
        }
    }
}

/// Builds what machine tests and benches run, in QEMU at `qemu` or the installed one.
pub fn artefacts(workspace: &Workspace, qemu: Option<&Path>) -> Result<Artefacts> {
    setup::ensure(workspace, Purpose::MachineTests)?;
    let [hypervisor, ..] = IMAGES;
    let built = workspace.build_images(&IMAGES)?;
    Ok(Artefacts {
        qemu: qemu
            .map(Path::to_owned)
            .or_else(|| find_program(setup::QEMU))
            .context("QEMU is missing: run `cargo xtask setup`")?,
        hypervisor: built.join(hypervisor),
        guests: built,
        scratch: workspace.output("machine-tests")?,
    })
}

fn chosen(filters: &[String]) -> Vec<MachineTest> {
    let all = machine_tests().into_iter();
    all.filter(|test| test.backends.include(BACKEND) && selected(test.name, filters))
        .collect()
}

/// Says how a test went; of a failure, all that is known.
pub fn report(outcome: &Outcome) {
    let (name, seconds) = (outcome.name, outcome.took.as_secs_f32());
    match &outcome.verdict {
        Ok(_) => println!("ok    {BACKEND} {name} ({seconds:.1} s)"),
        Err(reason) => {
            // In one piece: another test may report at the same time.
            let mut text = format!("FAIL  {BACKEND} {name} ({seconds:.1} s): {reason}\n");
            for line in &outcome.console {
                text.push_str(&format!("      | {line}\n"));
            }
            println!("{text}      the whole console: {}", outcome.log.display());
        }
    }
}
