//! QEMU's human monitor over a unix socket: a look at the machine from outside.
//!
//! Called by the probes of machine tests, which must see the hypervisor as nothing inside the machine can fake.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const PROMPT: &[u8] = b"(qemu) ";
/// More than any answer takes: `info tlb` of a large table is the slowest.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection to the monitor.
pub struct Monitor<S = UnixStream> {
    stream: S,
}

impl Monitor {
    /// Connects to the monitor at `socket` and waits for its prompt.
    ///
    /// # Errors
    /// Nobody listens there, or what answers is no monitor.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("no QEMU monitor at {}", socket.display()))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Self::greet(stream)
    }
}

impl<S: Read + Write> Monitor<S> {
    fn greet(stream: S) -> Result<Self> {
        let mut monitor = Self { stream };
        monitor.until_prompt()?;
        Ok(monitor)
    }

    /// The answer to `command`, one of QEMU's monitor commands such as `info tlb`.
    ///
    /// # Errors
    /// The monitor does not answer, or does not know the command.
    pub fn ask(&mut self, command: &str) -> Result<String> {
        self.stream
            .write_all(format!("{command}\n").as_bytes())
            .context("the QEMU monitor is gone")?;
        let raw = self.until_prompt()?;
        // The monitor echoes the command, redrawing it after every letter, up to the first line end.
        let text = raw
            .split_once('\n')
            .map_or("", |(_echo, answer)| answer)
            .replace('\r', "");
        if text.starts_with("unknown command") {
            bail!("this QEMU's monitor does not know {command:?}");
        }
        Ok(text)
    }

    fn until_prompt(&mut self) -> Result<String> {
        let mut all = Vec::new();
        let mut buffer = [0_u8; 4096];
        while !all.ends_with(PROMPT) {
            let count = self
                .stream
                .read(&mut buffer)
                .context("the QEMU monitor is silent")?;
            if count == 0 {
                bail!("the QEMU monitor closed the connection");
            }
            all.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
        all.truncate(all.len() - PROMPT.len());
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A monitor that answers each command with what the script says.
    fn scripted(script: &'static [(&'static str, &'static str)]) -> Monitor {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            theirs
                .write_all(b"QEMU 7.2 monitor - type 'help'\r\n(qemu) ")
                .unwrap();
            for (command, answer) in script {
                let mut line = vec![0; command.len() + 1];
                theirs.read_exact(&mut line).unwrap();
                assert_eq!(line, format!("{command}\n").as_bytes());
                theirs
                    .write_all(format!("\x1b[K{command}\r\n{answer}(qemu) ").as_bytes())
                    .unwrap();
            }
        });
        Monitor::greet(ours).unwrap()
    }

    #[test]
    fn answers_come_without_echo_and_carriage_returns() {
        let mut monitor = scripted(&[("info mem", "a\r\nb\r\n"), ("stop", "")]);
        assert_eq!(monitor.ask("info mem").unwrap(), "a\nb\n");
        assert_eq!(monitor.ask("stop").unwrap(), "");
    }

    #[test]
    fn an_unknown_command_is_an_error() {
        let mut monitor = scripted(&[("jump", "unknown command: 'jump'\r\n")]);
        assert!(monitor.ask("jump").is_err());
    }

    #[test]
    fn a_closed_monitor_is_an_error() {
        let mut monitor = scripted(&[]);
        assert!(monitor.ask("info mem").is_err());
    }
}
