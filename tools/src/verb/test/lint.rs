//! The part `lint`: format, clippy for both targets, and the house rules. Each check counts as one test.

use super::selected;
use crate::house;
use crate::setup::{self, Purpose};
use crate::tally::Tally;
use crate::workspace::{self, BARE_TARGET, IMAGES, Workspace};
use anyhow::Result;

/// A check by another program.
type Check = fn(&Workspace) -> Result<()>;

const TOOLS: [(&str, Check); 3] = [
    ("format", format),
    ("clippy-host", clippy_host),
    ("clippy-bare", clippy_bare),
];

/// Runs the checks whose names have one of `filters`.
pub fn run(workspace: &Workspace, filters: &[String]) -> Result<Tally> {
    let mut sum = Tally::default();
    for (name, check) in TOOLS {
        if selected(name, filters) {
            sum += report(
                name,
                &check(workspace).map_err(|error| vec![format!("{error:#}")]),
            );
        }
    }
    let tree = house::Tree::read(workspace.root())?;
    for (name, rule) in house::RULES {
        if selected(name, filters) {
            let broken = rule(&tree)?;
            sum += report(
                name,
                &if broken.is_empty() {
                    Ok(())
                } else {
                    Err(broken)
                },
            );
        }
    }
    Ok(sum)
}

/// Prints the checks' names.
pub fn list() {
    let tools = TOOLS.map(|(name, _)| name);
    for name in tools.into_iter().chain(house::RULES.map(|(name, _)| name)) {
        println!("lint {name}");
    }
}

fn report(name: &str, result: &Result<(), Vec<String>>) -> Tally {
    match result {
        Ok(()) => println!("ok    lint {name}"),
        Err(reasons) => {
            println!("FAIL  lint {name}");
            for reason in reasons {
                println!("      {reason}");
            }
        }
    }
    Tally::of(result)
}

fn format(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo();
    workspace::succeed(
        command.args(["fmt", "--all", "--check"]),
        "some files are not in rustfmt's format: run `cargo fmt --all`",
    )
}

fn clippy_host(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo();
    workspace::succeed(
        command.args(["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"]),
        "clippy has complaints",
    )
}

fn clippy_bare(workspace: &Workspace) -> Result<()> {
    setup::ensure(workspace, Purpose::Build)?;
    let mut command = workspace.cargo();
    command.args(["clippy", "--quiet", "--release", "--target", BARE_TARGET]);
    for package in IMAGES {
        command.args(["--package", package]);
    }
    workspace::succeed(
        command.args(["--", "-D", "warnings"]),
        "clippy has complaints",
    )
}
