//! The entry point of the target `server`: everything behind the password, from HTTP to the operations.

use cim_ops::Clock;
use cim_server::{Connection, Server};
use cim_sim::{Options, build};
use cim_xml::{CimHeaders, parse_request};
use std::cell::RefCell;
use std::time::Duration;

/// Requests that one server gets before it is replaced by a fresh one: the fewer, the better a finding repeats, but
/// hashing the password for a new one is slow on purpose.
const LIFE: usize = 2_000;
const PASSWORD: &str = "fuzz";
/// `administrator` is asked by its name; the server says what it is.
const PEER: &str = "127.0.0.1";
/// More than any answer to a small request; an endless one must not pass as a slow one.
const LONGEST_ANSWER: usize = 64 << 20;

struct Live {
    server: Server,
    authorization: String,
    left: usize,
    seconds: u64,
}

thread_local! {
    static LIVE: RefCell<Option<Live>> = const { RefCell::new(None) };
}

/// Sends the bytes as the body of a request, if they are one, and reads the whole answer.
///
/// # Panics
/// The server does not answer, or never stops answering.
pub fn exchange(data: &[u8]) {
    LIVE.with_borrow_mut(|live| {
        if live.as_ref().is_none_or(|live| live.left == 0) {
            *live = Some(start());
        }
        if let Some(live) = live {
            live.exchange(data);
        }
    });
}

fn start() -> Live {
    let options = Options {
        password: Some(PASSWORD.to_owned()),
        demo: Some(10),
        ..Options::default()
    };
    let ready = build(&options, "fuzz");
    assert!(ready.is_ok(), "the server does not start");
    #[expect(clippy::unwrap_used, reason = "it was just looked at")]
    let ready = ready.ok().unwrap();
    let credentials = cim_http::Credentials {
        user: ready.administrator.name.to_string(),
        password: PASSWORD.to_owned(),
    };
    Live {
        server: ready.server,
        authorization: credentials.to_authorization(),
        left: LIFE,
        seconds: 0,
    }
}

impl Live {
    /// Returns the beginning of the answer.
    fn exchange(&mut self, data: &[u8]) -> Vec<u8> {
        self.left -= 1;
        // Time passes, so that what is to expire does.
        self.seconds += 1;
        let clock = Clock {
            monotonic: Duration::from_secs(self.seconds),
            unix_micros: 1_763_838_000_000_000,
        };
        let mut connection = Connection::new(PEER, &self.server.settings, clock);
        // Without the headers that belong to it, a request would not get beyond the first check.
        let Ok(meant) = parse_request(data) else {
            return Vec::new();
        };
        let mut request = format!(
            "POST /cimom HTTP/1.1\r\nHost: fuzz\r\nAuthorization: {}\r\nContent-Length: {}\r\n",
            self.authorization,
            data.len()
        )
        .into_bytes();
        for (name, value) in CimHeaders::for_request(&meant).fields() {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(data);
        let mut rest = request.as_slice();
        let mut answer = 0;
        let mut beginning = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            let taken = connection.receive(rest, clock, &mut self.server);
            rest = rest.get(taken..).unwrap_or_default();
            let sent = connection.transmit(&mut piece, clock, &mut self.server);
            if answer == 0 {
                beginning.extend_from_slice(piece.get(..sent).unwrap_or_default());
            }
            answer += sent;
            assert!(answer < LONGEST_ANSWER, "the answer does not end");
            if taken == 0 && sent == 0 {
                break;
            }
        }
        assert!(answer > 0, "a request without an answer");
        self.server.tick(clock);
        // Nobody listens to indications here; they must not pile up.
        while self.server.next_export(clock).is_some() {}
        while self.server.operations.take_audit().is_some() {}
        beginning
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_requests_get_as_far_as_the_operations() {
        let mut live = start();
        let mut good = 0;
        for seed in crate::seeds::requests().unwrap() {
            let answer = live.exchange(&seed);
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            good += usize::from(!answer.contains("<ERROR"));
        }
        assert!(good > 20, "only {good} requests succeed");
    }
}
