//! The step `cim-partition`: the shorter list of tests against the booted product, over both of its channels.
//!
//! Uses the verbs `run` and `bridge` as an operator would.

use super::{Clients, count};
use crate::tally::Tally;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Build, boot, and the server's start, on a busy machine.
const BOOT: Duration = Duration::from_secs(240);
/// The machine ends by itself after this, whatever happens to us.
const LIFE: &str = "900";
/// What a verb may print before it says what we wait for, kept for the case that it never does.
const SHOWN: usize = 40;

/// Tests that a channel is not made for.
type LeftOut = &'static [&'static str];
/// They open more connections at a time than the partition keeps sockets for.
const NETWORK: LeftOut = &["test_idle_connections", "test_many_connections"];
/// They need several connections at a time, or leave one in the middle of an answer; the port has one client after the
/// other.
const SERIAL: LeftOut = &[
    "test_http",
    "test_limits",
    "test_namespaces_can_be_made_and_removed",
];

/// Runs the step.
pub fn test(clients: &Clients) -> Result<Tally> {
    let wanted = ["CIM serial", "CIM ready", "CIM user", "CIM password"];
    let machine = Verb::start(&["run", "--for", LIFE], &wanted, BOOT)?;
    let (user, password) = (machine.said("CIM user")?, machine.said("CIM password")?);
    let over = |url: &str, left_out: LeftOut, name| {
        let mut suite = clients.suite();
        for word in left_out {
            suite.args(["--leave-out", word]);
        }
        suite.args([
            "--short",
            "--url",
            url,
            "--user",
            user,
            "--password",
            password,
        ]);
        count(suite, name)
    };
    let mut sum = over(machine.said("CIM ready")?, NETWORK, "cim-partition-network")?;
    let serial = machine.said("CIM serial")?;
    let bridge = Verb::start(
        &["bridge", "--serial-socket", serial],
        &["CIM serial bridge"],
        BOOT,
    )?;
    sum += over(
        bridge.said("CIM serial bridge")?,
        SERIAL,
        "cim-partition-serial",
    )?;
    Ok(sum)
}

/// A verb of this program, running; it ends when this goes.
struct Verb {
    process: Child,
    said: BTreeMap<String, String>,
}

impl Verb {
    /// Starts a verb and waits until it has said a line `KEY: VALUE` for each of `keys`.
    fn start(arguments: &[&str], keys: &[&str], patience: Duration) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments);
        Self::spawn(command, keys, patience)
    }

    fn spawn(mut command: Command, keys: &[&str], patience: Duration) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start another verb")?;
        let output = process.stdout.take().context("a verb without output")?;
        let lines = read(output);
        let mut verb = Self {
            process,
            said: BTreeMap::new(),
        };
        verb.listen(&lines, keys, patience)?;
        // The rest is read, or the verb would wait for us one day.
        thread::spawn(move || for _ in lines {});
        Ok(verb)
    }

    fn listen(
        &mut self,
        lines: &Receiver<String>,
        keys: &[&str],
        patience: Duration,
    ) -> Result<()> {
        let end = Instant::now() + patience;
        let mut shown = Vec::new();
        while !keys.iter().all(|key| self.said.contains_key(*key)) {
            let left = end.saturating_duration_since(Instant::now());
            let line = match lines.recv_timeout(left) {
                Ok(line) => line,
                Err(reason) => {
                    let silent: Vec<_> = keys
                        .iter()
                        .filter(|key| !self.said.contains_key(**key))
                        .collect();
                    for line in shown.iter().rev().take(SHOWN).rev() {
                        println!("      | {line}");
                    }
                    match reason {
                        RecvTimeoutError::Timeout => {
                            bail!(
                                "after {} s nothing was said of {silent:?}",
                                patience.as_secs()
                            )
                        }
                        RecvTimeoutError::Disconnected => {
                            bail!("the verb has ended and said nothing of {silent:?}")
                        }
                    }
                }
            };
            if let Some((key, value)) = line.split_once(": ")
                && keys.contains(&key)
            {
                self.said.insert(key.to_owned(), value.to_owned());
            }
            shown.push(line);
        }
        Ok(())
    }

    fn said(&self, key: &str) -> Result<&str> {
        let value = self.said.get(key).map(String::as_str);
        value.with_context(|| format!("{key} was not said"))
    }
}

impl Drop for Verb {
    fn drop(&mut self) {
        // Politely, so that it ends its machine and removes its files; `kill` is a program because the standard
        // library only knows the other signal.
        let asked = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let end = Instant::now() + Duration::from_secs(10);
        while asked.is_ok() && Instant::now() < end {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read(output: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Result<Verb> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Verb::spawn(command, &["a", "b"], patience)
    }

    #[test]
    fn what_was_said_is_kept() {
        let script = "echo 'x: 1'; echo 'a: 2: 3'; echo 'b: http://h'; exec sleep 100";
        let verb = shell(script, Duration::from_secs(10)).unwrap();
        assert_eq!(verb.said("a").unwrap(), "2: 3");
        assert_eq!(verb.said("b").unwrap(), "http://h");
        assert!(verb.said("x").is_err());
    }

    #[test]
    fn a_verb_that_says_too_little_is_an_error() {
        let ended = shell("echo 'a: 2'", Duration::from_secs(10));
        assert!(ended.is_err_and(|error| error.to_string().contains("has ended")));
        let silent = shell("echo 'a: 2'; exec sleep 100", Duration::from_millis(300));
        assert!(silent.is_err_and(|error| error.to_string().contains("\"b\"")));
    }
}
