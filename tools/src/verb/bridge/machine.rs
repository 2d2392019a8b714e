//! The machine's side of the bridge: one stream, one request at a time.

use cim_http::{ClientEvent, Limits, ResponseReader};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a machine may be silent for in the middle of an exchange.
const SILENCE: Duration = Duration::from_secs(90);
/// After so long without a byte, a new stream is taken to hold nothing that was meant for another client.
const STALE: Duration = Duration::from_millis(50);
/// How long stale bytes are waited for at most.
const STALE_AT_MOST: Duration = Duration::from_secs(5);
/// Bytes of an answer that are still read when nobody wants them; then a new stream costs less.
const UNWANTED: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The machine is gone.
    Gone(io::Error),
    /// This answer cannot be used; the next one may.
    Broken(String),
}

/// Whether the answer still has somebody to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Yes.
    There,
    /// No.
    Gone,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    socket: PathBuf,
    /// The stream, where the last exchange has left it in order.
    stream: Option<UnixStream>,
    reader: ResponseReader,
}

impl Machine {
    /// The machine at the other end of a socket.
    ///
    /// # Errors
    /// There is none.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let mut machine = Self {
            socket: socket.to_owned(),
            stream: None,
            reader: reader(),
        };
        machine.stream = Some(machine.open()?);
        Ok(machine)
    }

    /// A new stream.
    fn open(&mut self) -> io::Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_write_timeout(Some(SILENCE))?;
        stream.set_read_timeout(Some(STALE))?;
        let end = Instant::now() + STALE_AT_MOST;
        let mut buffer = [0; 16 * 1024];
        // Nothing was asked yet, so what comes is the rest of somebody else's answer.
        while Instant::now() < end {
            match stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => break,
                Err(error) => return Err(error),
            }
        }
        stream.set_read_timeout(Some(SILENCE))?;
        self.reader = reader();
        Ok(stream)
    }

    /// Sends a request, and tells `hear` of the answer as it comes.
    ///
    /// # Errors
    /// There is no complete answer. What `hear` was told is what there was of it.
    pub fn ask(
        &mut self,
        request: &[u8],
        mut hear: impl FnMut(ClientEvent<'_>) -> Listener,
    ) -> Result<(), Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().map_err(Failure::Gone)?,
        };
        stream.write_all(request).map_err(lost)?;
        let mut buffer = [0; 16 * 1024];
        let mut unwanted = 0;
        loop {
            let broken = |error: cim_http::ClientError| Failure::Broken(error.to_string());
            while let Some(event) = self.reader.poll().map_err(broken)? {
                let length = match &event {
                    ClientEvent::Body(bytes) => bytes.len(),
                    _ => 0,
                };
                let is_end = matches!(event, ClientEvent::End(_));
                if hear(event) == Listener::Gone {
                    unwanted += length;
                }
                if is_end {
                    self.reader.next_response();
                    if self.reader.keeps_alive() {
                        self.stream = Some(stream);
                    }
                    return Ok(());
                }
                if unwanted > UNWANTED {
                    return Ok(());
                }
            }
            match stream.read(&mut buffer).map_err(lost)? {
                0 => return Err(Failure::Gone(ErrorKind::UnexpectedEof.into())),
                count => self.reader.push(buffer.get(..count).unwrap_or_default()),
            }
        }
    }
}

fn reader() -> ResponseReader {
    ResponseReader::new(Limits {
        // Answers are passed on as they come.
        body: u64::MAX / 2,
        ..Limits::default()
    })
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn lost(error: io::Error) -> Failure {
    match is_timeout(&error) {
        true => Failure::Broken(format!(
            "the machine was silent for {} s",
            SILENCE.as_secs()
        )),
        false => Failure::Gone(error),
    }
}
