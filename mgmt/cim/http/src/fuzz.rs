//! Entry points for fuzzers: each takes any bytes and must not panic, loop or exceed its limits.
//!
//! Driven by the unit tests below with a seeded generator, and by the fuzzing tool.

use crate::{
    ClientEvent, Credentials, Event, Framing, Limits, Millis, ResponseHead, ResponseReader,
    ServerConnection,
};
use alloc::vec::Vec;

/// Runs a connection over the bytes: the first byte chooses how they are cut, the next one how the server
/// answers. Every request is answered, and the answers must be readable by our own client.
pub fn fuzz_server(data: &[u8]) {
    let [cut, mode, input @ ..] = data else {
        return;
    };
    let piece = usize::from(*cut).max(1);
    let limits = Limits {
        body: 2_000,
        head: 2_000,
        request_line: 500,
        drain: 500,
        ..Limits::default()
    };
    let mut connection = ServerConnection::new(limits, Millis(0));
    let mut out = Vec::new();
    let mut answers = 0u32;
    let mut now = 0;
    let mut rest = input;
    while !rest.is_empty() && !connection.wants_close() {
        let piece = rest.get(..piece).unwrap_or(rest);
        let taken = connection.push(piece, Millis(now));
        rest = rest.get(taken..).unwrap_or_default();
        now += u64::from(*mode) * 100;
        connection.check_time(Millis(now));
        let events = serve(&mut connection, *mode, &mut out, &mut answers);
        assert!(taken > 0 || events > 0, "a connection must make progress");
    }
    connection.push_end();
    serve(&mut connection, *mode, &mut out, &mut answers);
    count_answers(&out, answers);
}

/// Answers everything that is complete; returns the number of events.
fn serve(connection: &mut ServerConnection, mode: u8, out: &mut Vec<u8>, answers: &mut u32) -> u32 {
    let early = mode & 1 != 0;
    let mut events = 0;
    loop {
        let answer = match connection.poll() {
            None => return events,
            Some(Event::Head(_)) => early,
            Some(Event::Body(bytes)) => {
                assert!(!bytes.is_empty(), "a body piece has bytes");
                false
            }
            Some(Event::End(_)) => true,
            Some(Event::Refused(refusal)) => {
                connection.refuse(out, &refusal);
                *answers += 1;
                false
            }
        };
        events += 1;
        if !answer {
            if mode & 2 != 0 {
                connection.send_continue(out);
            }
            continue;
        }
        *answers += 1;
        let framing = if mode & 4 != 0 {
            Framing::Length(2)
        } else {
            Framing::Streamed { trailers: &["T"] }
        };
        connection.start_response(out, &ResponseHead::new(200), framing);
        connection.body(out, b"ok");
        connection.finish(out, &[("T", "x")]);
    }
}

fn count_answers(out: &[u8], expected: u32) {
    let mut reader = ResponseReader::new(Limits::default());
    reader.push(out);
    reader.push_end();
    let mut seen = 0;
    while seen < expected {
        match reader.poll() {
            Ok(Some(ClientEvent::End(_))) => {
                seen += 1;
                reader.next_response();
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    assert_eq!(seen, expected, "every answer can be read");
}

/// Reads the bytes as a response; the first byte chooses how they are cut.
pub fn fuzz_client(data: &[u8]) {
    let [cut, input @ ..] = data else { return };
    let mut reader = ResponseReader::new(Limits {
        body: 2_000,
        head: 2_000,
        ..Limits::default()
    });
    let mut pieces = input.chunks(usize::from(*cut).max(1));
    let mut ended = false;
    loop {
        match reader.poll() {
            Err(_) => return,
            Ok(Some(ClientEvent::End(_))) => reader.next_response(),
            Ok(Some(_)) => {}
            Ok(None) if ended => return,
            Ok(None) => match pieces.next() {
                Some(piece) => reader.push(piece),
                None => {
                    reader.push_end();
                    ended = true;
                }
            },
        }
    }
}

/// Reads the bytes as an Authorization value.
pub fn fuzz_authorization(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Some(credentials) = Credentials::from_authorization(text) {
        let again = Credentials::from_authorization(&credentials.to_authorization());
        assert!(again == Some(credentials), "credentials must survive");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A xorshift generator; deterministic, so a failure repeats.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit as u64) as usize
        }
    }

    const WORDS: [&str; 24] = [
        "\r\n",
        "\n",
        "\r",
        ": ",
        " ",
        "\r\n\r\n",
        "0\r\n\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Host: x\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "HTTP/1.0",
        "HTTP/2.0",
        "M-POST",
        "GET",
        "ffffffffffffffff\r\n",
        "3;a=b\r\nabc\r\n",
        "\0",
        "\u{e4}",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "Trailer: T\r\n",
        ",",
    ];

    fn mutate(seeds: &[&[u8]], prefix: usize, rounds: usize, target: fn(&[u8])) {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for round in 0..rounds {
            let mut data = seeds[round % seeds.len()].to_vec();
            for _ in 0..random.below(5) {
                let at = random.below(data.len() + 1);
                match random.below(4) {
                    0 if at < data.len() => data[at] = random.below(256) as u8,
                    1 => drop(data.drain(at..(at + random.below(20)).min(data.len()))),
                    2 => {
                        let from = random.below(data.len() + 1);
                        let end = (from + random.below(200)).min(data.len());
                        let piece = data[from..end].to_vec();
                        data.splice(at..at, piece);
                    }
                    _ => drop(data.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
                }
            }
            for _ in 0..prefix {
                data.insert(0, random.below(256) as u8);
            }
            target(&data);
        }
    }

    #[test]
    fn mutated_requests() {
        let seeds: [&[u8]; 5] = [
            include_bytes!("../../xml/tests/requests/pywbem-GetClass.http"),
            include_bytes!("../../xml/tests/requests/wbemcli-GetClass.http"),
            b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x\r\nabc\r\n0\r\nT: y\r\n\r\n",
            b"POST /a HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabcPOST /b HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
            b"M-POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 600\r\n\r\nabc",
        ];
        mutate(&seeds, 2, 40_000, fuzz_server);
    }

    #[test]
    fn mutated_responses() {
        let seeds: [&[u8]; 3] = [
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: x\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\nhello",
        ];
        mutate(&seeds, 1, 40_000, fuzz_client);
    }

    #[test]
    fn mutated_authorizations() {
        mutate(
            &[b"Basic dTpw", b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
            0,
            20_000,
            fuzz_authorization,
        );
    }
}
