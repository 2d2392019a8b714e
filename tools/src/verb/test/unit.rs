//! The part `unit`: host tests of all libraries and tools, by cargo-nextest where it is installed.

use crate::tally::Tally;
use crate::workspace::{self, Workspace};
use anyhow::{Context, Result, ensure};
use qemu_tests::emulator::find_program;
use std::io::{BufRead, BufReader, pipe};
use std::process::Command;

/// Runs the tests whose names have one of `filters`.
pub fn run(workspace: &Workspace, filters: &[String]) -> Result<Tally> {
    if find_program("cargo-nextest").is_none() {
        let mut all = workspace.cargo();
        all.args(["test", "--no-fail-fast", "--"]).args(filters);
        return count(&mut all);
    }
    let mut tests = workspace.cargo();
    tests
        .args([
            "nextest",
            "run",
            "--no-fail-fast",
            "--status-level",
            "fail",
            "--no-tests",
            "pass",
        ])
        .args(["--final-status-level", "fail", "--color", "never"])
        .args(filters);
    let mut sum = count(&mut tests)?;
    // nextest leaves the documentation's examples out.
    let mut examples = workspace.cargo();
    examples
        .args(["test", "--doc", "--no-fail-fast", "--quiet", "--"])
        .args(filters);
    sum += count(&mut examples)?;
    Ok(sum)
}

/// Prints the tests' names.
pub fn list(workspace: &Workspace, filters: &[String]) -> Result<()> {
    let mut command = workspace.cargo();
    if find_program("cargo-nextest").is_some() {
        command
            .args(["nextest", "list", "--color", "never"])
            .args(filters);
    } else {
        command
            .args(["test", "--quiet", "--"])
            .args(filters)
            .arg("--list");
    }
    workspace::succeed(&mut command, "the unit tests cannot be listed")
}

/// Runs a test program, shows what it says, and adds up its numbers.
fn count(command: &mut Command) -> Result<Tally> {
    let (reader, writer) = pipe().context("no pipe")?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("cannot run cargo")?;
    // Our ends for writing must go, or the reader would never see the end.
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut sum = Tally::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        sum += Tally::in_line(&line);
        println!("{line}");
    }
    let status = child.wait()?;
    ensure!(
        status.success() || sum.failed > 0,
        "the unit tests do not build or do not run"
    );
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn numbers_of_several_programs_are_added() {
        let script = "echo 'test result: ok. 2 passed; 0 failed;'; \
                      echo 'test result: FAILED. 1 passed; 3 failed;' >&2; exit 1";
        assert_eq!(
            count(&mut shell(script)).unwrap(),
            Tally {
                passed: 3,
                failed: 3
            }
        );
    }

    #[test]
    fn a_failure_without_a_failed_test_is_an_error() {
        assert!(count(&mut shell("echo 'error: could not compile'; exit 101")).is_err());
    }
}
