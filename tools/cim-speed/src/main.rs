//! What the WBEM server costs.
//!
//! Called by `cargo xtask bench cim`. Three ways to the same server: in this process without sockets, where the heap is
//! counted as well; through the host process over loopback; and, with `--url`, any other server, as the booted
//! partition.

mod heap;
mod inside;
mod measure;
mod message;
mod outside;
mod row;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use outside::{Login, Remote, Simulator};
use row::Row;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

#[global_allocator]
static HEAP: heap::CountingHeap = heap::CountingHeap;

/// Measures the WBEM server.
#[derive(Parser)]
#[command(name = "cim-speed", bin_name = "cargo xtask bench cim")]
struct Arguments {
    /// The host process to start and measure over loopback
    #[arg(long, value_name = "PROGRAM")]
    sim: Option<PathBuf>,
    /// Measure only the latency of GetInstance on this server, http://HOST:PORT
    #[arg(long, value_name = "URL", requires = "user", requires = "password")]
    url: Option<String>,
    /// Who signs in there
    #[arg(long)]
    user: Option<String>,
    /// And with what
    #[arg(long)]
    password: Option<String>,
    /// What to call the way to that server
    #[arg(long, value_name = "WORD", default_value = "remote")]
    way: String,
    /// Where the rows are written; those of another way stay, if only one way is measured
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let rows = if let Some(url) = &arguments.url {
        let login = Login {
            url: url.clone(),
            user: arguments.user.clone().unwrap_or_default(),
            password: arguments.password.clone().unwrap_or_default(),
        };
        vec![outside::latency(
            &mut Remote::connect(&login)?,
            &arguments.way,
        )?]
    } else {
        let mut rows = measure::codec()?;
        rows.extend(inside::all()?);
        if let Some(program) = &arguments.sim {
            rows.extend(outside::all(&Simulator::start(program)?)?);
        }
        rows
    };
    ensure!(!rows.is_empty(), "nothing was measured");
    print!("{}", row::table(&rows));
    let before = match &arguments.url {
        // A partition's row comes to the host's.
        Some(_) => fs::read_to_string(&arguments.json).unwrap_or_default(),
        None => String::new(),
    };
    let path = &arguments.json;
    fs::write(path, row::json(&before, &rows))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Whether a figure exists for this row.
type Figure = Option<f64>;

/// Rows with nothing but a rate.
fn rate(way: &str, name: &str, unit: &'static str, value: f64) -> Row {
    Row {
        way: way.to_owned(),
        name: name.to_owned(),
        unit,
        rate: value,
        bytes: None,
        peak: None,
        allocations: None,
    }
}
