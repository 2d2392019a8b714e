//! The image library over HTTP.

use super::lab::{Lab, clock, lab};
use crate::images::{
    Download, ImageAccess, ImageFacts, ImageRefusal, ImageSpace, Images, Piece, RefusalKind,
    Removal, Sha256, Stored, Upload,
};
use cim_http::Credentials;
use cim_ops::Clock;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A library whose disk takes and gives so many bytes whenever a test lets it.
#[derive(Default)]
struct Disk {
    images: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Bytes that the disk can move now.
    budget: Cell<usize>,
    /// Uploads under way.
    uploads: Cell<usize>,
    broken: Cell<bool>,
}

#[derive(Clone)]
struct Library(Rc<Disk>);

/// Not a checksum that anybody else would take for one.
fn sum(bytes: &[u8]) -> Sha256 {
    let mut sum = [0; 32];
    for (index, byte) in bytes.iter().enumerate() {
        sum[index % 32] ^= byte.wrapping_add(index as u8);
    }
    sum
}

fn refusal(kind: RefusalKind, reason: &str) -> ImageRefusal {
    ImageRefusal {
        kind,
        reason: reason.into(),
    }
}

fn facts(name: &str, bytes: &[u8]) -> ImageFacts {
    ImageFacts {
        name: name.to_string().into(),
        bytes: bytes.len() as u64,
        sha256: Some(sum(bytes)),
        added: 3,
        format: "data".into(),
        access: ImageAccess::Changeable,
    }
}

impl Images for Library {
    fn list(&self) -> Vec<ImageFacts> {
        let images = self.0.images.borrow();
        images.iter().map(|(n, b)| facts(n, b)).collect()
    }

    fn space(&self) -> ImageSpace {
        ImageSpace {
            capacity: 1_000_000,
            free: 999,
        }
    }

    fn download(&self, name: &str) -> Result<(ImageFacts, Box<dyn Download>), ImageRefusal> {
        let images = self.0.images.borrow();
        let bytes = images
            .get(name)
            .ok_or_else(|| refusal(RefusalKind::Missing, "there is no such image"))?;
        let reader = Reader {
            disk: self.0.clone(),
            left: bytes.clone(),
        };
        Ok((facts(name, bytes), Box::new(reader)))
    }

    fn upload(
        &self,
        name: &str,
        length: Option<u64>,
        _: Clock,
    ) -> Result<Box<dyn Upload>, ImageRefusal> {
        if length.is_some_and(|length| length > 1_000_000) {
            return Err(refusal(RefusalKind::Full, "the disk is full"));
        }
        self.0.uploads.set(self.0.uploads.get() + 1);
        Ok(Box::new(Writer {
            disk: self.0.clone(),
            name: name.into(),
            bytes: Vec::new(),
            ended: false,
            promised: None,
        }))
    }

    fn remove(&self, name: &str) -> Result<Box<dyn Removal>, ImageRefusal> {
        if name == "used" {
            return Err(refusal(RefusalKind::Conflict, "the image is in use"));
        }
        let removed = self.0.images.borrow_mut().remove(name);
        removed.ok_or_else(|| refusal(RefusalKind::Missing, "there is no such image"))?;
        Ok(Box::new(Remover(self.0.clone())))
    }
}

struct Reader {
    disk: Rc<Disk>,
    left: Vec<u8>,
}

impl Download for Reader {
    fn next(&mut self) -> Piece {
        if self.disk.broken.get() {
            return Piece::Failed;
        }
        let count = self.disk.budget.get().min(self.left.len()).min(1000);
        if count == 0 {
            return Piece::Later;
        }
        self.disk.budget.set(self.disk.budget.get() - count);
        Piece::Bytes(self.left.drain(..count).collect())
    }
}

struct Writer {
    disk: Rc<Disk>,
    name: String,
    bytes: Vec<u8>,
    ended: bool,
    promised: Option<Sha256>,
}

impl Upload for Writer {
    fn room(&self) -> usize {
        self.disk.budget.get()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.disk.budget.set(self.disk.budget.get() - bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    fn end(&mut self, sha256: Option<Sha256>) {
        self.ended = true;
        self.promised = sha256;
    }

    fn outcome(&mut self) -> Option<Result<(ImageFacts, Stored), ImageRefusal>> {
        if self.disk.broken.get() {
            return Some(Err(refusal(RefusalKind::Failed, "the disk failed")));
        }
        // The last commit takes a byte's worth of time.
        if !self.ended || self.disk.budget.get() == 0 {
            return None;
        }
        if self
            .promised
            .is_some_and(|promised| promised != sum(&self.bytes))
        {
            return Some(Err(refusal(RefusalKind::Mismatch, "another checksum")));
        }
        let found = facts(&self.name, &self.bytes);
        let mut images = self.disk.images.borrow_mut();
        let former = images.insert(self.name.clone(), self.bytes.clone());
        let stored = former.map_or(Stored::Added, |_| Stored::Replaced);
        Some(Ok((found, stored)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.disk.uploads.set(self.disk.uploads.get() - 1);
    }
}

struct Remover(Rc<Disk>);

impl Removal for Remover {
    fn outcome(&mut self) -> Option<Result<(), ImageRefusal>> {
        (self.0.budget.get() > 0).then_some(Ok(()))
    }
}

fn bench(budget: usize) -> (Lab, Rc<Disk>) {
    let mut lab = lab(0, false);
    let disk = Rc::new(Disk::default());
    disk.budget.set(budget);
    lab.server.images = Some(Box::new(Library(disk.clone())));
    (lab, disk)
}

/// A request as administrator.
fn request(line: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    request_as("admin:secret", line, fields, body)
}

fn request_as(who: &str, line: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let (user, password) = who.split_once(':').unwrap();
    let authorization = Credentials {
        user: user.into(),
        password: password.into(),
    }
    .to_authorization();
    let head =
        format!("{line} HTTP/1.1\r\nHost: h\r\nAuthorization: {authorization}\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

fn put(name: &str, body: &[u8]) -> Vec<u8> {
    let length = format!("Content-Length: {}\r\n", body.len());
    request(&format!("PUT /images/{name}"), &length, body)
}

fn audited(lab: &Lab) -> Vec<String> {
    std::iter::from_fn(|| lab.server.operations.take_audit())
        .map(|record| {
            format!(
                "{} {} {:?}",
                record.operation, record.target, record.failure
            )
        })
        .collect()
}

#[test]
fn an_image_is_written_listed_read_and_removed() {
    let (mut lab, _) = bench(usize::MAX / 2);
    let body: Vec<u8> = (0..50_000u32).map(|n| n as u8).collect();
    let answer = lab.send(&put("vmlinuz%2D6", &body));
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    assert!(answer.contains("X-Checksum-Sha256: "), "{answer}");
    assert!(answer.contains("Location: /images/vmlinuz-6\r\n"));
    assert!(answer.ends_with("\"origin\": \"disk\"}\n"), "{answer}");
    let answer = lab.send(&put("vmlinuz-6", &body));
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let answer = lab.send(&request("GET /images", "", b""));
    assert!(answer.contains("Content-Type: application/json"));
    assert!(answer.contains("\"name\": \"vmlinuz-6\", \"bytes\": 50000, \"sha256\": \""));
    let answer = lab.send(&request("HEAD /images/vmlinuz-6", "", b""));
    assert!(answer.contains("Content-Length: 50000\r\n"), "{answer}");
    assert!(answer.contains("Repr-Digest: sha-256=:"));
    assert!(answer.ends_with("\r\n\r\n"));
    let mut raw = Vec::new();
    let bytes = request("GET /images/vmlinuz-6", "", b"");
    lab.connection
        .receive(&bytes, clock(lab.now), &mut lab.server);
    lab.drain(&mut raw);
    assert!(raw.ends_with(&body));
    let answer = lab.send(&request("DELETE /images/vmlinuz-6", "", b""));
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let answer = lab.send(&request("GET /images/vmlinuz-6", "", b""));
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\nThere is no such image.\n"),
        "{answer}"
    );
    assert_eq!(
        audited(&lab),
        [
            "PutImage images/vmlinuz-6 None",
            "PutImage images/vmlinuz-6 None",
            "DeleteImage images/vmlinuz-6 None"
        ]
    );
}

#[test]
fn a_slow_disk_holds_the_client_and_does_not_time_it_out() {
    let (mut lab, disk) = bench(10_000);
    let body = vec![7; 300_000];
    let bytes = put("a", &body);
    let mut sent = 0;
    let mut rounds = 0;
    let mut answer = Vec::new();
    while answer.is_empty() {
        loop {
            let rest = &bytes[sent..];
            let taken = lab
                .connection
                .receive(rest, clock(lab.now), &mut lab.server);
            sent += taken;
            if taken == 0 {
                break;
            }
        }
        rounds += 1;
        assert!(sent < 70_000 + rounds * 10_000, "{sent} after {rounds}");
        // The disk is slower than any client may be.
        lab.now += Duration::from_secs(25);
        if lab.connection.deadline().is_some_and(|at| at <= lab.now) {
            lab.connection.tick(clock(lab.now), &mut lab.server);
        }
        disk.budget.set(10_000);
        assert!(lab.connection.is_waiting() && lab.connection.wants_input() || sent == bytes.len());
        lab.drain(&mut answer);
    }
    assert!(answer.starts_with(b"HTTP/1.1 201"), "{rounds}");
    assert!(rounds > 20);
    assert!(disk.images.borrow()["a"] == body);
}

#[test]
fn a_client_that_dies_in_the_middle_leaves_nothing_behind() {
    let (mut lab, disk) = bench(usize::MAX / 2);
    let bytes = put("a", &[1; 1000]);
    lab.send(&bytes[..bytes.len() - 1]);
    assert_eq!(disk.uploads.get(), 1);
    lab.connection.receive_end();
    assert_eq!(disk.uploads.get(), 0);
    assert!(lab.connection.is_finished());
    // The same where the transport just drops the connection.
    let (mut lab, disk) = bench(0);
    lab.send(&bytes[..bytes.len() - 1]);
    assert_eq!(disk.uploads.get(), 1);
    drop(lab);
    assert_eq!((disk.uploads.get(), disk.images.borrow().len()), (0, 0));
    // Or where it stays silent for too long.
    let (mut lab, disk) = bench(usize::MAX / 2);
    lab.send(&bytes[..bytes.len() - 1]);
    lab.now += Duration::from_secs(21);
    lab.connection.tick(clock(lab.now), &mut lab.server);
    assert_eq!(disk.uploads.get(), 0);
    assert!(lab.send(b"x").starts_with("HTTP/1.1 408"));
}

#[test]
fn a_body_that_ends_with_the_connection_is_used_up_first() {
    let (mut lab, disk) = bench(100);
    let body = [5; 3000];
    assert_eq!(lab.send(&put("a", &body)), "");
    lab.connection.receive_end();
    let mut answer = Vec::new();
    disk.budget.set(10_000);
    lab.drain(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 201"));
    assert!(lab.connection.is_finished());
    assert_eq!(disk.images.borrow()["a"], body);
    // Not complete: nothing is kept.
    let (mut lab, disk) = bench(100);
    let bytes = put("a", &body);
    lab.send(&bytes[..bytes.len() - 1]);
    lab.connection.receive_end();
    disk.budget.set(10_000);
    lab.drain(&mut answer);
    assert_eq!((disk.uploads.get(), disk.images.borrow().len()), (0, 0));
    assert!(lab.connection.is_finished());
}

#[test]
fn checksums_are_compared_wherever_they_stand() {
    let (mut lab, disk) = bench(usize::MAX / 2);
    let hex = |bytes: &[u8]| crate::images::checksum::to_hex(&sum(bytes));
    let chunked = |trailer: &str| {
        let body = format!("5\r\nhello\r\n0\r\n{trailer}\r\n");
        request(
            "PUT /images/a",
            "Transfer-Encoding: chunked\r\n",
            body.as_bytes(),
        )
    };
    let good = format!("X-Checksum-Sha256: {}\r\n", hex(b"hello"));
    let bad = format!("X-Checksum-Sha256: {}\r\n", hex(b"hellO"));
    assert!(lab.send(&chunked(&good)).starts_with("HTTP/1.1 201"));
    assert!(lab.send(&chunked("")).starts_with("HTTP/1.1 204"));
    let answer = lab.send(&chunked(&bad));
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.ends_with("Another checksum.\n"));
    let fields = format!("Content-Length: 5\r\n{bad}");
    let answer = lab.send(&request("PUT /images/a", &fields, b"hello"));
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let fields = "Content-Length: 5\r\nContent-Digest: sha-256=:x:\r\n";
    let answer = lab.send(&request("PUT /images/a", fields, b"hello"));
    assert!(answer.contains("The checksum cannot be read"), "{answer}");
    assert_eq!(disk.uploads.get(), 0);
}

#[test]
fn what_cannot_be_taken_is_refused_before_it_comes() {
    let (mut lab, disk) = bench(usize::MAX / 2);
    let fields = "Content-Length: 2000000\r\nExpect: 100-continue\r\n";
    let answer = lab.send(&request("PUT /images/a", fields, b""));
    assert!(
        answer.starts_with("HTTP/1.1 507 Insufficient Storage"),
        "{answer}"
    );
    assert!(answer.contains("The disk is full.\n"));
    let (mut lab, _) = bench(usize::MAX / 2);
    let fields = "Content-Length: 3\r\nExpect: 100-continue\r\n";
    let answer = lab.send(&request("PUT /images/a", fields, b""));
    assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(lab.send(b"abc").starts_with("HTTP/1.1 201"));
    for (line, status) in [
        ("POST /images/a", "405"),
        ("PUT /images", "405"),
        ("DELETE /images/used", "409"),
        ("PUT /images/%zz", "400"),
        ("PUT /imagesque/a", "404"),
        ("PUT /cimom", "405"),
    ] {
        let (mut lab, _) = bench(usize::MAX / 2);
        let answer = lab.send(&request(line, "Content-Length: 0\r\n", b""));
        let start = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&start), "{line}: {answer}");
    }
    assert_eq!(disk.uploads.get(), 0);
}

#[test]
fn readers_read_and_nobody_else_does() {
    let (mut lab, disk) = bench(usize::MAX / 2);
    lab.send(&put("a", b"hello"));
    let read = request_as("reader:read", "GET /images/a", "", b"");
    assert!(lab.send(&read).ends_with("\r\n\r\nhello"));
    let write = request_as(
        "reader:read",
        "PUT /images/a",
        "Content-Length: 1\r\n",
        b"x",
    );
    assert!(lab.send(&write).starts_with("HTTP/1.1 403"));
    let remove = request_as("reader:read", "DELETE /images/a", "", b"");
    assert!(lab.send(&remove).starts_with("HTTP/1.1 403"));
    let bare = lab.send(b"GET /images HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(bare.starts_with("HTTP/1.1 401"), "{bare}");
    assert_eq!(disk.images.borrow()["a"], b"hello");
    let denied = "PutImage images/a Some(AccessDenied)";
    assert!(audited(&lab).iter().any(|line| line == denied));
    lab.server.images = None;
    let answer = lab.send(&request("GET /images", "", b""));
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[test]
fn a_download_is_read_as_fast_as_the_client_takes_it_and_breaks_off_with_the_disk() {
    let (mut lab, disk) = bench(usize::MAX / 2);
    let body = vec![9; 400_000];
    lab.send(&put("a", &body));
    let before = 1 << 30;
    disk.budget.set(before);
    let get = request("GET /images/a", "", b"");
    lab.connection
        .receive(&get, clock(lab.now), &mut lab.server);
    let mut buffer = [0; 1000];
    let mut read = 0;
    for _ in 0..20 {
        read += lab
            .connection
            .transmit(&mut buffer, clock(lab.now), &mut lab.server);
    }
    assert_eq!(read, 20_000);
    assert!(before - disk.budget.get() < 60_000);
    disk.broken.set(true);
    let mut rest = Vec::new();
    lab.drain(&mut rest);
    assert!(rest.len() < 60_000 && lab.connection.is_finished());
    // A disk that fails during an upload is told at once.
    let (mut lab, disk) = bench(usize::MAX / 2);
    let bytes = put("a", &[1; 1000]);
    lab.send(&bytes[..500]);
    disk.broken.set(true);
    let answer = lab.send(&bytes[500..600]);
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(answer.ends_with("The disk failed.\n"));
}
