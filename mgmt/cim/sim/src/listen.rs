//! [`Host`]: the event loop that owns the server.

use crate::World;
use crate::line::{FromLine, Line, LineId};
use crate::setup::unix_micros;
use cim_domain::HostEnd;
use cim_ops::Clock;
use cim_server::{Connection, Export, ExportOutcome, Server};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Connections at once.
const MAX_CONNECTIONS: usize = 256;
/// Bytes handed to a writer at a time.
const WRITE_PIECE: usize = 16 * 1024;
/// The longest sleep between two looks at timeouts.
const TICK: Duration = Duration::from_millis(500);
/// How long an indication listener may take for each step.
const EXPORT_TIME: Duration = Duration::from_secs(10);

/// Why the simulator cannot start.
#[derive(Debug)]
pub struct HostError(io::Error);

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the TCP port cannot be opened: {}", self.0)
    }
}

impl std::error::Error for HostError {}

/// The machine ends when clients have been silent for so long after they could hear of it,
const LAST_WORDS: Duration = Duration::from_millis(500);
/// and at the latest then.
const PARTING: Duration = Duration::from_secs(20);

/// A listening socket on the loop-back interface.
pub struct Host {
    address: SocketAddr,
    events: Sender<Happened>,
    happened: Receiver<Happened>,
    /// The number of the last connection.
    last: LineId,
}

enum Happened {
    Accepted(TcpStream, SocketAddr),
    Line(FromLine),
    Exported(Box<Export>),
}

impl Host {
    /// Opens a port; 0 takes a free one.
    ///
    /// # Errors
    /// [`HostError`] when the port is taken.
    pub fn open(port: u16) -> Result<Self, HostError> {
        let listener = TcpListener::bind(("127.0.0.1", port)).map_err(HostError)?;
        let address = listener.local_addr().map_err(HostError)?;
        let (events, happened) = channel();
        let accepting = events.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if let Ok(peer) = socket.peer_addr()
                    && accepting.send(Happened::Accepted(socket, peer)).is_err()
                {
                    return;
                }
            }
        });
        Ok(Host {
            address,
            events,
            happened,
            last: 0,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs the server until its machine ends.
    pub fn run(&mut self, server: Server, world: Option<World>) -> HostEnd {
        let mut serving = Loop {
            server,
            world,
            events: self.events.clone(),
            lines: BTreeMap::new(),
            next: self.last,
            started: Instant::now(),
        };
        let end = serving.run(&self.happened);
        self.last = serving.next;
        end
    }
}

struct Loop {
    server: Server,
    world: Option<World>,
    events: Sender<Happened>,
    lines: BTreeMap<LineId, Active>,
    next: LineId,
    started: Instant,
}

struct Active {
    connection: Connection,
    line: Line,
    /// Bytes that the connection has not taken yet.
    unread: Vec<u8>,
    /// The reader waits for an acknowledgement.
    reader_waits: bool,
    /// The writer has something to do.
    writing: bool,
    ended: bool,
}

impl Loop {
    fn clock(&self) -> Clock {
        Clock {
            monotonic: self.started.elapsed(),
            unix_micros: unix_micros(),
        }
    }

    fn run(&mut self, happened: &Receiver<Happened>) -> HostEnd {
        let mut ended_at = None;
        let mut heard = Duration::ZERO;
        loop {
            if let Some(end) = self.world.as_ref().and_then(World::host_end) {
                let now = self.started.elapsed();
                let ended_at = *ended_at.get_or_insert(now);
                if now >= heard.max(ended_at) + LAST_WORDS || now >= ended_at + PARTING {
                    return end;
                }
            }
            match happened.recv_timeout(self.pause()) {
                Ok(event) => {
                    heard = self.started.elapsed();
                    self.advance_world();
                    self.handle(event);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.advance_world();
                    self.tick();
                }
                // We hold a sender ourselves.
                Err(RecvTimeoutError::Disconnected) => return HostEnd::PowerOff,
            }
            self.export();
            while let Some(record) = self.server.operations.take_audit() {
                println!("audit: {} {record}", record.unix_micros);
            }
        }
    }

    /// How long nothing will happen by itself.
    fn pause(&self) -> Duration {
        let next = self.world.as_ref().and_then(World::next);
        let now = self.started.elapsed();
        if self
            .world
            .as_ref()
            .is_some_and(|world| world.host_end().is_some())
        {
            return LAST_WORDS / 10;
        }
        next.map_or(TICK, |next| next.saturating_sub(now).min(TICK))
    }

    fn advance_world(&mut self) {
        let clock = self.clock();
        let due = self.world.as_ref().filter(|world| {
            let next = world.next();
            next.is_some_and(|next| next <= clock.monotonic)
        });
        // The machine also needs to know the time when a request is about to come.
        if let Some(world) = &self.world {
            world.set_time(clock);
        }
        if let Some(world) = due {
            world.advance(clock);
            // Indications of what happened go out.
            self.server.tick(clock);
        }
    }

    fn handle(&mut self, event: Happened) {
        let clock = self.clock();
        let id = match event {
            Happened::Accepted(socket, peer) => return self.accept(socket, peer, clock),
            Happened::Exported(export) => return self.server.exported(&export, clock),
            Happened::Line(FromLine::Data(id, bytes)) => {
                if let Some(active) = self.lines.get_mut(&id) {
                    active.unread = bytes;
                    active.reader_waits = true;
                }
                id
            }
            Happened::Line(FromLine::End(id)) => {
                if let Some(active) = self.lines.get_mut(&id) {
                    active.ended = true;
                    active.connection.receive_end();
                }
                id
            }
            Happened::Line(FromLine::Written(id, sent)) => {
                if !sent {
                    self.lines.remove(&id);
                } else if let Some(active) = self.lines.get_mut(&id) {
                    active.writing = false;
                }
                id
            }
        };
        self.advance(id, clock);
    }

    fn accept(&mut self, socket: TcpStream, peer: SocketAddr, clock: Clock) {
        if self.lines.len() >= MAX_CONNECTIONS {
            return;
        }
        self.next += 1;
        let id = self.next;
        let Ok(line) = Line::start(id, socket, &self.events, Happened::Line) else {
            return;
        };
        let connection = Connection::new(peer.ip().to_string(), &self.server.settings, clock);
        self.lines.insert(
            id,
            Active {
                connection,
                line,
                unread: Vec::new(),
                reader_waits: false,
                writing: false,
                ended: false,
            },
        );
    }

    /// Moves bytes both ways until nothing moves any more.
    fn advance(&mut self, id: LineId, clock: Clock) {
        let Some(active) = self.lines.get_mut(&id) else {
            return;
        };
        let server = &mut self.server;
        loop {
            let mut moved = false;
            if !active.unread.is_empty() {
                let taken = active.connection.receive(&active.unread, clock, server);
                active.unread.drain(..taken);
                moved |= taken > 0;
            }
            if active.unread.is_empty() && active.reader_waits && active.connection.wants_input() {
                active.reader_waits = false;
                active.line.acknowledge();
            }
            if !active.writing {
                let mut piece = vec![0; WRITE_PIECE];
                let count = active.connection.transmit(&mut piece, clock, server);
                if count > 0 {
                    piece.truncate(count);
                    active.line.write(piece);
                    active.writing = true;
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        let silent = !active.writing && !active.connection.has_output();
        if !active.writing && active.connection.is_finished() || active.ended && silent {
            self.lines.remove(&id);
        }
    }

    fn tick(&mut self) {
        let clock = self.clock();
        self.server.tick(clock);
        let late: Vec<LineId> = self
            .lines
            .iter()
            .filter(|(_, active)| {
                active
                    .connection
                    .deadline()
                    .is_some_and(|deadline| deadline <= clock.monotonic)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            if let Some(active) = self.lines.get_mut(&id) {
                active.connection.tick(clock, &mut self.server);
            }
            self.advance(id, clock);
        }
    }

    fn export(&mut self) {
        let clock = self.clock();
        while let Some(export) = self.server.next_export(clock) {
            let events = self.events.clone();
            thread::spawn(move || {
                let mut export = export;
                if send(&mut export).is_err() {
                    export.receive_end();
                }
                let _ = events.send(Happened::Exported(Box::new(export)));
            });
        }
    }
}

/// Sends an export and reads the answer.
fn send(export: &mut Export) -> io::Result<()> {
    let address = export.address().to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let mut socket = TcpStream::connect_timeout(&address, EXPORT_TIME)?;
    socket.set_read_timeout(Some(EXPORT_TIME))?;
    socket.set_write_timeout(Some(EXPORT_TIME))?;
    socket.write_all(export.request())?;
    let mut buffer = [0; 4096];
    loop {
        let count = socket.read(&mut buffer)?;
        let outcome = match buffer.get(..count) {
            Some(bytes) if !bytes.is_empty() => export.receive(bytes),
            _ => export.receive_end(),
        };
        if outcome != ExportOutcome::Pending {
            return Ok(());
        }
    }
}
