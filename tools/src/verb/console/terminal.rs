//! The terminal: raw while a console is attached, silent while a password is typed. `stty` (POSIX) sets it.

use anyhow::{Context, Result, bail, ensure};
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::{Command, Stdio};

/// The terminal in raw mode, until this goes.
pub struct RawTerminal(String);

impl RawTerminal {
    /// Makes the terminal of standard input raw.
    pub fn new() -> Result<Self> {
        Self::with(&["raw", "-echo"])
    }

    fn with(settings: &[&str]) -> Result<Self> {
        let before = Self(stty(&["-g"])?.trim().to_owned());
        stty(settings)?;
        Ok(before)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = stty(&[&self.0]);
    }
}

fn stty(arguments: &[&str]) -> Result<String> {
    let output = Command::new("stty")
        .args(arguments)
        .stdin(Stdio::inherit())
        .output()
        .context("cannot run stty, which sets the terminal")?;
    ensure!(
        output.status.success(),
        "stty failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asks for a password.
pub fn ask(prompt: &str) -> Result<String> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask for the password: give it as --password");
    }
    let _silent = RawTerminal::with(&["-echo"])?;
    eprint!("{prompt}");
    io::stderr().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    eprintln!();
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
