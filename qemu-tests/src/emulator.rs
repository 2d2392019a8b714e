//! A running QEMU: its console line by line, its end, and the certainty that it ends with us.
//!
//! Called by `cargo xtask run` and the machine-test runner. Invariant: dropping an [`Emulator`] ends its process,
//! and the kernel ends it when our own process dies in any other way.

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The longest console line kept in one piece, in bytes: a guest that never ends its line must not eat our memory.
const LONGEST_LINE: usize = 4096;

const TCG_REMARK: &str = "TCG doesn't support requested feature";

/// A QEMU process with its console on our side of a pipe.
pub struct Emulator {
    child: Child,
    console_input: Option<ChildStdin>,
    lines: Receiver<String>,
    messages: Option<JoinHandle<String>>,
}

/// What the console had to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Console {
    /// A complete line, without its end and without terminal control sequences.
    Line(String),
    /// Nothing in the time given.
    Quiet,
    /// QEMU has closed its console: it has ended or is about to.
    Closed,
}

impl Emulator {
    /// Starts `qemu` with `arguments` and keeps the raw console in `log`.
    ///
    /// Must be called on a thread that lives as long as the emulator: the kernel ends the process with its thread.
    ///
    /// # Errors
    /// The log cannot be written or the program cannot be started.
    pub fn start(qemu: &Path, arguments: &[OsString], log: Option<&Path>) -> Result<Self> {
        let log = log
            .map(|path| {
                File::create(path).with_context(|| format!("cannot write {}", path.display()))
            })
            .transpose()?;
        let mut command = ending_with_us(qemu);
        command.args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| {
            format!(
                "cannot start {}: `cargo xtask setup` installs it",
                qemu.display()
            )
        })?;
        let console_input = child.stdin.take();
        let output = child.stdout.take().context("QEMU has no console")?;
        let errors = child.stderr.take().context("QEMU has no error output")?;
        let (sender, lines) = channel();
        thread::spawn(move || read_console(output, log, &sender));
        let messages = thread::spawn(move || {
            let mut text = Vec::new();
            // A read error here means that the process is gone; what came before it is still worth showing.
            let _ = BufReader::new(errors).read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self {
            child,
            console_input,
            lines,
            messages: Some(messages),
        })
    }

    /// The next console line, waiting up to `patience`.
    pub fn next(&self, patience: Duration) -> Console {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Console::Line(line),
            Err(RecvTimeoutError::Timeout) => Console::Quiet,
            Err(RecvTimeoutError::Disconnected) => Console::Closed,
        }
    }

    /// Types `text` on the console.
    ///
    /// # Errors
    /// QEMU has ended.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        let input = self
            .console_input
            .as_mut()
            .context("the console takes no input")?;
        input
            .write_all(text.as_bytes())
            .context("QEMU does not take console input")?;
        input.flush().context("QEMU does not take console input")
    }

    /// The process's end, waiting up to `patience`; `None` when it still runs.
    ///
    /// # Errors
    /// The operating system cannot tell.
    pub fn ended(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for QEMU")? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the process, and returns what QEMU itself wrote on its error output, without TCG's list of what the CPU
    /// model has and it has not.
    pub fn stop(&mut self) -> String {
        // Both fail only when the process is already gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let text = self
            .messages
            .take()
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default();
        let own = text.lines().filter(|line| !line.contains(TCG_REMARK));
        own.fold(String::new(), |all, line| {
            all + line
                + "
"
        })
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A command that the kernel kills when the calling thread ends, by util-linux's setpriv (an essential package of
/// Debian); without it, only an orderly end of ours ends the program.
pub fn ending_with_us(program: &Path) -> Command {
    match find_program("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// The file that running `name` would run: looked up in `PATH`, and in the administrator's folders, which an
/// ordinary user's `PATH` leaves out on Debian.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn read_console(mut output: impl Read, mut log: Option<File>, lines: &Sender<String>) {
    let mut buffer = [0_u8; 4096];
    let mut line = Vec::new();
    loop {
        let count = match output.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        if let Some(file) = log.as_mut()
            && file.write_all(bytes).is_err()
        {
            log = None; // A full disk must not stop the machine.
        }
        for &byte in bytes {
            if byte == b'\n' || line.len() == LONGEST_LINE {
                // The receiver may be gone; the log is still to be filled.
                let _ = lines.send(readable(&line));
                line.clear();
            }
            if byte != b'\n' {
                line.push(byte);
            }
        }
    }
    if !line.is_empty() {
        let _ = lines.send(readable(&line));
    }
}

/// A console line as text: without terminal control sequences (GRUB and OVMF draw with them) and control bytes.
fn readable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            if chars.next_if_eq(&'[').is_some() {
                // Parameters, then one letter that ends the sequence (ECMA-48 5.4).
                while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
            }
            chars.next();
        } else if c == '\t' || !c.is_control() {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn lines_of(bytes: &[u8]) -> Vec<String> {
        let (sender, receiver) = channel();
        read_console(Cursor::new(bytes), None, &sender);
        drop(sender);
        receiver.iter().collect()
    }

    #[test]
    fn lines_lose_their_ends_and_the_last_needs_none() {
        assert_eq!(lines_of(b"one\r\ntwo\n\nend"), ["one", "two", "", "end"]);
    }

    #[test]
    fn terminal_control_is_removed() {
        assert_eq!(
            lines_of(b"\x1b[2J\x1b[01;01Hboot\x1b[0mup\x07\x1bM!\n"),
            ["bootup!"]
        );
    }

    #[test]
    fn an_endless_line_is_cut() {
        let long = vec![b'x'; LONGEST_LINE * 2 + 10];
        let lengths: Vec<_> = lines_of(&long).iter().map(String::len).collect();
        assert_eq!(lengths, [LONGEST_LINE, LONGEST_LINE, 10]);
    }

    #[test]
    fn a_program_is_found_and_its_end_noticed() {
        let shell = find_program("sh").unwrap();
        let script = ["-c".into(), "echo hello; echo \"TCG doesn't support requested feature: x\" >&2; echo trouble >&2; exit 33".into()];
        let mut emulator = Emulator::start(&shell, &script, None).unwrap();
        assert_eq!(
            emulator.next(Duration::from_secs(10)),
            Console::Line("hello".into())
        );
        assert_eq!(emulator.next(Duration::from_secs(10)), Console::Closed);
        let status = emulator.ended(Duration::from_secs(10)).unwrap().unwrap();
        assert_eq!(status.code(), Some(33));
        assert_eq!(emulator.stop(), "trouble\n");
        assert_eq!(find_program("no-such-program-here"), None);
    }

    #[test]
    fn a_dropped_emulator_has_ended() {
        let shell = find_program("sh").unwrap();
        let emulator = Emulator::start(
            &shell,
            &["-c".into(), "echo $$; exec sleep 100".into()],
            None,
        )
        .unwrap();
        let Console::Line(pid) = emulator.next(Duration::from_secs(10)) else {
            panic!("no process id");
        };
        assert!(Path::new("/proc").join(&pid).exists());
        drop(emulator);
        assert!(!Path::new("/proc").join(&pid).exists());
    }

    #[test]
    fn what_is_typed_arrives() {
        let cat = find_program("cat").unwrap();
        let mut emulator = Emulator::start(&cat, &[], None).unwrap();
        assert_eq!(emulator.next(Duration::from_millis(1)), Console::Quiet);
        emulator.type_text("hello\n").unwrap();
        assert_eq!(
            emulator.next(Duration::from_secs(10)),
            Console::Line("hello".into())
        );
        assert_eq!(emulator.ended(Duration::ZERO).unwrap(), None);
    }
}
