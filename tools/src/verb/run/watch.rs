//! Watches a running machine: shows its console, says when the server answers, and what its end means.

use super::readiness::{Greeting, Readiness};
use anyhow::{Result, bail};
use qemu_tests::emulator::{Console, Emulator};
use qemu_tests::machine::CLEAN_END;
use qemu_tests::{bochs, verdict};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the console is left to look at the server and the clock.
const TICK: Duration = Duration::from_millis(100);
/// How long an emulator may take to end after it has closed its console.
const LAST_GASP: Duration = Duration::from_secs(60);
/// The hypervisor's last line before a restart. An emulator that ends there with status 0 was told to.
const RESTARTS: &str = "bulkhead: the machine restarts";
/// When to say that the server is late.
const LATE: Duration = Duration::from_secs(120);

/// A machine being watched.
pub struct Watch {
    /// The emulator.
    pub emulator: Emulator,
    /// What its lines and its end mean.
    pub dialect: Dialect,
    /// Port of 127.0.0.1 that leads to the CIM server.
    pub port: u16,
    /// The administrator's password, where the console does not repeat it.
    pub password: Option<String>,
    /// How long to watch.
    pub patience: Option<Duration>,
}

/// How watching has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As it should.
    Over,
    /// The machine wants to be started again.
    Restarts,
}

/// How an emulator tells of its end.
pub enum Dialect {
    /// By its status.
    Qemu,
    /// Not at all: the hypervisor's last line does. Its own log is in this folder.
    Bochs(PathBuf),
}

impl Watch {
    /// Watches until the machine ends, the patience is over, or the operator has had enough.
    ///
    /// # Errors
    /// The machine has ended as it should not.
    pub fn run(mut self) -> Result<Outcome> {
        // An orderly end leaves no socket and no scratch disk behind.
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        let started = Instant::now();
        let mut readiness = Readiness::new(self.port);
        let mut late = Some(LATE);
        let mut restarts = false;
        loop {
            let over = self.patience.is_some_and(|end| started.elapsed() >= end);
            if over || interrupted.load(Ordering::Relaxed) {
                return Ok(Outcome::Over);
            }
            match self.emulator.next(TICK) {
                Console::Line(line) if self.is_own(&line) => {}
                Console::Line(line) => {
                    println!("  | {line}");
                    readiness.line(&line);
                    restarts |= line == RESTARTS;
                    if let Dialect::Bochs(_) = self.dialect
                        && let Some(status) = bochs::end_status(&line)
                    {
                        return self.ended(Some(status), &readiness);
                    }
                }
                Console::Quiet => {}
                Console::Closed => {
                    let status = match self.dialect {
                        Dialect::Qemu => self.emulator.ended(LAST_GASP)?,
                        // Its status is the same whatever has happened.
                        Dialect::Bochs(_) => None,
                    };
                    if restarts && status.and_then(|status| status.code()) == Some(0) {
                        return Ok(Outcome::Restarts);
                    }
                    return self.ended(status.and_then(|status| status.code()), &readiness);
                }
            }
            for greeting in readiness.greetings() {
                println!("{}", announcement(&self.completed(greeting)));
            }
            if late.is_some_and(|late| started.elapsed() >= late) && !readiness.is_ready() {
                eprintln!("the CIM server has not answered for {} s", LATE.as_secs());
                late = None;
            }
        }
    }

    /// Whether a line is the emulator's.
    fn is_own(&self, line: &str) -> bool {
        matches!(self.dialect, Dialect::Bochs(_)) && bochs::is_own(line)
    }

    /// A greeting with the password that the console does not repeat.
    fn completed(&self, greeting: Greeting) -> Greeting {
        match (greeting, &self.password) {
            (Greeting::Password(_), Some(password)) => Greeting::Password(password.clone()),
            (greeting, _) => greeting,
        }
    }

    /// The machine has ended by itself: well only if the hypervisor says so.
    fn ended(mut self, status: Option<i32>, readiness: &Readiness) -> Result<Outcome> {
        let messages = self.emulator.stop();
        if status == Some(CLEAN_END) {
            println!("The machine has powered off.");
            return Ok(Outcome::Over);
        }
        let own = match &self.dialect {
            Dialect::Qemu => messages
                .lines()
                .map(|line| format!("QEMU: {line}"))
                .collect(),
            Dialect::Bochs(folder) => bochs::complaints(folder),
        };
        for line in own {
            eprintln!("{line}");
        }
        let reason = match (&self.dialect, status) {
            (Dialect::Bochs(_), None) => "Bochs has ended before the hypervisor said so".to_owned(),
            _ => verdict::explain_end(status),
        };
        match readiness.last_words() {
            Some(line) => bail!("{reason}: {line}"),
            None => bail!("{reason}; the console showed nothing"),
        }
    }
}

fn announcement(greeting: &Greeting) -> String {
    match greeting {
        Greeting::Ready(port) => format!("CIM ready: http://127.0.0.1:{port}"),
        Greeting::User(name) => format!("CIM user: {name}"),
        Greeting::Password(word) => format!("CIM password: {word}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_what_scripts_look_for() {
        assert_eq!(
            announcement(&Greeting::Ready(4242)),
            "CIM ready: http://127.0.0.1:4242"
        );
        assert_eq!(announcement(&Greeting::User("a".into())), "CIM user: a");
        assert_eq!(
            announcement(&Greeting::Password("b c".into())),
            "CIM password: b c"
        );
    }
}
