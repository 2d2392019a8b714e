//! Servers in other processes, over TCP, with one connection that is kept.

use crate::measure::{self, Effort};
use crate::message::{Composer, Message};
use crate::rate;
use crate::row::Row;
use anyhow::{Context, Result, ensure};
use cim_http::{ClientEvent, Limits, ResponseReader};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const WAY: &str = "loopback";
/// Processors of the demonstration world there.
const PROCESSORS: &str = "1000";
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests for the latency: enough for a median.
const ASKED: usize = 200;
const INTEROP: &str = "interop";

/// Where a server is, and who may sign in.
pub struct Login {
    /// `http://HOST:PORT`.
    pub url: String,
    /// Name.
    pub user: String,
    /// Password.
    pub password: String,
}

/// The host process, which ends when this goes.
pub struct Simulator {
    process: Child,
    login: Login,
}

impl Simulator {
    /// Starts the program and waits until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(program: &Path) -> Result<Self> {
        let mut process = Command::new(program)
            .args(["--cim-port", "0", "--demo", PROCESSORS])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let output = process.stdout.take().context("no output")?;
        let mut simulator = Self {
            process,
            login: Login {
                url: String::new(),
                user: String::new(),
                password: String::new(),
            },
        };
        let mut lines = BufReader::new(output).lines();
        while simulator.login.password.is_empty() {
            let line = lines.next().context("the simulator does not start")??;
            match line.split_once(": ") {
                Some(("CIM ready", url)) => simulator.login.url = url.to_owned(),
                Some(("CIM user", name)) => simulator.login.user = name.to_owned(),
                Some(("CIM password", word)) => simulator.login.password = word.to_owned(),
                _ => {}
            }
        }
        // The audit trail follows; it must be read.
        thread::spawn(move || lines.for_each(drop));
        Ok(simulator)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection to a server, made anew when the server has ended it.
pub struct Remote {
    host: String,
    stream: TcpStream,
    reader: ResponseReader,
    composer: Composer,
    piece: Vec<u8>,
}

impl Remote {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(login: &Login) -> Result<Self> {
        let host = login
            .url
            .strip_prefix("http://")
            .context("the URL is not http://HOST:PORT")?;
        Ok(Self {
            stream: connect(host)?,
            host: host.to_owned(),
            reader: reader(),
            composer: Composer::new(host, &login.user, &login.password),
            piece: vec![0; 64 * 1024],
        })
    }

    /// Sends a request and reads the answer's body into `body`.
    fn ask(&mut self, message: &Message, body: &mut Vec<u8>) -> Result<()> {
        body.clear();
        self.stream.write_all(&message.0)?;
        loop {
            match self.reader.poll()? {
                Some(ClientEvent::Body(bytes)) => body.extend_from_slice(bytes),
                Some(ClientEvent::End(_)) => break,
                Some(_) => {}
                None => {
                    let count = self.stream.read(&mut self.piece)?;
                    ensure!(count > 0, "the server has closed the connection");
                    self.reader
                        .push(self.piece.get(..count).unwrap_or_default());
                }
            }
        }
        // The server ends a connection after some thousand requests.
        if self.reader.keeps_alive() {
            self.reader.next_response();
        } else {
            self.stream = connect(&self.host)?;
            self.reader = reader();
        }
        Ok(())
    }

    /// Asks once, and the answer must be a good one.
    fn good(&mut self, message: &Message) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        self.ask(message, &mut body)?;
        let text = String::from_utf8_lossy(&body);
        ensure!(
            text.contains("<IRETURNVALUE>") && !text.contains("<ERROR"),
            "a request fails: {}",
            text.get(..600).unwrap_or(&text)
        );
        Ok(body)
    }

    fn row(&mut self, name: &str, message: &Message) -> Result<Row> {
        let mut body = self.good(message)?;
        let mut failed = Ok(());
        let rate = measure::rate(Effort::Many, || {
            if failed.is_ok() {
                failed = self.ask(message, &mut body);
            }
        });
        failed?;
        let mut row = crate::rate(WAY, name, "/s", rate);
        row.bytes = Some(body.len() as f64);
        Ok(row)
    }
}

fn connect(host: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(host).with_context(|| format!("cannot connect to {host}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn reader() -> ResponseReader {
    ResponseReader::new(Limits {
        body: u64::MAX,
        ..Limits::default()
    })
}

/// All rows of this way.
///
/// # Errors
/// The server does not do what is measured.
pub fn all(simulator: &Simulator) -> Result<Vec<Row>> {
    let mut remote = Remote::connect(&simulator.login)?;
    let composer = remote.composer.clone();
    let mut rows = vec![
        remote.row("GetInstance", &composer.get_instance()?)?,
        remote.row("EnumerateInstances of 1,000", &composer.enumerate()?)?,
        remote.row("Associators, 333 found", &composer.associators()?)?,
    ];
    let started = Instant::now();
    let mut requests = 1;
    let mut answer = remote.good(&composer.open()?)?;
    while let Some(next) = composer.pull(&answer)? {
        answer = remote.good(&next)?;
        requests += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    rows.push(rate(
        WAY,
        "pull enumeration of 1,000 by 100, requests",
        "/s",
        f64::from(requests) / seconds,
    ));
    rows.push(latency(&mut remote, WAY)?);
    Ok(rows)
}

/// The median time of GetInstance, of an instance that every server of ours has.
///
/// # Errors
/// The server does not answer well.
pub fn latency(remote: &mut Remote, way: &str) -> Result<Row> {
    let composer = remote.composer.clone();
    let class = ("ClassName", "<CLASSNAME NAME=\"CIM_Namespace\"/>");
    let names = remote.good(&composer.message(INTEROP, "EnumerateInstanceNames", &[class])?)?;
    let text = String::from_utf8_lossy(&names);
    let name = text
        .find("<INSTANCENAME")
        .and_then(|start| text.get(start..)?.split_inclusive("</INSTANCENAME>").next())
        .context("there is no namespace")?;
    let get = composer.message(INTEROP, "GetInstance", &[("InstanceName", name)])?;
    let mut body = remote.good(&get)?;
    let mut times = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let started = Instant::now();
        remote.ask(&get, &mut body)?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let median = times.get(ASKED / 2).context("nothing was asked")?;
    Ok(rate(
        way,
        "GetInstance, median time",
        "us",
        median.as_secs_f64() * 1e6,
    ))
}
