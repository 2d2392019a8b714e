//! `cargo xtask sim`: the WBEM server as a host process, with no machine under it.

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::process::{Child, Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PACKAGE: &str = "cim-sim";
const TICK: Duration = Duration::from_millis(50);

/// Runs the WBEM server on this machine, over a simulated machine, until Ctrl-C or --for SECONDS.
///
/// Virtual systems can be defined and started; their guests are timers. Words of a guest's command line say how it
/// behaves: fake.crash=MS, fake.off=MS, fake.restart=MS, fake.start=MS, fake.fail=image|memory|machine, fake.deaf.
/// Prints the same lines as `run` when it answers; after that, the audit trail.
#[derive(Args)]
pub struct Sim {
    /// TCP port of 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "P", default_value_t = 0, hide_default_value = true)]
    cim_port: u16,
    /// The administrator's password [default: a random one]
    #[arg(long, value_name = "WORD")]
    cim_password: Option<String>,
    /// A further account; roles: read-only, operator, administrator
    #[arg(long = "cim-account", value_name = "NAME:ROLE:PASSWORD")]
    accounts: Vec<String>,
    /// Keep the definitions of virtual systems in this directory [default: in memory]
    #[arg(long, value_name = "DIRECTORY")]
    store: Option<String>,
    /// Systems that were on when the store was left still run
    #[arg(long, requires = "store")]
    adopt: bool,
    /// Serve a still demonstration world instead: a host, virtual systems, and so many processors
    #[arg(long, value_name = "PROCESSORS")]
    demo: Option<usize>,
    /// Stop after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
}

impl Sim {
    /// Runs the verb.
    pub fn run(self, workspace: &Workspace) -> Result<ExitCode> {
        let program = workspace.build_program(PACKAGE)?;
        // Before the start: an early Ctrl-C must not leave the server behind.
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        let mut command = Command::new(&program);
        command.args(self.arguments());
        let server = command
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let end = self.seconds.map(Duration::from_secs);
        watch(server, end, &interrupted)
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--cim-port".to_owned(), self.cim_port.to_string()];
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        if let Some(word) = &self.cim_password {
            add("--cim-password", word.clone());
        }
        for account in &self.accounts {
            add("--cim-account", account.clone());
        }
        if let Some(store) = &self.store {
            add("--store", store.clone());
        }
        if let Some(processors) = self.demo {
            add("--demo", processors.to_string());
        }
        if self.adopt {
            arguments.push("--adopt".to_owned());
        }
        arguments
    }
}

/// Waits for the time, a signal, or the server's own end, which is a failure.
fn watch(mut server: Child, end: Option<Duration>, interrupted: &AtomicBool) -> Result<ExitCode> {
    let started = Instant::now();
    loop {
        let over = end.is_some_and(|end| started.elapsed() >= end);
        if over || interrupted.load(Ordering::Relaxed) {
            // A Ctrl-C reaches the server as well, so that it may be gone already.
            let _ = server.kill();
            server.wait()?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(status) = server.try_wait()? {
            if interrupted.load(Ordering::Relaxed) {
                return Ok(ExitCode::SUCCESS);
            }
            bail!("the server has ended by itself: {status}");
        }
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(seconds: &str) -> Child {
        Command::new("sleep").arg(seconds).spawn().unwrap()
    }

    #[test]
    fn the_time_and_a_signal_end_it_well() {
        let quiet = AtomicBool::new(false);
        let end = Some(Duration::from_millis(1));
        assert!(watch(sleeper("100"), end, &quiet).is_ok());
        assert!(watch(sleeper("100"), None, &AtomicBool::new(true)).is_ok());
    }

    #[test]
    fn a_server_that_ends_by_itself_is_a_failure() {
        let error = watch(sleeper("0"), None, &AtomicBool::new(false)).unwrap_err();
        assert!(error.to_string().contains("by itself"), "{error}");
    }

    #[test]
    fn options_reach_the_server() {
        let sim = Sim {
            cim_port: 7,
            cim_password: Some("w".into()),
            accounts: vec!["a:operator:b".into(), "c:read-only:d".into()],
            store: Some("kept".into()),
            adopt: true,
            demo: Some(3),
            seconds: Some(1),
        };
        let expected = "--cim-port 7 --cim-password w --cim-account a:operator:b \
                        --cim-account c:read-only:d --store kept --demo 3 --adopt";
        assert_eq!(sim.arguments().join(" "), expected);
    }
}
