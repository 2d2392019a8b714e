//! The parts `svm`, `vmx` and `svm-bochs`: the system in emulated machines.

use super::selected;
use crate::setup::{self, Purpose};
use crate::tally::Tally;
use crate::workspace::{IMAGES, Workspace};
use anyhow::{Context, Result, ensure};
use qemu_tests::backend::{Backend, Backends};
use qemu_tests::bochs::{self, Cpu};
use qemu_tests::emulator::find_program;
use qemu_tests::machine_test::MachineTest;
use qemu_tests::runner::{self, Artefacts, Bed, Outcome};
use qemu_tests::table::{machine_tests, second_bed};
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// An emulator with a backend's CPU, and what runs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// SVM in QEMU.
    Svm,
    /// VMX in Bochs.
    Vmx,
    /// SVM in Bochs, whose AMD CPU has what QEMU's has not: a short list.
    SvmInBochs,
}

impl Place {
    fn backend(self) -> Backend {
        match self {
            Self::Svm | Self::SvmInBochs => Backend::Svm,
            Self::Vmx => Backend::Vmx,
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Svm => "svm",
            Self::Vmx => "vmx",
            Self::SvmInBochs => "svm-bochs",
        })
    }
}

/// Runs the machine tests of a place whose names have one of `filters`; QEMU is at `qemu` or the installed one.
pub fn run(
    place: Place,
    workspace: &Workspace,
    filters: &[String],
    qemu: Option<&Path>,
) -> Result<Tally> {
    let tests = chosen(place, filters);
    if tests.is_empty() && place == Place::SvmInBochs {
        println!("svm-bochs runs only some tests, none with such a name");
        return Ok(Tally::default());
    }
    ensure!(
        !tests.is_empty(),
        "no machine test for {place} has {} in its name",
        filters.join(" or ")
    );
    let artefacts = match place {
        Place::Svm => artefacts(workspace, qemu)?,
        Place::Vmx => vmx_artefacts(workspace)?,
        Place::SvmInBochs => {
            let bochs = setup::bochs::ensure(workspace)?;
            with_bed(workspace, Bed::Bochs(bochs.with_cpu(Cpu::Ryzen)))?
        }
    };
    let mut sum = Tally::default();
    for outcome in runner::run(&tests, &artefacts, |outcome| report(place, outcome)) {
        sum += Tally::of(&outcome.verdict);
    }
    Ok(sum)
}

/// Prints the tests' names, and why some are for one backend only.
pub fn list(place: Place, filters: &[String]) {
    for test in chosen(place, filters) {
        match test.backends {
            Backends::Both => println!("{place} {}", test.name),
            Backends::Only(_, reason) => println!("{place} {} (only here: {reason})", test.name),
        }
    }
    let others = machine_tests().into_iter();
    for test in others.filter(|test| place == Place::Vmx && selected(test.name, filters)) {
        if let Some(reason) = bochs::cannot_run(&test) {
            println!("{place} {} (not here: {reason})", test.name);
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
        Bed::Bochs(ref bochs) => match bochs.cpu() {
            Cpu::SkylakeX => "machine-tests-vmx",
            Cpu::Ryzen => "machine-tests-svm-bochs",
        },
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

fn chosen(place: Place, filters: &[String]) -> Vec<MachineTest> {
    let all = match place {
        Place::Svm | Place::Vmx => machine_tests(),
        Place::SvmInBochs => second_bed(),
    };
    all.into_iter()
        .filter(|test| test.backends.include(place.backend()) && selected(test.name, filters))
        .filter(|test| place == Place::Svm || bochs::cannot_run(test).is_none())
        .collect()
}

/// Says how a test went; of a failure, all that is known.
pub fn report(place: impl Display, outcome: &Outcome) {
    let (name, seconds) = (outcome.name, outcome.took.as_secs_f32());
    match &outcome.verdict {
        Ok(_) => println!("ok    {place} {name} ({seconds:.1} s)"),
        Err(reason) => {
            // In one piece: another test may report at the same time. The name is in each line, and the reason at both ends, for
            // those who see only the lines of a name, or the last ones.
            let head = format!("FAIL  {place} {name} ({seconds:.1} s): {reason}\n");
            let mut text = head.clone();
            for line in &outcome.console {
                text.push_str(&format!("      {name} | {line}\n"));
            }
            let log = outcome.log.display();
            println!("{text}      the whole console of {name}: {log}\n{head}");
        }
    }
}
