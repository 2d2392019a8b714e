//! The part `cim`: real clients against the WBEM server, on the host and in the management partition.
//!
//! The Python programs do the testing and the counting; here is what they need, and a limit on their time.

pub mod partition;

use super::selected;
use crate::setup::{self, Purpose, venv};
use crate::tally::Tally;
use crate::workspace::{self, Workspace};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a suite may take; each takes well under a minute on a free machine.
const SUITE: Duration = Duration::from_secs(900);
/// pywbem compiles the whole schema slowly.
const SCHEMA: Duration = Duration::from_secs(600);
/// How long a suite that does not end by itself has to end when told, and to say what it waits for.
const GRACE: &str = "--kill-after=60";

type Step = fn(&Clients) -> Result<Tally>;

/// The steps by name.
const STEPS: [(&str, Step); 3] = [
    ("cim-schema", |clients| clients.schema()),
    ("cim-sim", |clients| clients.simulator()),
    ("cim-partition", partition::test),
];

/// Runs the steps whose names have one of `filters`.
pub fn run(workspace: &Workspace, filters: &[String]) -> Result<Tally> {
    setup::ensure(workspace, Purpose::Clients)?;
    let clients = Clients::new(workspace, workspace.output("cim-tests")?);
    let mut sum = Tally::default();
    for (name, step) in STEPS {
        if selected(name, filters) {
            println!("      {name}");
            sum += step(&clients).unwrap_or_else(|error| {
                println!("FAIL  {name}: {error:#}");
                Tally::of(&Err::<(), _>(()))
            });
        }
    }
    Ok(sum)
}

/// Prints the steps' names.
pub fn list(filters: &[String]) {
    for (name, _) in STEPS {
        if selected(name, filters) {
            println!("cim {name}");
        }
    }
}

/// The clients, and where they work.
pub(super) struct Clients<'a> {
    workspace: &'a Workspace,
    python: PathBuf,
    folder: PathBuf,
}

impl<'a> Clients<'a> {
    /// Clients that work in this folder.
    pub(super) fn new(workspace: &'a Workspace, folder: PathBuf) -> Self {
        Clients {
            workspace,
            python: venv::folder(workspace).join("bin/python"),
            folder,
        }
    }

    /// pywbem's MOF compiler against our tables.
    fn schema(&self) -> Result<Tally> {
        let dump = self.folder.join("schema.txt");
        let file =
            File::create(&dump).with_context(|| format!("cannot write {}", dump.display()))?;
        let mut command = self.workspace.cargo();
        command
            .args(["run", "--quiet", "--package", "cim-schema"])
            .args(["--example", "dump"])
            .stdout(file);
        workspace::succeed(&mut command, "the schema's tables cannot be printed")?;
        let schema = self.workspace.root().join("mgmt/cim/schema");
        let mut judge = self.limited(SCHEMA);
        judge
            .arg(schema.join("tests/pywbem_compile.py"))
            .arg(schema.join("mof"))
            .arg(&dump);
        let result = workspace::succeed(
            &mut judge,
            "pywbem and our tables disagree about the schema",
        );
        match &result {
            Ok(()) => println!("ok    cim-schema"),
            Err(error) => println!("FAIL  cim-schema: {error}"),
        }
        Ok(Tally::of(&result))
    }

    /// The whole suite against the host process.
    fn simulator(&self) -> Result<Tally> {
        let simulator = self.workspace.build_program("cim-sim")?;
        let mut suite = self.suite();
        suite.arg("--sim").arg(simulator);
        count(suite, "cim-sim")
    }

    fn suite(&self) -> Command {
        self.program(SUITE, "suite.py")
    }

    /// A program of qemu-tests/cim.
    pub(super) fn program(&self, time: Duration, name: &str) -> Command {
        let mut command = self.limited(time);
        command.arg(self.workspace.root().join("qemu-tests/cim").join(name));
        command
    }

    /// A program of qemu-tests/survival with its arguments.
    pub(super) fn survival(&self, time: Duration, program: &[&str]) -> Command {
        let mut command = self.limited(time);
        let folder = self.workspace.root().join("qemu-tests/survival");
        let mut words = program.iter();
        command.args(words.next().map(|name| folder.join(name)));
        command.args(words);
        command
    }

    /// The interpreter, ended with all it has started when the time is over.
    fn limited(&self, time: Duration) -> Command {
        let mut command = Command::new("timeout");
        command
            .args([GRACE, &time.as_secs().to_string()])
            .arg(&self.python)
            // No compiled files are left in the checkout, and what is printed is there even if the time is over.
            .args(["-B", "-u"])
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }
}

/// Runs a suite, shows what it says, and takes its last count.
pub(super) fn count(mut suite: Command, name: &str) -> Result<Tally> {
    let log = suite
        .get_current_dir()
        .map(|folder| folder.join(format!("{name}.log")))
        .context("a suite has a folder")?;
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    suite.stdout(file.try_clone()?).stderr(file);
    let status = workspace::status(&mut suite)?;
    let text = fs::read_to_string(&log)?;
    let Some(tally) = text.lines().rev().find_map(Tally::of_suite) else {
        print!("{text}");
        anyhow::bail!("the suite {name} did not come to its end ({status})");
    };
    if tally.failed > 0 || !status.success() {
        print!("{text}");
    }
    println!(
        "{}  {name}: {tally} (log: {})",
        if status.success() { "ok  " } else { "FAIL" },
        log.display()
    );
    // A suite that fails for a reason beyond its tests has failed all the same.
    let beyond = usize::from(!status.success() && tally.failed == 0);
    Ok(Tally {
        passed: tally.passed,
        failed: tally.failed + beyond,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, script: &str) -> Result<Tally> {
        let folder = std::env::temp_dir().join(format!("bulkhead-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(&folder);
        let result = count(command, name);
        fs::remove_dir_all(&folder).unwrap();
        result
    }

    #[test]
    fn the_last_count_of_a_suite_is_taken() {
        let script = "echo '1 passed, 0 failed'; echo '8 passed, 2 failed'; exit 1";
        let expected = Tally {
            passed: 8,
            failed: 2,
        };
        assert_eq!(shell("last", script).unwrap(), expected);
    }

    #[test]
    fn a_suite_that_dies_has_failed() {
        assert!(shell("dies", "echo 'Traceback'; exit 1").is_err());
        let odd = shell("odd", "echo '3 passed, 0 failed'; exit 3").unwrap();
        assert_eq!((odd.passed, odd.failed), (3, 1));
    }
}
