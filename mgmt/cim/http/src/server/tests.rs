use super::*;

const POST: &str = "POST /cimom HTTP/1.1\r\nHost: h\r\n";

/// A connection with a record of what came out of it.
struct Bench {
    connection: ServerConnection,
    out: Vec<u8>,
    log: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Bench {
            connection: ServerConnection::new(limits, Millis(0)),
            out: vec![],
            log: vec![],
        }
    }

    /// Polls all events into the log; refusals are answered.
    fn poll(&mut self) {
        loop {
            let entry = match self.connection.poll() {
                None => return,
                Some(Event::Head(head)) => format!("head {}", head.path()),
                Some(Event::Body(bytes)) => format!("body {}", bytes.escape_ascii()),
                Some(Event::End(trailers)) => format!("end {}", trailers.iter().count()),
                Some(Event::Refused(refusal)) => {
                    self.connection.refuse(&mut self.out, &refusal);
                    format!("refused {}", refusal.status)
                }
            };
            self.log.push(entry);
        }
    }

    fn push(&mut self, text: impl AsRef<[u8]>) {
        let bytes = text.as_ref();
        assert_eq!(self.connection.push(bytes, Millis(0)), bytes.len());
        self.poll();
    }

    fn answer(&mut self, text: &str) {
        let framing = Framing::Length(text.len() as u64);
        self.connection
            .start_response(&mut self.out, &ResponseHead::new(200), framing);
        self.connection.body(&mut self.out, text.as_bytes());
        self.connection.finish(&mut self.out, &[]);
        self.poll();
    }

    fn log(&mut self) -> String {
        std::mem::take(&mut self.log).join(", ")
    }

    fn out(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.out)).unwrap()
    }
}

#[test]
fn captured_requests_arrive_whole_in_any_pieces() {
    let bytes = include_bytes!("../../../xml/tests/requests/pywbem-InvokeMethod_DefineSystem.http");
    for piece in [1, 3, 64, 5000] {
        let mut connection = ServerConnection::new(Limits::default(), Millis(0));
        let (mut body, mut ended) = (Vec::new(), false);
        for piece in bytes.chunks(piece) {
            assert_eq!(connection.push(piece, Millis(0)), piece.len());
            while let Some(event) = connection.poll() {
                match event {
                    Event::Head(head) => {
                        assert_eq!(
                            head.headers.get("CIMMethod").as_deref(),
                            Some("DefineSystem")
                        );
                        assert!(
                            head.headers
                                .get("cimobject")
                                .unwrap()
                                .contains("Name=\"VSMS\"")
                        );
                    }
                    Event::Body(bytes) => body.extend_from_slice(bytes),
                    Event::End(_) => ended = true,
                    Event::Refused(refusal) => panic!("{refusal}"),
                }
            }
        }
        assert!(ended);
        assert!(body.starts_with(b"<?xml") && body.ends_with(b"</CIM>"));
    }
}

#[test]
fn pipelined_requests_are_served_in_turn() {
    let mut bench = Bench::new();
    bench.push(format!(
        "{POST}Content-Length: 1\r\n\r\na{POST}Content-Length: 1\r\n\r\nb"
    ));
    assert_eq!(bench.log(), "head /cimom, body a, end 0");
    bench.answer("one");
    assert_eq!(bench.log(), "head /cimom, body b, end 0");
    bench.answer("two");
    assert_eq!(
        bench.out(),
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo"
    );
    assert!(!bench.connection.wants_close());
    assert!(!bench.connection.is_busy());
}

#[test]
fn read_ahead_is_bounded() {
    let mut bench = Bench::new();
    bench.push(format!("{POST}Content-Length: 0\r\n\r\n"));
    let flood = vec![b'x'; 1_000_000];
    let taken = bench.connection.push(&flood, Millis(0));
    assert!(taken < 100_000, "{taken} bytes");
    assert_eq!(bench.connection.push(&flood, Millis(0)), 0);
    bench.answer("");
    assert_eq!(bench.log(), "head /cimom, end 0, refused 414");
}

#[test]
fn streamed_answers_are_chunked_with_trailers() {
    let mut bench = Bench::new();
    bench.push(format!(
        "{POST}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n"
    ));
    assert_eq!(bench.log(), "head /cimom, body hi, end 1");
    let trailers = ["CIMStatusCode", "CIMStatusCodeDescription"];
    let head = ResponseHead::new(200).with("Content-Type", "application/xml");
    bench.connection.start_response(
        &mut bench.out,
        &head,
        Framing::Streamed {
            trailers: &trailers,
        },
    );
    bench.connection.body(&mut bench.out, b"0123456789abcdef");
    bench.connection.body(&mut bench.out, b"");
    bench.connection.body(&mut bench.out, b"!");
    bench
        .connection
        .finish(&mut bench.out, &[("CIMStatusCode", "1")]);
    assert_eq!(
        bench.out(),
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nTransfer-Encoding: chunked\r\n\
         Trailer: CIMStatusCode, CIMStatusCodeDescription\r\n\r\n\
         10\r\n0123456789abcdef\r\n1\r\n!\r\n0\r\nCIMStatusCode: 1\r\n\r\n"
    );
    assert!(!bench.connection.wants_close());
}

#[test]
fn http_1_0_gets_no_chunks() {
    let mut bench = Bench::new();
    bench.push("POST / HTTP/1.0\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    bench.answer("x");
    assert!(bench.out().contains("Connection: keep-alive\r\n"));
    bench.push("POST / HTTP/1.0\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    let framing = Framing::Streamed { trailers: &[] };
    bench
        .connection
        .start_response(&mut bench.out, &ResponseHead::new(200), framing);
    bench.connection.body(&mut bench.out, b"abc");
    bench.connection.finish(&mut bench.out, &[]);
    assert_eq!(
        bench.out(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"
    );
    assert!(bench.connection.wants_close());
}

#[test]
fn a_waiting_client_is_told_to_continue_once() {
    let mut bench = Bench::new();
    bench.push(format!(
        "{POST}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    ));
    bench.connection.send_continue(&mut bench.out);
    bench.connection.send_continue(&mut bench.out);
    assert_eq!(bench.out(), "HTTP/1.1 100 Continue\r\n\r\n");
    bench.push("hi");
    bench.answer("ok");
    assert!(!bench.connection.wants_close());
}

#[test]
fn a_waiting_client_that_is_refused_loses_the_connection() {
    let mut bench = Bench::new();
    bench.push(format!(
        "{POST}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    ));
    bench.answer("no");
    assert!(bench.out().contains("Connection: close"));
    assert!(bench.connection.wants_close());
}

#[test]
fn an_early_answer_drains_a_short_body_and_keeps_the_connection() {
    let mut bench = Bench::new();
    bench.push(format!("{POST}Content-Length: 5\r\n\r\nab"));
    assert_eq!(bench.log(), "head /cimom, body ab");
    bench.answer("no");
    assert!(!bench.connection.wants_close());
    bench.push(format!("cde{POST}Content-Length: 0\r\n\r\n"));
    assert_eq!(bench.log(), "head /cimom, end 0");
    bench.answer("yes");
    assert!(!bench.out().contains("close"));

    let mut bench = Bench::with(Limits {
        drain: 3,
        ..Limits::default()
    });
    bench.push(format!("{POST}Content-Length: 5\r\n\r\n"));
    bench.answer("no");
    assert!(bench.connection.wants_close());

    let mut bench = Bench::with(Limits {
        drain: 3,
        ..Limits::default()
    });
    bench.push(format!("{POST}Transfer-Encoding: chunked\r\n\r\n"));
    bench.answer("no");
    bench.push("5\r\nhello\r\n");
    assert!(bench.connection.wants_close());
}

#[test]
fn the_drain_limit_does_not_outlive_its_request() {
    let mut bench = Bench::with(Limits {
        drain: 3,
        ..Limits::default()
    });
    bench.push(format!("{POST}Transfer-Encoding: chunked\r\n\r\n"));
    bench.answer("no");
    bench.push(format!(
        "0\r\n\r\n{POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ));
    assert_eq!(bench.log(), "head /cimom, head /cimom, body hello, end 0");
}

#[test]
fn sizes_are_limited_each_with_its_status() {
    let limits = Limits {
        request_line: 100,
        head: 300,
        body: 10,
        ..Limits::default()
    };
    for (text, status) in [
        (
            format!("POST /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(100)),
            414,
        ),
        (format!("POST /{}", "x".repeat(200)), 414),
        (format!("{POST}X: {}\r\n\r\n", "y".repeat(300)), 431),
        (format!("{POST}X: {}", "y".repeat(300)), 431),
        (format!("{POST}Content-Length: 11\r\n\r\n"), 413),
    ] {
        let mut bench = Bench::with(limits);
        bench.push(&text);
        assert_eq!(bench.log(), format!("refused {status}"), "{text:?}");
        assert!(bench.connection.wants_close());
        assert!(bench.out().starts_with(&format!("HTTP/1.1 {status} ")));
    }
    let mut bench = Bench::with(limits);
    bench.push(format!(
        "{POST}Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n"
    ));
    assert_eq!(bench.log(), "head /cimom, refused 413");
}

#[test]
fn a_refused_method_is_told_what_is_allowed() {
    let mut bench = Bench::new();
    bench.push("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let out = bench.out();
    assert!(
        out.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"),
        "{out}"
    );
    assert!(
        out.contains("Allow: POST, M-POST\r\n") && out.contains("Connection: close\r\n"),
        "{out}"
    );
}

#[test]
fn slow_clients_are_cut_off() {
    let mut bench = Bench::new();
    assert_eq!(bench.connection.deadline(), Some(Millis(60_000)));
    assert_eq!(bench.connection.push(b"POST / HT", Millis(50_000)), 9);
    assert_eq!(bench.connection.push(b"TP/1.1\r\n", Millis(60_000)), 8);
    // A dripping head does not extend its own time.
    assert_eq!(bench.connection.deadline(), Some(Millis(70_000)));
    bench.connection.check_time(Millis(69_999));
    bench.poll();
    assert_eq!(bench.log(), "");
    bench.connection.check_time(Millis(70_000));
    bench.poll();
    assert_eq!(bench.log(), "refused 408");

    let mut bench = Bench::new();
    bench.push(format!("{POST}Content-Length: 100\r\n\r\n"));
    assert_eq!(bench.connection.deadline(), Some(Millis(20_000)));
    for second in (0..120).step_by(10) {
        assert_eq!(bench.connection.push(b"x", Millis(second * 1_000)), 1);
        bench.poll();
    }
    assert_eq!(bench.connection.deadline(), Some(Millis(120_000)));
    bench.connection.check_time(Millis(120_000));
    bench.poll();
    assert!(bench.log().ends_with("refused 408"));
}

#[test]
fn an_idle_connection_closes_without_a_word() {
    let mut bench = Bench::new();
    bench.push(format!("{POST}Content-Length: 0\r\n\r\n"));
    assert_eq!(
        bench.connection.deadline(),
        None,
        "our own work has no deadline"
    );
    bench.answer("");
    bench.out();
    bench.connection.sent(Millis(5_000));
    assert_eq!(bench.connection.deadline(), Some(Millis(65_000)));
    bench.connection.check_time(Millis(65_000));
    bench.poll();
    assert_eq!(bench.out(), "");
    assert!(bench.connection.wants_close());
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let mut bench = Bench::new();
    bench.push(format!("{POST}Content-Length: 0\r\n\r\n"));
    bench.connection.push_end();
    assert!(!bench.connection.wants_close());
    bench.answer("ok");
    assert!(bench.out().ends_with("ok"));
    assert!(bench.connection.wants_close());

    let mut bench = Bench::new();
    bench.push(format!("{POST}Content-Length: 9\r\n\r\nabc"));
    bench.connection.push_end();
    bench.poll();
    assert!(bench.connection.wants_close());
}

#[test]
fn a_short_answer_ends_the_connection() {
    let mut bench = Bench::new();
    bench.push(format!("{POST}Content-Length: 0\r\n\r\n"));
    bench
        .connection
        .start_response(&mut bench.out, &ResponseHead::new(200), Framing::Length(5));
    bench.connection.body(&mut bench.out, b"abc");
    bench.connection.finish(&mut bench.out, &[]);
    assert!(bench.connection.wants_close());
}

#[test]
fn the_number_of_requests_is_limited() {
    let mut bench = Bench::with(Limits {
        requests: 2,
        ..Limits::default()
    });
    for round in 0..2 {
        assert!(!bench.connection.wants_close());
        bench.push(format!("{POST}Content-Length: 0\r\n\r\n"));
        bench.answer("");
        assert_eq!(bench.out().contains("Connection: close"), round == 1);
    }
    assert!(bench.connection.wants_close());
}

#[test]
fn a_refusal_is_answered_before_the_connection_may_close() {
    let mut connection = ServerConnection::new(Limits::default(), Millis(0));
    connection.push(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", Millis(0));
    let Some(Event::Refused(refusal)) = connection.poll() else {
        panic!("a refusal")
    };
    connection.push_end();
    assert_eq!(connection.poll(), None);
    assert!(!connection.wants_close());
    let mut out = Vec::new();
    connection.refuse(&mut out, &refusal);
    assert!(connection.wants_close() && !out.is_empty());
}

#[test]
fn a_second_answer_aborts_instead_of_corrupting_the_stream() {
    let mut bench = Bench::new();
    bench.push(format!("{POST}Content-Length: 0\r\n\r\n"));
    let head = ResponseHead::new(200);
    bench
        .connection
        .start_response(&mut bench.out, &head, Framing::Length(2));
    let before = bench.out.len();
    bench
        .connection
        .start_response(&mut bench.out, &head, Framing::Length(2));
    assert_eq!(bench.out.len(), before);
    assert!(bench.connection.wants_close());
}

#[test]
fn a_body_comes_in_pieces_of_the_size_that_there_is_room_for() {
    let limits = Limits {
        body: 10,
        upload: 1 << 40,
        methods: &["PUT", "POST"],
        ..Limits::default()
    };
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut connection = ServerConnection::new(limits, Millis(0));
        let head = format!("PUT /x HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n");
        connection.push(head.as_bytes(), Millis(0));
        assert!(matches!(connection.poll_at_most(0), Some(Event::Head(_))));
        let mut body = vec![b'x'; 100_000];
        if framing.ends_with("chunked") {
            body = [b"186a0\r\n", &*body, b"\r\n0\r\n\r\n"].concat();
        }
        // Nobody takes anything: soon no more is taken from the client.
        let mut sent = 0;
        loop {
            let taken = connection.push(&body[sent..], Millis(1));
            assert_eq!(connection.poll_at_most(0), None);
            sent += taken;
            if taken == 0 {
                break;
            }
        }
        assert!(sent < 60_000, "{sent}");
        let mut received = 0;
        loop {
            match connection.poll_at_most(7000) {
                Some(Event::Body(bytes)) => {
                    assert!(bytes.len() <= 7000);
                    received += bytes.len();
                }
                Some(Event::End(_)) => break,
                None => sent += connection.push(&body[sent..], Millis(2)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((received, sent), (100_000, body.len()));
    }
    // The limit of a PUT is its own.
    let mut bench = Bench::with(limits);
    bench.push("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n");
    assert_eq!(bench.log(), "refused 413");
}
