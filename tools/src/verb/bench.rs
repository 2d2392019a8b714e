//! `cargo xtask bench`: what exits from guests cost, counted in executed instructions, and what the WBEM server costs.

mod linux_boot;
mod vmcs_accesses;

use crate::setup::{self, Purpose};
use crate::verb::test::cim::partition;
use crate::verb::test::machine;
use crate::workspace::{self, Workspace};
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use qemu_tests::backend::Backend;
use qemu_tests::runner;
use qemu_tests::table::exit_benches;
use qemu_tests::verdict::Figure;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Measures, prints a table, and writes target/bench/NAME.json.
#[derive(Args)]
pub struct Bench {
    /// What to measure
    #[arg(value_enum)]
    subject: Subject,
    /// The QEMU program [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Subject {
    /// Round trips from guest to hypervisor and back
    Exits,
    /// The WBEM server: in process, as a host process, and in the booted partition
    Cim,
    /// Debian's kernel to its first process, on the bare machine and in a guest
    LinuxBoot,
}

impl Bench {
    /// Runs the verb.
    pub fn run(self, workspace: &Workspace) -> Result<ExitCode> {
        match self.subject {
            Subject::Exits => exits(workspace, self.qemu.as_deref()),
            Subject::Cim => cim(workspace),
            Subject::LinuxBoot => linux_boot::run(workspace, self.qemu.as_deref()),
        }
    }
}

/// One measured round trip.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    backend: Backend,
    name: String,
    instructions: u64,
    /// VMREADs and VMWRITEs, where they were counted.
    vmcs: Option<(u32, u32)>,
}

fn exits(workspace: &Workspace, qemu: Option<&Path>) -> Result<ExitCode> {
    let mut rows = Vec::new();
    let accesses = vmcs_accesses::count(workspace)?;
    for (backend, artefacts) in [
        (Backend::Svm, machine::artefacts(workspace, qemu)?),
        (Backend::Vmx, machine::vmx_artefacts(workspace)?),
    ] {
        let mut benches = exit_benches();
        benches.retain(|bench| bench.backends.include(backend));
        for outcome in runner::run(&benches, &artefacts, |_| ()) {
            let Ok(figures) = &outcome.verdict else {
                machine::report(backend, &outcome);
                bail!("the bench {} failed", outcome.name);
            };
            for figure in figures {
                let mut row = row(backend, figure)?;
                if backend == Backend::Vmx {
                    row.vmcs = accesses.get(&row.name).copied();
                }
                rows.push(row);
            }
        }
    }
    ensure!(!rows.is_empty(), "the bench guests printed no RESULT line");
    print!("{}", table(&rows));
    let file = workspace.output("bench")?.join("exits.json");
    fs::write(&file, json(&rows)).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The measuring is a program of its own, as it counts its heap.
fn cim(workspace: &Workspace) -> Result<ExitCode> {
    setup::ensure(workspace, Purpose::Run)?;
    let bench = workspace.build_program("cim-speed")?;
    let simulator = workspace.build_program("cim-sim")?;
    let file = workspace.output("bench")?.join("cim.json");
    let measure = |arguments: &[&OsStr]| {
        let mut command = Command::new(&bench);
        command.arg("--json").arg(&file).args(arguments);
        workspace::succeed(&mut command, "the WBEM server cannot be measured")
    };
    measure(&["--sim".as_ref(), simulator.as_os_str()])?;
    let machine = partition::boot()?;
    let (user, password) = (machine.said("CIM user")?, machine.said("CIM password")?);
    let url = machine.said("CIM ready")?;
    measure(
        &[
            "--url",
            url,
            "--user",
            user,
            "--password",
            password,
            "--way",
            "partition",
        ]
        .map(OsStr::new),
    )?;
    println!("{}", file.display());
    Ok(ExitCode::SUCCESS)
}

fn row(backend: Backend, figure: &Figure) -> Result<Row> {
    let instructions = figure.value.parse().with_context(|| {
        format!(
            "the figure {} of {} is no number: {}",
            figure.key, figure.partition, figure.value
        )
    })?;
    Ok(Row {
        backend,
        name: figure.key.clone(),
        instructions,
        vmcs: None,
    })
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:7}  {:width$}  instructions  VMREADs  VMWRITEs\n",
        "backend", "exit"
    );
    for Row {
        backend,
        name,
        instructions,
        vmcs,
    } in rows
    {
        let accesses = vmcs.map_or(String::new(), |(reads, writes)| {
            format!("  {reads:7}  {writes:8}")
        });
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:7}  {name:width$}  {instructions:12}{accesses}",
            backend.to_string()
        );
    }
    text
}

fn json(rows: &[Row]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|Row { backend, name, instructions, vmcs }| {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            let accesses = vmcs.map_or(String::new(), |(reads, writes)| {
                format!(",\"vmreads\":{reads},\"vmwrites\":{writes}")
            });
            format!("{{\"backend\":\"{backend}\",\"name\":\"{name}\",\"instructions\":{instructions}{accesses}}}")
        })
        .collect();
    format!("{{\"rows\":[{}]}}\n", rows.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(key: &str, value: &str) -> Figure {
        Figure {
            partition: "bench".into(),
            key: key.into(),
            value: value.into(),
        }
    }

    #[test]
    fn figures_become_rows() {
        let good = row(Backend::Svm, &figure("cpuid", "512")).unwrap();
        assert_eq!(
            json(&[good]),
            "{\"rows\":[{\"backend\":\"svm\",\"name\":\"cpuid\",\"instructions\":512}]}\n"
        );
        let counted = Row {
            vmcs: Some((2, 1)),
            ..row(Backend::Vmx, &figure("cpuid", "300")).unwrap()
        };
        assert!(table(std::slice::from_ref(&counted)).ends_with("300        2         1\n"));
        assert!(json(&[counted]).contains("\"instructions\":300,\"vmreads\":2,\"vmwrites\":1}"));
        assert!(row(Backend::Svm, &figure("cpuid", "many")).is_err());
    }

    #[test]
    fn the_table_has_a_line_for_each_row() {
        let rows = [
            row(Backend::Svm, &figure("cpuid", "5")).unwrap(),
            row(Backend::Svm, &figure("hypercall", "6")).unwrap(),
        ];
        let text = table(&rows);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("hypercall"));
    }
}
