//! `cargo xtask console`: attaches the terminal to a system's console.

mod find;
mod terminal;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use find::Server;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};
use terminal::RawTerminal;

/// How long the console's server may take for a prompt: checking a password is slow on purpose.
const PROMPT_TIME: Duration = Duration::from_secs(30);
/// How often the time is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Attaches the terminal to the console of a virtual system; Ctrl-] leaves.
///
/// Without a terminal, standard input is typed there as it is, and what the console prints goes to standard output until
/// the session ends or the time is over.
#[derive(Args)]
pub struct Console {
    /// The system: its ElementName in CIM
    name: String,
    /// The CIM server, as `run` prints it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5988")]
    url: String,
    /// The account
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    /// Its password [default: asked for]
    #[arg(long, value_name = "WORD")]
    password: Option<String>,
    /// The console's TCP port, instead of asking the CIM server for it
    #[arg(long, value_name = "P")]
    port: Option<u16>,
    /// Leave after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
}

impl Console {
    /// Runs the verb.
    pub fn run(self) -> Result<ExitCode> {
        let password = match &self.password {
            Some(password) => password.clone(),
            None => terminal::ask(&format!("password of {}: ", self.user))?,
        };
        let server = Server::new(&self.url, &self.user, &password)?;
        let port = match self.port {
            Some(port) => port,
            None => server.console_port(&self.name)?,
        };
        let address = (server.host(), port);
        let stream = TcpStream::connect(address)
            .with_context(|| format!("no console answers at port {port} of {}", server.host()))?;
        stream.set_nodelay(true)?;
        let greeting = log_in(&stream, &self.user, &password)?;
        attach(&stream, &greeting, self.seconds.map(Duration::from_secs))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Answers the prompts; returns what came after them.
fn log_in(stream: &TcpStream, user: &str, password: &str) -> Result<Vec<u8>> {
    let mut prompts = Prompts {
        stream,
        read: Vec::new(),
        end: Instant::now() + PROMPT_TIME,
    };
    prompts.wait_for(&["login: "])?;
    prompts.say(user)?;
    prompts.wait_for(&["password: "])?;
    prompts.say(password)?;
    match prompts.wait_for(&["console of ", "is wrong.", "come again in"])? {
        0 => Ok(prompts.read),
        1 => bail!("the console's server does not accept this name and password"),
        _ => bail!("too many wrong passwords came from here: try again in a minute"),
    }
}

struct Prompts<'a> {
    stream: &'a TcpStream,
    /// What has come since the last prompt.
    read: Vec<u8>,
    end: Instant,
}

impl Prompts<'_> {
    /// Reads until one of the texts has come; returns which.
    fn wait_for(&mut self, texts: &[&str]) -> Result<usize> {
        let mut buffer = [0; 4096];
        loop {
            let found = texts.iter().position(|text| {
                let mut windows = self.read.windows(text.len());
                windows.any(|window| window == text.as_bytes())
            });
            if let Some(found) = found {
                return Ok(found);
            }
            let left = self.end.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "the console's server is silent");
            self.stream.set_read_timeout(Some(left))?;
            match (&mut &*self.stream).read(&mut buffer) {
                Ok(0) => bail!("the console's server has ended the connection"),
                Ok(count) => self.read.extend(buffer.iter().take(count)),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.read.clear();
        let line = format!("{text}\r");
        (&mut &*self.stream).write_all(line.as_bytes())?;
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Copies both ways until the session or the time is over.
fn attach(stream: &TcpStream, greeting: &[u8], time: Option<Duration>) -> Result<()> {
    let _raw = match io::stdin().is_terminal() {
        true => Some(RawTerminal::new()?),
        false => None,
    };
    let typed = stream.try_clone()?;
    // It ends with this program: what it waits for may never come.
    thread::spawn(move || type_in(typed, io::stdin().lock()));
    show(stream, greeting, time, io::stdout().lock())
}

/// Sends what is typed. Its end is not told: who only watches has typed nothing.
fn type_in(mut stream: TcpStream, mut input: impl Read) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = input.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        if stream.write_all(bytes).is_err() {
            return;
        }
    }
}

/// Shows what comes.
fn show(
    mut stream: &TcpStream,
    greeting: &[u8],
    time: Option<Duration>,
    mut output: impl Write,
) -> Result<()> {
    let end = time.map(|time| Instant::now() + time);
    output.write_all(greeting)?;
    output.flush()?;
    stream.set_read_timeout(Some(TICK))?;
    let mut buffer = [0; 16 * 1024];
    while end.is_none_or(|end| Instant::now() < end) {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                output.write_all(buffer.get(..count).unwrap_or_default())?;
                output.flush()?;
            }
            Err(error) if is_timeout(&error) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
