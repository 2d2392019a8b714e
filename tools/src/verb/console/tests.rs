use super::*;
use std::net::TcpListener;

/// A console's server that lets `admin` with `secret` in, says `boot`, and echoes until a `!`.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"Hello.\r\n\r\nlogin: ").unwrap();
            let user = line(&mut stream);
            stream.write_all(b"\xff\xfb\x01password: ").unwrap();
            let password = line(&mut stream);
            if (user.as_str(), password.as_str()) != ("admin", "secret") {
                let refusal = b"\r\nName or password is wrong.\r\nlogin: ";
                stream.write_all(refusal).unwrap();
                continue;
            }
            let text = b"\r\n[at the console of web1]\r\nboot\r\n";
            stream.write_all(text).unwrap();
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() && byte != *b"!" {
                stream.write_all(&byte).unwrap();
            }
        }
    });
    port
}

fn line(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() && byte != *b"\r" {
        text.push(char::from(byte[0]));
    }
    text
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

#[test]
fn what_is_typed_goes_there_and_what_is_printed_comes() {
    let port = server();
    let stream = connect(port);
    let greeting = log_in(&stream, "admin", "secret").unwrap();
    type_in(stream.try_clone().unwrap(), &b"ls\n!"[..]);
    let mut shown = Vec::new();
    show(&stream, &greeting, None, &mut shown).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert!(
        shown.contains("boot\r\n") && shown.ends_with("ls\n"),
        "{shown}"
    );
}

#[test]
fn the_time_ends_a_session() {
    let stream = connect(server());
    let greeting = log_in(&stream, "admin", "secret").unwrap();
    let started = Instant::now();
    let time = Some(Duration::from_millis(150));
    show(&stream, &greeting, time, io::sink()).unwrap();
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_wrong_password_is_said_to_be_one() {
    let stream = connect(server());
    let error = log_in(&stream, "admin", "guess").unwrap_err();
    assert!(error.to_string().contains("does not accept"), "{error}");
}

#[test]
fn urls_have_a_host_and_perhaps_a_port() {
    for (url, host) in [
        ("http://127.0.0.1:4242", "127.0.0.1"),
        ("http://lab/", "lab"),
        ("lab:5988", "lab"),
        ("http://[::1]:5988/cimom", "::1"),
        ("http://[fe80::2]", "fe80::2"),
    ] {
        assert_eq!(Server::new(url, "u", "p").unwrap().host(), host, "{url}");
    }
    for url in ["", "http://", "https://lab", "http://lab:x"] {
        assert!(Server::new(url, "u", "p").is_err(), "{url}");
    }
}
