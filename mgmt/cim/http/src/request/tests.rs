use super::*;

fn parse(text: &str) -> Result<(RequestHead, BodyLength), Refusal> {
    parse_head(text.as_bytes(), &Limits::default())
}

fn status(text: &str) -> u16 {
    parse(text).map_or_else(|refusal| refusal.status, |_| 200)
}

#[test]
fn framing_comes_from_exactly_one_field() {
    let head = "POST /cimom HTTP/1.1\r\nHost: h\r\n";
    let framing = |fields: &str| parse(&format!("{head}{fields}\r\n")).map(|parsed| parsed.1);
    assert_eq!(framing("Content-Length: 5\r\n"), Ok(BodyLength::Known(5)));
    assert_eq!(
        framing("transfer-encoding: Chunked\r\n"),
        Ok(BodyLength::Chunked)
    );
    for (fields, status) in [
        ("", 411),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5, 5\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: -5\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: five\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 99999999999999999999999\r\n", 413),
        ("Content-Length: 8388609\r\n", 413),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        ("Transfer-Encoding: chunked, chunked\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: chunked, identity\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("X: y\r\n Content-Length: 5\r\n", 400),
        ("Content-Length: 5\rX: y\r\n", 400),
    ] {
        assert_eq!(framing(fields).unwrap_err().status, status, "{fields:?}");
    }
    assert_eq!(
        status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        400
    );
}

#[test]
fn each_malformed_head_has_its_status() {
    for (text, expected) in [
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            200,
        ),
        (
            "\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            200,
        ),
        (
            "M-POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            200,
        ),
        ("POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", 200),
        (
            "POST http://h/cimom HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            200,
        ),
        ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a b\r\nContent-Length: 0\r\n\r\n",
            400,
        ),
        (
            "POST cimom HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            400,
        ),
        (
            "POST * HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            400,
        ),
        ("POST /\r\n\r\n", 400),
        ("POST / HTTP/2.0\r\n\r\n", 505),
        ("POST / HTTP/1.2\r\n\r\n", 505),
        ("POST / HTTPS/1.1\r\n\r\n", 400),
        ("POST / http/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("post / HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        ("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        ("P{ST / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-Continue\r\n\r\n",
            200,
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: tea\r\n\r\n",
            417,
        ),
        (
            "POST / HTTP/1.0\r\nContent-Length: 0\r\nExpect: tea\r\n\r\n",
            200,
        ),
    ] {
        assert_eq!(status(text), expected, "{text:?}");
    }
    let many = "X: y\r\n".repeat(65);
    assert_eq!(
        status(&format!("POST / HTTP/1.1\r\nHost: h\r\n{many}\r\n")),
        431
    );
}

#[test]
fn the_end_of_a_head_is_found_wherever_the_bytes_break() {
    let text = b"\r\nPOST / HTTP/1.1\r\nHost: h\r\n\r\nbody";
    let end = text.len() - 4;
    for known in 0..end {
        assert_eq!(head_length(&text[..known], 0), None, "{known}");
        assert_eq!(head_length(text, known), Some(end), "{known}");
    }
    assert_eq!(
        head_length(b"POST / HTTP/1.1\nHost: h\n\nbody", 0),
        Some(25)
    );
    assert_eq!(head_length(b"\r\n\r\n\r\n", 0), None);
}

#[test]
fn paths_come_without_host_and_query() {
    let path = |target: &str| {
        let text = format!("POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        parse(&text).unwrap().0.path().to_string()
    };
    assert_eq!(path("/cimom"), "/cimom");
    assert_eq!(path("/cimom?x=http://y/z"), "/cimom");
    assert_eq!(path("http://h:5988/cimom?x"), "/cimom");
    assert_eq!(path("https://h"), "/");
}

#[test]
fn connections_live_as_the_versions_say() {
    let keeps = |version: &str, connection: &str| {
        let text = format!(
            "POST / HTTP/{version}\r\nHost: h\r\nContent-Length: 0\r\nConnection: {connection}\r\n\r\n"
        );
        parse(&text).unwrap().0.keeps_alive()
    };
    assert!(keeps("1.1", "Keep-Alive, TE"));
    assert!(keeps("1.1", "x"));
    assert!(!keeps("1.1", "TE, Close"));
    assert!(!keeps("1.0", "x"));
    assert!(keeps("1.0", "keep-alive"));
}
