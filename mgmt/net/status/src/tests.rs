use super::*;

struct Page;

impl StatusPage for Page {
    fn text(&self, _: Instant) -> String {
        "name 1\n".into()
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanoseconds(seconds * 1_000_000_000)
}

fn connect() -> Box<dyn Connection> {
    let peer = Peer::Network("192.0.2.1:1024".parse().unwrap());
    StatusService::new(Page).connect(peer, at(1))
}

fn talk(request: &str) -> (String, Phase) {
    let mut connection = connect();
    // Byte by byte: the end of a head may be split anywhere.
    for byte in request.as_bytes() {
        connection.receive(&[*byte], at(1));
    }
    let output = String::from_utf8(connection.output(at(1)).to_vec()).unwrap();
    (output, connection.phase())
}

#[test]
fn the_page_is_served() {
    let (answer, phase) = talk("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nname 1\n"));
    assert_eq!(phase, Phase::Open);
    let (answer, phase) = talk("HEAD / HTTP/1.0\r\n\r\n");
    assert!(answer.contains("Content-Length: 7\r\n") && answer.ends_with("\r\n\r\n"));
    assert_eq!(phase, Phase::Finished);
}

#[test]
fn what_is_not_there_is_an_error() {
    let status = |request: &str| talk(request).0.get(9..12).map(String::from);
    assert_eq!(status("GET /x HTTP/1.1\r\nHost: x\r\n\r\n").unwrap(), "404");
    assert_eq!(status("POST / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap(), "405");
    assert_eq!(status("XYZ / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap(), "501");
    assert_eq!(status("rubbish\r\n\r\n").unwrap(), "400");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let one = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let (answer, _) = talk(&one.repeat(3));
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3);
}

#[test]
fn a_client_that_never_reads_is_held_back() {
    let mut connection = connect();
    let one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let mut taken = 0;
    for _ in 0..1000 {
        taken += connection.receive(&one, at(1));
    }
    assert!(taken < 10 * one.len());
    assert!(connection.output(at(1)).len() < 2 * MAX_OUTPUT);
    let before = connection.output(at(1)).len();
    connection.sent(before, at(1));
    assert!(!connection.output(at(1)).is_empty());
}

#[test]
fn a_slow_head_times_out() {
    let mut connection = connect();
    connection.receive(b"GET", at(1));
    let deadline = connection.deadline().unwrap();
    connection.expire(deadline);
    assert!(connection.output(deadline).starts_with(b"HTTP/1.1 408"));
    assert_eq!(connection.phase(), Phase::Finished);
}
