//! The worker: mutates and runs inputs until its time is over or an input stops it.

use crate::case_file::CaseFile;
use crate::corpus::Corpus;
use crate::coverage::{Coverage, News};
use crate::finding::{self, TOO_LONG};
use crate::memory;
use crate::mutate::Mutator;
use crate::random::Random;
use crate::targets::Target;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A case takes microseconds; this is for a machine that is busy with other things.
const LONGEST_CASE: Duration = Duration::from_secs(5);
/// Inputs have some kilobytes: what needs more than this has multiplied them.
const MEMORY: usize = 64 << 20;
/// Half of the management partition's stack: the other half is its own frames.
const STACK: usize = 128 << 10;
/// Cases between two looks at the time.
const ROUND: u64 = 256;
const BETWEEN_REPORTS: Duration = Duration::from_secs(10);
/// The status when a case took too long.
const HUNG: i32 = 3;

/// The case under way, counted from 1; 0 between cases.
static CASE: AtomicU64 = AtomicU64::new(0);

/// What a worker is to do.
pub struct Order<'a> {
    /// The target's folder.
    pub folder: &'a Path,
    /// For how long.
    pub time: Duration,
    /// Where the mutations start.
    pub seed: u64,
    /// Names of seeds that are known to stop the target.
    pub skip: &'a [String],
}

/// Where a worker notes the case under way.
pub const CASE_FILE: &str = "case";
/// The folder of inputs.
pub const CORPUS: &str = "corpus";

/// Runs one input.
///
/// # Errors
/// It cannot be read.
pub fn reproduce(target: &'static Target, file: &Path) -> Result<ExitCode> {
    let data = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    on_a_small_stack(move || {
        CASE.store(1, Ordering::Relaxed);
        memory::limited(MEMORY, || (target.run)(&data));
        Ok(())
    })?;
    println!("{} stands {}", target.name, file.display());
    Ok(ExitCode::SUCCESS)
}

/// Fuzzes.
///
/// # Errors
/// The folder cannot be written.
pub fn work(target: &'static Target, order: &Order) -> Result<ExitCode> {
    let corpus = Corpus::new(&order.folder.join(CORPUS))?;
    let case = CaseFile::create(&order.folder.join(CASE_FILE))?;
    let (time, seed, skip) = (order.time, order.seed, order.skip.to_vec());
    on_a_small_stack(move || {
        let seeds = (target.seeds)()?;
        let mut worker = Worker {
            target,
            case,
            buffer: Vec::new(),
            coverage: Coverage::new(),
            corpus,
            cases: 0,
        };
        worker.load(&seeds, &skip)?;
        worker.fuzz(&Mutator::new(&seeds, target.form), time, seed)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `work` in a thread with little stack while another looks at the clock.
fn on_a_small_stack(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    thread::spawn(watch);
    let worker = thread::Builder::new()
        .name("case".to_owned())
        .stack_size(STACK)
        .spawn(work)
        .context("no thread")?;
    // A panic does not come here: it ends the process.
    worker.join().unwrap_or(Ok(()))
}

/// Ends the process when one case takes too long.
fn watch() {
    let mut last = (0, Instant::now());
    loop {
        thread::sleep(LONGEST_CASE / 20);
        let case = CASE.load(Ordering::Relaxed);
        if case != last.0 || case == 0 {
            last = (case, Instant::now());
        } else if last.1.elapsed() > LONGEST_CASE {
            eprintln!("{TOO_LONG}: more than {} s", LONGEST_CASE.as_secs());
            std::process::exit(HUNG);
        }
    }
}

struct Worker {
    target: &'static Target,
    case: CaseFile,
    buffer: Vec<u8>,
    coverage: Coverage,
    corpus: Corpus,
    cases: u64,
}

impl Worker {
    /// Takes in what the repository and earlier campaigns have.
    fn load(&mut self, seeds: &[Vec<u8>], skip: &[String]) -> Result<()> {
        let mut all = self.corpus.kept()?;
        all.extend_from_slice(seeds);
        // Without coverage all seeds are as good as each other.
        let measured = self.coverage.is_measured();
        for data in all {
            if skip.contains(&finding::name(&data)) {
                continue;
            }
            if self.run(&data)? == News::Reached || !measured {
                self.corpus.add(data);
            }
        }
        if self.corpus.len() == 0 {
            self.corpus.add(Vec::new());
        }
        Ok(())
    }

    fn fuzz(&mut self, mutator: &Mutator, time: Duration, seed: u64) -> Result<()> {
        let started = Instant::now();
        let mut reported = started;
        let mut random = Random::new(seed);
        let mut data = Vec::new();
        while started.elapsed() < time {
            for _ in 0..ROUND {
                data.clear();
                data.extend_from_slice(self.corpus.pick(&mut random));
                mutator.mutate(&mut data, self.corpus.pick(&mut random), &mut random);
                if self.run(&data)? == News::Reached {
                    self.corpus.keep(data.clone())?;
                }
            }
            if reported.elapsed() >= BETWEEN_REPORTS {
                reported = Instant::now();
                self.report(started);
            }
        }
        self.report(started);
        Ok(())
    }

    fn run(&mut self, data: &[u8]) -> Result<News> {
        self.cases += 1;
        self.case.note(data, &mut self.buffer)?;
        CASE.store(self.cases, Ordering::Relaxed);
        let run = self.target.run;
        let news = self.coverage.of(|| memory::limited(MEMORY, || run(data)));
        CASE.store(0, Ordering::Relaxed);
        Ok(news)
    }

    fn report(&self, started: Instant) {
        let seconds = started.elapsed().as_secs_f64().max(0.001);
        println!(
            "{:16} {:6.0} s  {:9} cases, {:7.0} a second, {:5} inputs kept, {} edges",
            self.target.name,
            seconds,
            self.cases,
            self.cases as f64 / seconds,
            self.corpus.len(),
            self.coverage.edges()
        );
    }
}
