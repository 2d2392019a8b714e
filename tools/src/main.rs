//! The one entry for developers and operators: `cargo xtask VERB`.
//!
//! A verb is one file in `verb/`: a clap argument struct with a `run` method, and a line in [`Verb`].
#![forbid(unsafe_code)]

mod house;
mod setup;
mod tally;
mod verb;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use verb::{bench, bridge, console, fuzz, image, run, setup as setup_verb, sim, test};
use workspace::Workspace;

/// Builds, boots, tests and sets up Bulkhead.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Setup(setup_verb::Setup),
    Image(image::Image),
    Run(run::Run),
    Bridge(bridge::Bridge),
    Console(console::Console),
    Sim(sim::Sim),
    Test(test::Test),
    Bench(bench::Bench),
    Fuzz(fuzz::Fuzz),
}

impl Verb {
    fn run(self) -> Result<ExitCode> {
        let workspace = Workspace::find()?;
        match self {
            Self::Setup(verb) => verb.run(&workspace),
            Self::Image(verb) => verb.run(&workspace),
            Self::Run(verb) => verb.run(&workspace),
            Self::Bridge(verb) => verb.run(),
            Self::Console(verb) => verb.run(),
            Self::Sim(verb) => verb.run(&workspace),
            Self::Test(verb) => verb.run(&workspace),
            Self::Bench(verb) => verb.run(&workspace),
            Self::Fuzz(verb) => verb.run(&workspace),
        }
    }
}

fn main() -> ExitCode {
    match Arguments::parse().verb.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
