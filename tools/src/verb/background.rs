//! [`Background`]: another verb of this program, as an operator would start it, for tests and benches to talk to.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What a verb may print before it says what we wait for, kept for the case that it never does.
const SHOWN: usize = 40;

/// A verb of this program, running; it ends when this goes.
#[derive(Debug)]
pub struct Background {
    process: Child,
    said: BTreeMap<String, String>,
}

impl Background {
    /// Starts a verb and waits until it has said a line `KEY: VALUE` for each of `keys`.
    ///
    /// # Errors
    /// It ends, or is silent for too long.
    pub fn start(arguments: &[&str], keys: &[&str], patience: Duration) -> Result<Self> {
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

    /// What it has said of `key`.
    ///
    /// # Errors
    /// Nothing.
    pub fn said(&self, key: &str) -> Result<&str> {
        let value = self.said.get(key).map(String::as_str);
        value.with_context(|| format!("{key} was not said"))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Politely, so that it ends its machine and removes its files; `kill` is a program because the standard
        // library only knows the other signal.
        let asked = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let end = Instant::now() + Duration::from_secs(30);
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

    fn shell(script: &str, patience: Duration) -> Result<Background> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Background::spawn(command, &["a", "b"], patience)
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
