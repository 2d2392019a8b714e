//! Coverage-guided fuzzing of everything that reads hostile bytes, on the stable toolchain.
//!
//! Called by `cargo xtask fuzz`, which builds this with LLVM's coverage counters (`-C passes=sancov-module`); without
//! them it works as well, but blindly. One program in three roles:
//!
//! - the campaign (the default) starts workers, and keeps, confirms and minimises what stops them;
//! - a worker (`--work`) mutates inputs and runs them until it is stopped by a finding or by its time;
//! - `--reproduce FILE` runs one input.
//!
//! A worker is its own process, so that a panic, an endless loop, a stack overflow and boundless memory are all just
//! the end of a process. The input under way is in a file that outlives it.

mod arguments;
mod campaign;
mod case_file;
mod corpus;
mod coverage;
mod finding;
mod images;
mod memory;
mod minimise;
mod mutate;
mod random;
mod seeds;
mod server;
mod targets;
mod worker;

use anyhow::Result;
use arguments::{Arguments, Role};
use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static HEAP: memory::LimitedHeap = memory::LimitedHeap;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    match arguments.role()? {
        Role::List => {
            for target in targets::visible() {
                println!("{:16} {}", target.name, target.about);
            }
            Ok(ExitCode::SUCCESS)
        }
        Role::Reproduce(target, file) => worker::reproduce(target, file),
        Role::Work(target, order) => worker::work(target, &order),
        Role::Campaign(targets, order) => campaign::run(&targets, &order),
    }
}
