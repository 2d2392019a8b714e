use super::*;
use crate::SCROLL_BACK;
use std::cell::RefCell;

/// Knows `op`, `ro` and `late`, who has to wait; all have the password `secret`.
#[derive(Default)]
struct Door(RefCell<Vec<String>>);

impl Gate for Door {
    fn check(&self, console: &str, peer: &str, user: &str, password: &str, _: Instant) -> Pass {
        self.0.borrow_mut().push(format!("{user}@{peer} {console}"));
        match (user, password) {
            ("late", _) => Pass::Wait(Duration::from_secs(4)),
            ("op", "secret") => Pass::Type,
            ("ro", "secret") => Pass::Watch,
            _ => Pass::Denied,
        }
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanoseconds(seconds * 1_000_000_000)
}

struct Bench {
    console: Console,
    service: ConsoleService,
    door: Rc<Door>,
}

impl Bench {
    fn new() -> Self {
        let console = Console::new("web1");
        let door = Rc::new(Door::default());
        Bench {
            service: ConsoleService::new(console.clone(), door.clone()),
            console,
            door,
        }
    }

    fn connect(&mut self) -> Box<dyn Connection> {
        let peer = Peer::Network("192.0.2.1:1024".parse().unwrap());
        self.service.connect(peer, at(0))
    }

    /// A session of `user`, its messages read.
    fn logged_in(&mut self, user: &str) -> Box<dyn Connection> {
        let mut session = self.connect();
        send(&mut *session, format!("{user}\nsecret\n").as_bytes());
        read(&mut *session);
        session
    }
}

fn send(session: &mut dyn Connection, bytes: &[u8]) {
    assert_eq!(session.receive(bytes, at(1)), bytes.len());
}

fn read(session: &mut dyn Connection) -> String {
    let mut all = Vec::new();
    loop {
        let bytes = session.output(at(1)).to_vec();
        if bytes.is_empty() {
            let text = all.into_iter().map(char::from);
            return text.collect();
        }
        session.sent(bytes.len(), at(1));
        all.extend(bytes);
    }
}

#[test]
fn who_logs_in_gets_the_scroll_back_and_types() {
    let mut bench = Bench::new();
    bench.console.print(b"booting\r\n");
    let mut session = bench.connect();
    assert!(read(&mut *session).ends_with("\r\n\r\nlogin: "));
    send(&mut *session, b"op\r\n");
    assert_eq!(read(&mut *session), "\u{ff}\u{fb}\u{1}password: ");
    send(&mut *session, b"secret\r\n");
    assert_eq!(
        read(&mut *session),
        "\r\n[at the console of web1]\r\nbooting\r\n"
    );
    assert_eq!(*bench.door.0.borrow(), ["op@192.0.2.1 web1"]);
    bench.console.print(b"# \xff");
    assert_eq!(read(&mut *session), "# \u{ff}");
    send(&mut *session, b"ls\n");
    assert_eq!(bench.console.take_input(100), b"ls\n");
    send(&mut *session, b"x\x1dy");
    assert_eq!(read(&mut *session), "\r\n[left]\r\n");
    assert_eq!(session.phase(), Phase::Finished);
    assert_eq!(bench.console.take_input(100), b"x");
    assert_eq!(bench.console.viewers(), 0);
}

#[test]
fn nothing_is_shown_before_the_log_in() {
    let mut bench = Bench::new();
    bench.console.print(b"SECRET-OUTPUT");
    let mut session = bench.connect();
    send(&mut *session, b"op\nwrong\nnobody\n\nop\nstill wrong\n");
    let text = read(&mut *session);
    assert_eq!(text.matches("Name or password is wrong.").count(), 2);
    send(&mut *session, b"op\n");
    send(&mut *session, b"wrong\n");
    let text = text + &read(&mut *session);
    assert!(!text.contains("SECRET"), "{text}");
    assert_eq!(session.phase(), Phase::Finished);
    assert_eq!(bench.console.take_input(100), b"");
    let mut session = bench.connect();
    send(&mut *session, b"late\nsecret\n");
    let text = read(&mut *session);
    assert!(text.ends_with("come again in 5 s.\r\n"), "{text}");
    let mut session = bench.connect();
    assert_eq!(session.deadline(), Some(at(60)));
    session.expire(at(60));
    assert_eq!(session.phase(), Phase::Finished);
}

#[test]
fn a_read_only_account_watches() {
    let mut bench = Bench::new();
    let mut session = bench.logged_in("ro");
    send(&mut *session, b"rm -rf\n");
    assert_eq!(bench.console.take_input(100), b"");
    assert_eq!(read(&mut *session), "\r\n[your account may only watch]\r\n");
    bench.console.print(b"x");
    assert_eq!(read(&mut *session), "x");
    send(&mut *session, b"\x1d");
    assert_eq!(session.phase(), Phase::Finished);
}

#[test]
fn several_viewers_see_the_same_and_a_slow_one_skips() {
    let mut bench = Bench::new();
    let mut quick = bench.logged_in("op");
    let mut slow = bench.connect();
    send(&mut *slow, b"ro\nsecret\n");
    assert!(read(&mut *slow).contains("[watching the console of web1, with 1 other]"));
    let mut seen = 0;
    for _ in 0..100 {
        bench.console.print(&[b'z'; 2000]);
        seen += read(&mut *quick).len();
    }
    assert_eq!(seen, 200_000);
    let text = read(&mut *slow);
    let missed = 200_000 - SCROLL_BACK;
    let notice = format!("\r\n[{missed} bytes skipped]\r\n");
    assert!(text.starts_with(&notice), "{}", &text[..60]);
    assert_eq!(text.len(), notice.len() + SCROLL_BACK);
}

#[test]
fn who_types_more_than_the_guest_reads_has_to_wait() {
    let mut bench = Bench::new();
    let mut session = bench.logged_in("op");
    let taken = session.receive(&[b'a'; 10_000], at(1));
    assert_eq!(taken, 4096);
    assert_eq!(session.receive(b"\x1d", at(1)), 0);
    assert_eq!(bench.console.take_input(10_000).len(), 4096);
    assert_eq!(session.receive(&[b'a'; 100], at(1)), 100);
}

#[test]
fn a_telnet_client_gets_character_mode() {
    let mut bench = Bench::new();
    let mut session = bench.connect();
    send(&mut *session, b"op\r\n");
    send(&mut *session, &[255, 253, 1]);
    send(&mut *session, b"secret\r\0");
    let text = read(&mut *session);
    assert!(
        text.contains("\u{ff}\u{fb}\u{3}\u{ff}\u{fd}\u{3}"),
        "{text:?}"
    );
    send(
        &mut *session,
        &[255, 253, 3, 255, 251, 3, b'l', 255, 255, b'\r', 0],
    );
    assert_eq!(bench.console.take_input(10), b"l\xff\r");
    bench.console.print(&[255]);
    assert_eq!(read(&mut *session), "\u{ff}\u{ff}");
}

#[test]
fn a_console_that_is_closed_ends_its_sessions() {
    let mut bench = Bench::new();
    let mut session = bench.logged_in("op");
    assert_eq!(bench.service.limits().idle, Duration::MAX);
    bench.console.print(b"bye");
    bench.console.close();
    assert_eq!(read(&mut *session), "bye\r\n[the system is gone]\r\n");
    assert_eq!(session.phase(), Phase::Finished);
    let left = bench.logged_in("op");
    drop(left);
    let mut session = bench.logged_in("op");
    session.receive_end(at(1));
    assert_eq!(
        (session.phase(), bench.console.viewers()),
        (Phase::Finished, 0)
    );
}

#[test]
fn output_of_the_log_in_is_bounded() {
    let mut bench = Bench::new();
    let mut session = bench.connect();
    // Each command is answered; who does not read the answers is not read.
    let commands = [255u8, 251, 99].repeat(100_000);
    let taken = session.receive(&commands, at(1));
    assert!(taken < 6_000, "{taken}");
}
