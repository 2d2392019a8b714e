//! `cargo xtask fuzz`: builds the fuzzer with coverage counters, and runs it at low priority.

use crate::workspace::{self, Workspace};
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const PACKAGE: &str = "fuzz";
/// LLVM's counters for each edge, as the stable compiler can be told to add them; and all checks that a debug build
/// has.
const FLAGS: [&str; 8] = [
    "-C",
    "passes=sancov-module",
    "-C",
    "llvm-args=-sanitizer-coverage-level=3",
    "-C",
    "llvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-C",
    "debug-assertions=on",
];

/// Feeds mutated inputs to what reads hostile bytes, and keeps what stops it under target/fuzz/TARGET.
///
/// Inputs that reach new code are kept for the next time. What stops the target is made as small as possible and can be
/// run again with --reproduce.
#[derive(Args)]
pub struct Fuzz {
    /// What to fuzz; "all" takes each in turn
    #[arg(required_unless_present = "list")]
    target: Option<String>,
    /// How long, for each target
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// List the targets
    #[arg(long)]
    list: bool,
    /// Run one input instead, and let it fail if it does
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    reproduce: Option<PathBuf>,
    /// Where the mutations start [default: the time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Fuzz {
    /// Runs the verb.
    pub fn run(self, workspace: &Workspace) -> Result<ExitCode> {
        let program = build(workspace)?;
        let mut command = Command::new("nice");
        command.arg(program);
        if let Some(target) = &self.target {
            command.arg(target);
        }
        if self.list {
            command.arg("--list");
        }
        command
            .args(["--for", &self.seconds.to_string()])
            .arg("--folder")
            .arg(workspace.output("fuzz")?);
        if let Some(file) = &self.reproduce {
            command.arg("--reproduce").arg(file);
        }
        if let Some(seed) = self.seed {
            command.args(["--seed", &seed.to_string()]);
        }
        let good = workspace::status(&mut command)?.success();
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Builds the fuzzer. A target is named, so that the flags are for the crates themselves and not for build programs.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let host = workspace.host_target()?;
    let folder = workspace.target().join("instrumented");
    let mut command = workspace.cargo();
    command
        .args(["build", "--quiet", "--release", "--package", PACKAGE])
        .args(["--target", &host, "--target-dir"])
        .arg(&folder)
        // Unit separators, because cargo would split at blanks otherwise.
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    workspace::succeed(&mut command, "the fuzzer does not build").context(
        "it is built with LLVM's coverage counters: see that this compiler takes -C passes",
    )?;
    Ok(folder.join(host).join("release").join(PACKAGE))
}
