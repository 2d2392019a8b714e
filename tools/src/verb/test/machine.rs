//! The parts `svm` and `vmx`: the system in emulated machines.

use super::selected;
use crate::setup::{self, Purpose};
use crate::tally::Tally;
use crate::workspace::{IMAGES, Workspace};
use anyhow::{Context, Result, ensure};
use qemu_tests::backend::{Backend, Backends};
use qemu_tests::bochs;
use qemu_tests::emulator::find_program;
use qemu_tests::machine_test::MachineTest;
use qemu_tests::runner::{self, Artefacts, Bed, Outcome};
use qemu_tests::table::machine_tests;
use std::path::Path;

/// Runs the machine tests whose names have one of `filters` in QEMU.
pub fn run_svm(workspace: &Workspace, filters: &[String], qemu: Option<&Path>) -> Result<Tally> {
    run(Backend::Svm, filters, || artefacts(workspace, qemu))
}

/// The same in Bochs.
pub fn run_vmx(workspace: &Workspace, filters: &[String]) -> Result<Tally> {
    run(Backend::Vmx, filters, || vmx_artefacts(workspace))
}

fn run(
    backend: Backend,
    filters: &[String],
    artefacts: impl FnOnce() -> Result<Artefacts>,
) -> Result<Tally> {
    let tests = chosen(backend, filters);
    ensure!(
        !tests.is_empty(),
        "no machine test for {backend} has {} in its name",
        filters.join(" or ")
    );
    let artefacts = artefacts()?;
    let mut sum = Tally::default();
    for outcome in runner::run(&tests, &artefacts, |outcome| report(backend, outcome)) {
        sum += Tally::of(&outcome.verdict);
    }
    Ok(sum)
}

/// Prints the tests' names, and why some are for one backend only.
pub fn list(backend: Backend, filters: &[String]) {
    for test in chosen(backend, filters) {
        match test.backends {
            Backends::Both => println!("{backend} {}", test.name),
            Backends::Only(_, reason) => println!("{backend} {} (only here: {reason})", test.name),
        }
    }
    let others = machine_tests().into_iter();
    for test in others.filter(|test| backend == Backend::Vmx && selected(test.name, filters)) {
        if let Some(reason) = bochs::cannot_run(&test) {
            println!("{backend} {} (not here: {reason})", test.name);
        }
    }
}

/// Builds what machine tests and benches run, in QEMU at `qemu` or the installed one.
pub fn artefacts(workspace: &Workspace, qemu: Option<&Path>) -> Result<Artefacts> {
    // QEMU is looked for after it may have been installed.
    setup::ensure(workspace, Purpose::MachineTests)?;
    let qemu = qemu
        .map(Path::to_owned)
        .or_else(|| find_program(setup::QEMU))
        .context("QEMU is missing: run `cargo xtask setup`")?;
    with_bed(workspace, Bed::Qemu(qemu))
}

/// The same for Bochs, which is fetched where it is not there yet.
pub fn vmx_artefacts(workspace: &Workspace) -> Result<Artefacts> {
    let bochs = setup::bochs::ensure(workspace)?;
    with_bed(workspace, Bed::Bochs(bochs))
}

fn with_bed(workspace: &Workspace, bed: Bed) -> Result<Artefacts> {
    let folder = match bed {
        Bed::Qemu(_) => "machine-tests",
        Bed::Bochs(_) => "machine-tests-vmx",
    };
    setup::ensure(workspace, Purpose::MachineTests)?;
    let [hypervisor, ..] = IMAGES;
    let built = workspace.build_images(&IMAGES)?;
    Ok(Artefacts {
        bed,
        hypervisor: built.join(hypervisor),
        guests: built,
        scratch: workspace.output(folder)?,
    })
}

fn chosen(backend: Backend, filters: &[String]) -> Vec<MachineTest> {
    let all = machine_tests().into_iter();
    all.filter(|test| test.backends.include(backend) && selected(test.name, filters))
        .filter(|test| backend != Backend::Vmx || bochs::cannot_run(test).is_none())
        .collect()
}

/// Says how a test went; of a failure, all that is known.
pub fn report(backend: Backend, outcome: &Outcome) {
    let (name, seconds) = (outcome.name, outcome.took.as_secs_f32());
    match &outcome.verdict {
        Ok(_) => println!("ok    {backend} {name} ({seconds:.1} s)"),
        Err(reason) => {
            // In one piece: another test may report at the same time.
            let mut text = format!("FAIL  {backend} {name} ({seconds:.1} s): {reason}\n");
            for line in &outcome.console {
                text.push_str(&format!("      | {line}\n"));
            }
            println!("{text}      the whole console: {}", outcome.log.display());
        }
    }
}
