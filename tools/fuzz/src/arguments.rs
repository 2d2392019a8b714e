//! The command line.

use crate::campaign;
use crate::targets::{self, Target};
use crate::worker;
use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Names every target.
const ALL: &str = "all";

/// Feeds a target mutated inputs, and keeps what stops it.
#[derive(Debug, Parser)]
#[command(name = "fuzz", bin_name = "cargo xtask fuzz")]
pub struct Arguments {
    /// What to fuzz; "all" takes each in turn
    target: Option<String>,
    /// How long, for each target
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// List the targets
    #[arg(long)]
    list: bool,
    /// Run one input instead, and let it fail if it does
    #[arg(long, value_name = "FILE")]
    reproduce: Option<PathBuf>,
    /// Where the mutations start [default: the time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where corpora and findings are
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "target/fuzz",
        hide = true
    )]
    folder: PathBuf,
    /// Be a worker of the campaign in this folder
    #[arg(long, value_name = "FOLDER", hide = true)]
    work: Option<PathBuf>,
    /// A seed that is known to stop the target
    #[arg(long, value_name = "HASH", hide = true)]
    skip: Vec<String>,
}

/// What to be.
pub enum Role<'a> {
    /// Print the targets.
    List,
    /// Run one input.
    Reproduce(&'static Target, &'a Path),
    /// Be a worker.
    Work(&'static Target, worker::Order<'a>),
    /// Fuzz these targets.
    Campaign(Vec<&'static Target>, campaign::Order<'a>),
}

impl Arguments {
    /// What these arguments ask for.
    ///
    /// # Errors
    /// There is no such target.
    pub fn role(&self) -> Result<Role<'_>> {
        if self.list {
            return Ok(Role::List);
        }
        let name = self
            .target
            .as_deref()
            .context("name a target, or \"all\"; --list lists them")?;
        let seed = self.seed.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |now| now.as_secs())
        });
        let time = Duration::from_secs(self.seconds);
        if name == ALL {
            ensure!(
                self.reproduce.is_none(),
                "an input belongs to one target: name it"
            );
            let order = campaign::Order {
                folder: &self.folder,
                time,
                seed,
            };
            return Ok(Role::Campaign(targets::visible().collect(), order));
        }
        let target = targets::named(name)
            .with_context(|| format!("there is no target {name:?}; --list lists them"))?;
        if let Some(file) = &self.reproduce {
            return Ok(Role::Reproduce(target, file));
        }
        if let Some(folder) = &self.work {
            let order = worker::Order {
                folder,
                time,
                seed,
                skip: &self.skip,
            };
            return Ok(Role::Work(target, order));
        }
        let order = campaign::Order {
            folder: &self.folder,
            time,
            seed,
        };
        Ok(Role::Campaign(vec![target], order))
    }
}
