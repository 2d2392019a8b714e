//! A viewer's connection: log-in, scroll-back, then bytes both ways.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use mgmt_executor::Instant;
use mgmt_link::{Connection, Limits, Peer, Phase, Service};

use crate::line::{Line, Typed};
use crate::telnet::{CHARACTER_MODE, Commands, OFFER_ECHO, Telnet};
use crate::{Console, Gate, Pass};

/// Time for the log-in.
const LOGIN_TIME: Duration = Duration::from_secs(60);
/// Wrong passwords before the connection ends.
const ATTEMPTS: u32 = 3;
/// Output that waits for the client.
const PIECE: usize = 4 * 1024;
/// Ctrl-]: who types it leaves.
const ESCAPE: u8 = 0x1d;

const GREETING: &str =
    "Bulkhead console. Log in with your CIM account; Ctrl-] leaves.\r\n\r\nlogin: ";

/// Serves one console.
pub struct ConsoleService {
    console: Console,
    gate: Rc<dyn Gate>,
}

impl ConsoleService {
    /// Serves this console to whom the gate lets in.
    pub fn new(console: Console, gate: Rc<dyn Gate>) -> Self {
        ConsoleService { console, gate }
    }
}

impl Service for ConsoleService {
    fn connect(&mut self, peer: Peer, now: Instant) -> Box<dyn Connection> {
        let peer = match peer {
            Peer::Network(address) => address.ip().to_string(),
            Peer::Serial => "serial".into(),
        };
        Box::new(Session {
            console: self.console.clone(),
            gate: self.gate.clone(),
            peer,
            telnet: Telnet::default(),
            state: State::Login(Line::default()),
            attempts: 0,
            until: now.after(LOGIN_TIME),
            out: GREETING.into(),
        })
    }

    fn limits(&self) -> Limits {
        // A guest may be silent for days, and so may who watches it. Dead peers are found by TCP itself.
        Limits {
            idle: Duration::MAX,
            ..Limits::NETWORK
        }
    }
}

enum State {
    /// The name is being typed.
    Login(Line),
    /// The password is being typed.
    Password(String, Line),
    Open(Viewer),
    Ended,
}

/// One who is in.
struct Viewer {
    console: Console,
    /// Place in the output that comes next.
    at: u64,
    typing: Typing,
}

enum Typing {
    Allowed,
    /// Read-only, and not told so yet.
    Ignored,
    /// Told.
    Told,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.console.leave();
    }
}

struct Session {
    console: Console,
    gate: Rc<dyn Gate>,
    peer: String,
    telnet: Telnet,
    state: State,
    attempts: u32,
    /// When the log-in must be over.
    until: Instant,
    out: Vec<u8>,
}

impl Session {
    fn say(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn end(&mut self, text: &str) {
        self.say(text);
        self.state = State::Ended;
    }

    /// A byte of the log-in.
    fn log_in(&mut self, byte: u8, now: Instant) {
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Login(mut line) => match line.push(byte) {
                Typed::More => self.state = State::Login(line),
                // An empty line, or the LF of a CR LF.
                Typed::Line(name) if name.trim().is_empty() => self.state = State::Login(line),
                Typed::Line(name) => {
                    self.out.extend(OFFER_ECHO);
                    self.say("password: ");
                    self.state = State::Password(name.trim().into(), Line::default());
                }
                Typed::Leave => self.end("\r\n"),
            },
            State::Password(name, mut line) => {
                let is_empty = line.is_empty();
                match line.push(byte) {
                    Typed::More => self.state = State::Password(name, line),
                    Typed::Line(_) if is_empty && byte == b'\n' => {
                        self.state = State::Password(name, line);
                    }
                    Typed::Line(password) => self.check(&name, &password, now),
                    Typed::Leave => self.end("\r\n"),
                }
            }
            other => self.state = other,
        }
    }

    fn check(&mut self, name: &str, password: &str, now: Instant) {
        let console = self.console.name();
        let pass = self.gate.check(&console, &self.peer, name, password, now);
        self.say("\r\n");
        let typing = match pass {
            Pass::Type => Typing::Allowed,
            Pass::Watch => Typing::Ignored,
            Pass::Wait(wait) => {
                let seconds = wait.as_secs().saturating_add(1);
                let text = format!("Too many wrong passwords: come again in {seconds} s.\r\n");
                return self.end(&text);
            }
            Pass::Denied => {
                self.attempts += 1;
                if self.attempts >= ATTEMPTS {
                    return self.end("Name or password is wrong.\r\n");
                }
                self.say("Name or password is wrong.\r\nlogin: ");
                self.state = State::Login(Line::default());
                return;
            }
        };
        if self.telnet.is_telnet() {
            self.out.extend(CHARACTER_MODE);
        }
        let others = match self.console.viewers() {
            0 => String::new(),
            1 => ", with 1 other".into(),
            others => format!(", with {others} others"),
        };
        let what = match typing {
            Typing::Allowed => "at",
            Typing::Ignored | Typing::Told => "watching",
        };
        self.say(&format!("[{what} the console of {console}{others}]\r\n"));
        self.state = State::Open(Viewer {
            console: self.console.clone(),
            at: self.console.enter(),
            typing,
        });
    }

    /// A typed byte, which there is room for.
    fn type_in(&mut self, byte: u8) {
        let State::Open(viewer) = &mut self.state else {
            return;
        };
        if byte == ESCAPE {
            return self.end("\r\n[left]\r\n");
        }
        match viewer.typing {
            Typing::Allowed => viewer.console.type_in(byte),
            Typing::Ignored => {
                viewer.typing = Typing::Told;
                self.say("\r\n[your account may only watch]\r\n");
            }
            Typing::Told => {}
        }
    }

    /// Fetches what the guest has printed.
    fn fetch(&mut self) {
        let State::Open(viewer) = &mut self.state else {
            return;
        };
        let read = viewer.console.read(viewer.at, PIECE);
        viewer.at = viewer
            .at
            .saturating_add(read.missed)
            .saturating_add(read.bytes.len() as u64);
        let is_over = viewer.console.is_closed() && !viewer.console.has_more(viewer.at);
        if read.missed > 0 {
            let notice = format!("\r\n[{} bytes skipped]\r\n", read.missed);
            self.say(&notice);
        }
        self.telnet.encode(&read.bytes, &mut self.out);
        if is_over {
            self.end("\r\n[the system is gone]\r\n");
        }
    }
}

impl Connection for Session {
    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            let commands = match self.state {
                State::Ended => return bytes.len(),
                State::Open(_) => Commands::TooLate,
                State::Login(_) | State::Password(..) => Commands::Expected,
            };
            // Before the guest has room, nothing is decoded: the byte comes again.
            let is_full = match &self.state {
                State::Open(viewer) => {
                    matches!(viewer.typing, Typing::Allowed) && !viewer.console.has_room()
                }
                _ => self.out.len() >= PIECE,
            };
            if is_full {
                return index;
            }
            let Some(byte) = self.telnet.decode(byte, commands, &mut self.out) else {
                continue;
            };
            match self.state {
                State::Open(_) => self.type_in(byte),
                _ => self.log_in(byte, now),
            }
        }
        bytes.len()
    }

    fn receive_end(&mut self, _: Instant) {
        self.state = State::Ended;
    }

    fn output(&mut self, _: Instant) -> &[u8] {
        if self.out.is_empty() {
            self.fetch();
        }
        &self.out
    }

    fn sent(&mut self, count: usize, _: Instant) {
        self.out.drain(..count.min(self.out.len()));
    }

    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Login(_) | State::Password(..) => Some(self.until),
            State::Open(_) | State::Ended => None,
        }
    }

    fn expire(&mut self, _: Instant) {
        self.end("\r\nThe log-in took too long.\r\n");
    }

    fn phase(&self) -> Phase {
        match self.state {
            State::Ended => Phase::Finished,
            _ => Phase::Open,
        }
    }
}

#[cfg(test)]
mod tests;
