//! The part `survival`: restarts of the management partition under running guests, power cuts under running clients, what
//! starts by itself after one, and the orderly end of the machine.
//!
//! Python programs of qemu-tests/survival start machines of their own with this very program; here are the limits on their time.

use super::cim::Clients;
use super::selected;
use crate::setup::{self, Purpose, guest_linux};
use crate::tally::Tally;
use crate::workspace::{self, Workspace};
use anyhow::{Context, Result};
use std::time::Duration;

/// A test: its name, its program with arguments, and what it may take.
struct Step {
    name: &'static str,
    program: &'static [&'static str],
    time: Duration,
    /// It runs only when it is named.
    long: bool,
}

const STEPS: [Step; 5] = [
    Step {
        name: "survival-restart",
        program: &["restart.py"],
        time: Duration::from_secs(900),
        long: false,
    },
    Step {
        name: "survival-autostart",
        program: &["autostart.py"],
        time: Duration::from_secs(600),
        long: false,
    },
    Step {
        name: "survival-host-end",
        program: &["host_end.py"],
        time: Duration::from_secs(600),
        long: false,
    },
    Step {
        name: "survival-power-cuts",
        program: &["power_cut.py", "--moments", "15"],
        time: Duration::from_secs(900),
        long: false,
    },
    Step {
        name: "survival-200-power-cuts",
        program: &["power_cut.py", "--moments", "200"],
        time: Duration::from_secs(7200),
        long: true,
    },
];

fn chosen(step: &Step, filters: &[String]) -> bool {
    selected(step.name, filters) && !(step.long && filters.is_empty())
}

/// Runs the tests whose names have one of `filters`.
pub fn run(workspace: &Workspace, filters: &[String]) -> Result<Tally> {
    setup::ensure(workspace, Purpose::Clients)?;
    guest_linux::ensure(workspace)?;
    let us = std::env::current_exe().context("this program does not know where it is")?;
    let clients = Clients::new(workspace, workspace.output("survival-tests")?);
    let mut sum = Tally::default();
    for step in STEPS.iter().filter(|step| chosen(step, filters)) {
        println!("      {}", step.name);
        let mut program = clients.survival(step.time, step.program);
        program.env("BULKHEAD_XTASK", &us);
        let result = workspace::succeed(&mut program, "see above");
        match &result {
            Ok(()) => println!("ok    {}", step.name),
            Err(error) => println!("FAIL  {}: {error:#}", step.name),
        }
        sum += Tally::of(&result);
    }
    Ok(sum)
}

/// Prints the tests' names.
pub fn list(filters: &[String]) {
    for step in STEPS.iter().filter(|step| selected(step.name, filters)) {
        println!("survival {}", step.name);
    }
}
