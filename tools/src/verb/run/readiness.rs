//! Decides when the CIM server is ready, from the console and from the server itself.
//!
//! Called by `run` after every console line and every tick. Nothing is announced that the machine has not said: the
//! name and the password are those of its console.

use qemu_tests::partition::MANAGEMENT_NAME;
use qemu_tests::verdict::end_reason;
use qemu_tests::view::answers_http;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How the console says that the partition serves.
const READY_LINE: &str = "management partition ready";
const USER_LINE: &str = "CIM user: ";
const PASSWORD_LINE: &str = "CIM password: ";
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);

/// Something to tell the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// The server answers on this port of 127.0.0.1.
    Ready(u16),
    /// A user who may sign in.
    User(String),
    /// That user's password.
    Password(String),
}

/// What is known so far.
#[derive(Debug)]
pub struct Readiness {
    port: u16,
    stage: Stage,
    /// What the console has said and is to be told once the server answers.
    waiting: VecDeque<Greeting>,
    last: Option<String>,
    reason: Option<String>,
}

#[derive(Debug)]
enum Stage {
    Booting,
    /// The console says ready; a thread asks the server.
    Asking(Receiver<()>),
    Answering,
}

impl Readiness {
    /// Nothing seen yet; the server will answer on `port`.
    pub fn new(port: u16) -> Self {
        Self {
            port,
            stage: Stage::Booting,
            waiting: VecDeque::new(),
            last: None,
            reason: None,
        }
    }

    /// Takes note of a console line.
    pub fn line(&mut self, line: &str) {
        let text = said(line).unwrap_or_default();
        if text.starts_with(READY_LINE) && matches!(self.stage, Stage::Booting) {
            self.stage = Stage::Asking(ask_until_answered(self.port));
        } else if let Some(name) = text.strip_prefix(USER_LINE) {
            self.waiting
                .push_back(Greeting::User(name.trim().to_owned()));
        } else if let Some(word) = text.strip_prefix(PASSWORD_LINE) {
            self.waiting
                .push_back(Greeting::Password(word.trim().to_owned()));
        }
        if let Some(reason) = end_reason(line) {
            self.reason.get_or_insert(reason.to_owned());
        }
        if !line.trim().is_empty() {
            self.last = Some(line.to_owned());
        }
    }

    /// What is to be told now.
    pub fn greetings(&mut self) -> Vec<Greeting> {
        let mut now = Vec::new();
        if let Stage::Asking(answered) = &self.stage
            && answered.try_recv().is_ok()
        {
            self.stage = Stage::Answering;
            now.push(Greeting::Ready(self.port));
        }
        if self.is_ready() {
            now.extend(self.waiting.drain(..));
        }
        now
    }

    /// Whether the server has answered.
    pub fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Answering)
    }

    /// The hypervisor's reason for its end; else its last console line with something on it.
    pub fn last_words(&self) -> Option<&str> {
        self.reason.as_deref().or(self.last.as_deref())
    }
}

/// The text of a console line that the hypervisor or the management partition said. Other partitions' lines do not
/// count: a guest may write what it likes.
fn said(line: &str) -> Option<&str> {
    match line.strip_prefix('[') {
        Some(rest) => rest
            .strip_prefix(MANAGEMENT_NAME)
            .and_then(|rest| rest.strip_prefix("] ")),
        None => Some(line.strip_prefix("bulkhead: ").unwrap_or(line)),
    }
}

fn ask_until_answered(port: u16) -> Receiver<()> {
    let (sender, receiver) = channel();
    // The thread ends with its answer or with the process.
    thread::spawn(move || {
        while !answers_http(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
            thread::sleep(BETWEEN_ATTEMPTS);
        }
        let _ = sender.send(());
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A server that says `answer` to everybody.
    fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let _ = client.read(&mut [0; 512]);
                let _ = client.write_all(answer.as_bytes());
            }
        });
        port
    }

    fn greetings_within(readiness: &mut Readiness, patience: Duration) -> Vec<Greeting> {
        let end = std::time::Instant::now() + patience;
        loop {
            let greetings = readiness.greetings();
            if !greetings.is_empty() || std::time::Instant::now() > end {
                return greetings;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn ready_needs_the_console_and_the_server() {
        let mut readiness = Readiness::new(server("HTTP/1.1 401 Unauthorized\r\n\r\n"));
        readiness.line("[management] CIM user: admin");
        readiness.line("[management] CIM password: x y");
        assert_eq!(
            greetings_within(&mut readiness, Duration::from_millis(50)),
            []
        );
        readiness.line("bulkhead: management partition ready (http 5988)");
        let port = readiness.port;
        assert_eq!(
            greetings_within(&mut readiness, Duration::from_secs(10)),
            [
                Greeting::Ready(port),
                Greeting::User("admin".into()),
                Greeting::Password("x y".into())
            ]
        );
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_port_that_only_accepts_is_not_ready() {
        let mut readiness = Readiness::new(server(""));
        readiness.line(READY_LINE);
        assert_eq!(
            greetings_within(&mut readiness, Duration::from_millis(500)),
            []
        );
    }

    #[test]
    fn the_management_partition_itself_may_say_that_it_is_ready() {
        let mut readiness = Readiness::new(server("HTTP/1.1 200 OK\r\n\r\n"));
        readiness.line("[management] management partition ready at 10.0.2.15 port 5988");
        assert_eq!(
            greetings_within(&mut readiness, Duration::from_secs(10)).len(),
            1
        );
    }

    #[test]
    fn a_guest_cannot_pose_as_the_management_partition() {
        let mut readiness = Readiness::new(server("HTTP/1.1 200 OK\r\n\r\n"));
        for guest in ["[guest] ", "[management2] ", "[ma] [management] "] {
            readiness.line(&format!("{guest}{READY_LINE}"));
            readiness.line(&format!("{guest}CIM user: thief"));
        }
        assert_eq!(
            greetings_within(&mut readiness, Duration::from_millis(200)),
            []
        );
        assert_eq!(readiness.waiting.len(), 0);
    }

    #[test]
    fn credentials_that_come_late_are_told_when_they_come() {
        let mut readiness = Readiness::new(server("HTTP/1.0 200 OK\r\n\r\n"));
        readiness.line(READY_LINE);
        assert_eq!(
            greetings_within(&mut readiness, Duration::from_secs(10)).len(),
            1
        );
        assert_eq!(readiness.greetings(), []);
        readiness.line("CIM user: late");
        assert_eq!(readiness.greetings(), [Greeting::User("late".into())]);
    }

    #[test]
    fn the_last_words_are_the_reason_where_there_is_one() {
        let mut readiness = Readiness::new(1);
        assert_eq!(readiness.last_words(), None);
        readiness.line("bulkhead: memory: 5 MiB");
        readiness.line("  ");
        assert_eq!(readiness.last_words(), Some("bulkhead: memory: 5 MiB"));
        readiness.line("bulkhead: cannot run: this CPU lacks SVM");
        readiness.line("bulkhead: all CPUs are halted");
        assert_eq!(
            readiness.last_words(),
            Some("cannot run: this CPU lacks SVM")
        );
    }
}
