//! The campaign: keeps a worker going, and confirms, minimises and files what stops it.

use crate::case_file::CaseFile;
use crate::finding::{Symptom, name};
use crate::minimise::minimise;
use crate::targets::Target;
use crate::worker::{CASE_FILE, CORPUS};
use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// How long one finding may be made smaller.
const MINIMISING: Duration = Duration::from_secs(60);
/// A worker that is stopped this often comes no further before the finding is fixed.
const STOPS: usize = 200;
/// How many lines of what a worker said are kept with a finding, and how much of each.
const SAID_LINES: usize = 20;
const SAID_CHARACTERS: usize = 300;

/// What a campaign is to do.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// Each target has a folder of its name in this one.
    pub folder: &'a Path,
    /// For how long, each target.
    pub time: Duration,
    /// Where the mutations start.
    pub seed: u64,
}

/// Fuzzes `targets`, each in turn.
///
/// # Errors
/// Workers cannot be started, or files not be written.
pub fn run(targets: &[&'static Target], order: &Order) -> Result<ExitCode> {
    let mut findings = 0;
    for target in targets {
        let mut campaign = Campaign {
            target,
            folder: order.folder.join(target.name),
            found: Vec::new(),
            skip: Vec::new(),
        };
        campaign.run(order)?;
        findings += campaign.found.len();
    }
    println!("{} targets, {findings} findings", targets.len());
    Ok(if findings == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Campaign {
    target: &'static Target,
    folder: PathBuf,
    found: Vec<Symptom>,
    /// Inputs that stop the target, by name.
    skip: Vec<String>,
}

impl Campaign {
    fn run(&mut self, order: &Order) -> Result<()> {
        fs::create_dir_all(self.folder.join(CORPUS))
            .with_context(|| format!("cannot write to {}", self.folder.display()))?;
        let end = Instant::now() + order.time;
        for stop in 0..STOPS {
            let left = end.saturating_duration_since(Instant::now());
            // Whole seconds are what a worker is told.
            if left < Duration::from_secs(1) && stop > 0 {
                return Ok(());
            }
            let mut command = self.program()?;
            command
                .args(["--for", &left.as_secs().max(1).to_string()])
                .args(["--seed", &(order.seed + stop as u64).to_string()])
                .arg("--work")
                .arg(&self.folder);
            for name in &self.skip {
                command.args(["--skip", name]);
            }
            let Some((symptom, said)) = ended(command.stdout(Stdio::inherit()))? else {
                return Ok(());
            };
            let Some(data) = CaseFile::read(&self.folder.join(CASE_FILE))? else {
                anyhow::bail!("the worker of {} does not start: {said}", self.target.name);
            };
            self.skip.push(name(&data));
            if !self.found.contains(&symptom) {
                self.file(symptom, &data, &said)?;
            }
        }
        println!("{}: stopped {STOPS} times, given up", self.target.name);
        Ok(())
    }

    /// This program, for this target.
    fn program(&self) -> Result<Command> {
        let mut command = Command::new(env::current_exe().context("this program is gone")?);
        command
            .arg(self.target.name)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
        Ok(command)
    }

    fn file(&mut self, symptom: Symptom, data: &[u8], said: &str) -> Result<()> {
        let trial = self.folder.join("trial");
        let shows = |data: &[u8]| {
            let again = fs::write(&trial, data)
                .ok()
                .and_then(|()| self.reproduce(&trial).ok());
            again.flatten().is_some_and(|(again, _)| again == symptom)
        };
        let (data, note) = if shows(data) {
            let end = Instant::now() + MINIMISING;
            (minimise(data, end, shows), "")
        } else {
            (data.to_vec(), " (not when it runs alone)")
        };
        let path = self.folder.join(format!("finding-{}", name(&data)));
        fs::write(&path, &data).with_context(|| format!("cannot write {}", path.display()))?;
        let said: Vec<String> = said
            .lines()
            .take(SAID_LINES)
            .map(|line| line.chars().take(SAID_CHARACTERS).collect())
            .collect();
        let text = format!("{symptom}{note}\n{}\n", said.join("\n"));
        fs::write(path.with_extension("txt"), &text)?;
        let _ = fs::remove_file(&trial);
        println!(
            "FOUND  {}: {symptom}{note}\n       {} bytes: cargo xtask fuzz {0} --reproduce {}",
            self.target.name,
            data.len(),
            path.display()
        );
        for line in &said {
            println!("       | {line}");
        }
        self.found.push(symptom);
        Ok(())
    }

    fn reproduce(&self, file: &Path) -> Result<Option<(Symptom, String)>> {
        let mut command = self.program()?;
        command.arg("--reproduce").arg(file);
        ended(command.stdout(Stdio::null()))
    }
}

/// Runs a worker to its end; a bad one is a symptom, with what was said about it.
fn ended(command: &mut Command) -> Result<Option<(Symptom, String)>> {
    let child = command
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start a worker")?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Symptom::of(output.status, &said).map(|symptom| (symptom, said)))
}
