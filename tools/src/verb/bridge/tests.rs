use super::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// A machine: each request for /N is answered by "stream.request:/N", a long one for /long, none for /mute.
fn machine(port: UnixStream, stream: usize) {
    let mut port = port;
    let mut input = Vec::new();
    for number in 0.. {
        let head = loop {
            if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
                break input.drain(..end + 4).collect::<Vec<u8>>();
            }
            let mut buffer = [0; 1024];
            match port.read(&mut buffer) {
                Ok(count @ 1..) => input.extend(&buffer[..count]),
                _ => return,
            }
        };
        let head = String::from_utf8(head).unwrap();
        assert!(head.ends_with("Content-Length: 0\r\n\r\n"), "{head}");
        let path = head.split(' ').nth(1).unwrap();
        let body = match path {
            "/long" => "x".repeat(9_000_000),
            "/mute" => return,
            _ => format!("{stream}.{number}:{path}"),
        };
        let close = match path {
            "/close" => "Connection: close\r\n",
            _ => "",
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nX-Kept: yes\r\n{close}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if port.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A bridge to such a machine, which takes one stream after the other and sends stale bytes first.
fn bridge(name: &str) -> (SocketAddr, PathBuf) {
    let file = format!("bulkhead-bridge-{}-{name}.sock", std::process::id());
    let socket = std::env::temp_dir().join(file);
    let _ = std::fs::remove_file(&socket);
    let listening = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        for (stream, port) in listening.incoming().enumerate() {
            let mut port = port.unwrap();
            port.write_all(b"the rest of an old answer").unwrap();
            machine(port, stream);
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let machine = Machine::connect(&socket).unwrap();
    thread::spawn(move || serve(listener, machine));
    (address, socket)
}

fn client(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(20));
    client.set_read_timeout(patience).unwrap();
    client
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

fn expect(client: &mut TcpStream, body: &str) {
    let mut got = Vec::new();
    let mut buffer = [0; 1000];
    while !got.ends_with(body.as_bytes()) {
        let count = client.read(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&got);
        assert!(count > 0, "{body} did not come, but {text}");
        got.extend(&buffer[..count]);
    }
    let text = String::from_utf8(got).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\nX-Kept: yes\r\n"),
        "{text}"
    );
}

fn ask(client: &mut TcpStream, path: &str, body: &str) {
    client.write_all(&get(path)).unwrap();
    expect(client, body);
}

#[test]
fn clients_share_the_stream() {
    let (address, socket) = bridge("share");
    let (mut first, mut second) = (client(address), client(address));
    ask(&mut second, "/a", "0.0:/a");
    ask(&mut first, "/b", "0.1:/b");
    ask(&mut second, "/c", "0.2:/c");
    // Pipelined.
    first.write_all(&[get("/d"), get("/e")].concat()).unwrap();
    expect(&mut first, "0.4:/e");
    std::fs::remove_file(socket).unwrap();
}

#[test]
fn half_a_request_reaches_nobody() {
    let (address, socket) = bridge("half");
    let mut half = client(address);
    half.write_all(b"GET /half HTT").unwrap();
    ask(&mut client(address), "/a", "0.0:/a");
    drop(half);
    ask(&mut client(address), "/b", "0.1:/b");
    std::fs::remove_file(socket).unwrap();
}

#[test]
fn an_answer_that_nobody_reads_holds_nobody_up() {
    let (address, socket) = bridge("unread");
    let mut vanishing = client(address);
    vanishing.write_all(&get("/long")).unwrap();
    vanishing.read_exact(&mut [0; 10]).unwrap();
    drop(vanishing);
    // Nine megabytes are not worth reading to their end: the stream is given up.
    ask(&mut client(address), "/a", "1.0:/a");
    std::fs::remove_file(socket).unwrap();
}

#[test]
fn a_connection_that_the_machine_ends_is_followed_by_another() {
    let (address, socket) = bridge("ends");
    let mut one = client(address);
    ask(&mut one, "/close", "0.0:/close");
    ask(&mut one, "/a", "1.0:/a");
    std::fs::remove_file(socket).unwrap();
}

#[test]
fn what_is_no_request_is_refused_here() {
    let (address, socket) = bridge("refused");
    let mut wrong = client(address);
    wrong.write_all(b"nonsense\r\n\r\n").unwrap();
    let mut answer = String::new();
    wrong.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    ask(&mut client(address), "/a", "0.0:/a");
    std::fs::remove_file(socket).unwrap();
}

#[test]
fn the_bridge_ends_with_the_machine() {
    let file = format!("bulkhead-bridge-{}-gone.sock", std::process::id());
    let socket = std::env::temp_dir().join(file);
    let _ = std::fs::remove_file(&socket);
    let listening = UnixListener::bind(&socket).unwrap();
    let connected = thread::spawn(move || listening.accept().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let machine = Machine::connect(&socket).unwrap();
    let bridge = thread::spawn(move || serve(listener, machine));
    drop(connected.join().unwrap());
    let mut last = client(address);
    last.write_all(&get("/a")).unwrap();
    let mut answer = [0; 12];
    last.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 502");
    bridge.join().unwrap();
    std::fs::remove_file(socket).unwrap();
}
