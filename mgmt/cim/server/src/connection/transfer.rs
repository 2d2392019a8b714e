//! Requests for images: routing, rights, and the bodies in both directions.

use super::{Connection, millis};
use crate::images::{
    Download, ImageFacts, ImageRefusal, Piece, RefusalKind, Removal, Sha256, Stored, Upload,
    checksum, listing,
};
use crate::server::Server;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use cim_http::{Framing, Headers, RequestHead, ResponseHead};
use cim_model::{CimStatus, Text};
use cim_ops::{AuditRecord, Caller, Clock, Role};

const LIST: &str = "/images";
const JSON: &str = "application/json";
const ALLOW_LIST: &str = "GET, HEAD";
const ALLOW_IMAGE: &str = "GET, HEAD, PUT, DELETE";

/// An image on its way, or on its way out of the library.
pub(super) enum Transfer {
    /// The body of a PUT is coming in.
    Receiving(Receiving),
    /// The body is complete, the image not yet durable.
    Storing(Change, Box<dyn Upload>),
    /// A DELETE is not yet durable.
    Removing(Change, Box<dyn Removal>),
    /// The body of an answer to GET is going out: so many bytes are left.
    Sending(Box<dyn Download>, u64),
}

/// The body of a PUT that is coming in.
pub(super) struct Receiving {
    change: Change,
    upload: Box<dyn Upload>,
    promised: Option<Sha256>,
    /// The client waits because the library cannot take more: its time does not count.
    held: bool,
}

/// Who changes what.
pub(super) struct Change {
    caller: Caller,
    operation: &'static str,
    name: String,
}

/// How far a transfer lets the connection read.
pub(super) enum Reading {
    /// So many bytes of a body at most.
    Room(usize),
    /// Nothing before there is news.
    Later,
}

impl Connection {
    /// Whether a request is about images.
    pub(super) fn is_about_images(head: &RequestHead) -> bool {
        let rest = head.path().strip_prefix(LIST);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Answers a request about images, or begins to.
    pub(super) fn begin_images(&mut self, head: &RequestHead, clock: Clock, server: &mut Server) {
        let (user, role) = match self.authenticate(head, clock, server) {
            Ok(known) => known,
            Err(response) => return self.text(response, "The request is not authenticated.\n"),
        };
        let caller = Caller {
            user,
            role,
            peer: self.peer.clone(),
            clock,
        };
        let path = head.path().strip_prefix(LIST).unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or_default();
        let Some(name) = decode(path) else {
            return self.text(
                ResponseHead::new(400),
                "The image's name is not percent-encoded UTF-8.\n",
            );
        };
        let change = |operation| Change {
            caller,
            operation,
            name: name.clone(),
        };
        match (&*head.method, name.is_empty()) {
            ("GET" | "HEAD", true) => self.list_images(server),
            ("GET" | "HEAD", false) => self.send_image(&name, head, server),
            ("PUT", false) => self.receive_image(change("PutImage"), head, server),
            ("DELETE", false) => self.remove_image(change("DeleteImage"), server),
            (_, is_list) => {
                let allow = if is_list { ALLOW_LIST } else { ALLOW_IMAGE };
                let response = ResponseHead::new(405).with("Allow", allow);
                self.text(
                    response,
                    "Images are listed by GET /images, and read, written and removed by GET, PUT and DELETE \
                     /images/NAME.\n",
                );
            }
        }
    }

    fn list_images(&mut self, server: &Server) {
        let Some(images) = &server.images else {
            return self.no_library();
        };
        let text = listing::listing(images.space(), &images.list());
        self.json(ResponseHead::new(200), &text);
    }

    fn send_image(&mut self, name: &str, head: &RequestHead, server: &Server) {
        let Some(images) = &server.images else {
            return self.no_library();
        };
        let (facts, download) = match images.download(name) {
            Ok(found) => found,
            Err(refusal) => return self.refuse_image(&refusal),
        };
        let mut response = ResponseHead::new(200).with("Content-Type", "application/octet-stream");
        if let Some(sum) = &facts.sha256 {
            response = with_checksum(response, sum).with("Repr-Digest", checksum::to_digest(sum));
        }
        self.http
            .start_response(&mut self.out, &response, Framing::Length(facts.bytes));
        if &*head.method == "HEAD" || facts.bytes == 0 {
            return self.http.finish(&mut self.out, &[]);
        }
        self.transfer = Some(Transfer::Sending(download, facts.bytes));
    }

    fn receive_image(&mut self, change: Change, head: &RequestHead, server: &mut Server) {
        if let Some(change) = self.refuse_reader(change, server) {
            let Ok(promised) = checksum::told(&head.headers) else {
                return self.text(ResponseHead::new(400), BAD_CHECKSUM);
            };
            if head.headers.get("Content-Range").is_some() {
                // RFC 9110 14.5: who does not know it must not take a part for the whole.
                return self.text(
                    ResponseHead::new(400),
                    "An image is sent whole; Content-Range is not supported.\n",
                );
            }
            let length = head.headers.get("Content-Length");
            let length = length.and_then(|text| text.parse().ok());
            let Some(images) = &server.images else {
                return self.no_library();
            };
            match images.upload(&change.name, length, change.caller.clock) {
                Ok(upload) => {
                    self.http.send_continue(&mut self.out);
                    self.transfer = Some(Transfer::Receiving(Receiving {
                        change,
                        upload,
                        promised,
                        held: false,
                    }));
                }
                Err(refusal) => self.fail_change(&change, &refusal, server),
            }
        }
    }

    fn remove_image(&mut self, change: Change, server: &mut Server) {
        if let Some(change) = self.refuse_reader(change, server) {
            let Some(images) = &server.images else {
                return self.no_library();
            };
            match images.remove(&change.name) {
                Ok(removal) => self.transfer = Some(Transfer::Removing(change, removal)),
                Err(refusal) => self.fail_change(&change, &refusal, server),
            }
        }
    }

    /// The change, if its caller may make it.
    fn refuse_reader(&mut self, change: Change, server: &Server) -> Option<Change> {
        if change.caller.role >= Role::Operator {
            return Some(change);
        }
        note(server, &change, Some(CimStatus::AccessDenied));
        let text = "A read-only account cannot change the image library.\n";
        self.text(ResponseHead::new(403), text);
        None
    }

    /// Moves a transfer on as far as it goes, and says how far the connection can be read.
    pub(super) fn advance_transfer(&mut self, clock: Clock, server: &Server) -> Reading {
        match &mut self.transfer {
            None => Reading::Room(usize::MAX),
            Some(Transfer::Receiving(receiving)) => {
                if let Some(Err(refusal)) = receiving.upload.outcome() {
                    return self.end_change(Err(refusal), clock, server);
                }
                let room = receiving.upload.room();
                if room == 0 {
                    receiving.held = true;
                    return Reading::Later;
                }
                if core::mem::take(&mut receiving.held) {
                    self.http.sent(millis(clock));
                }
                Reading::Room(room)
            }
            Some(Transfer::Storing(_, upload)) => match upload.outcome() {
                None => Reading::Later,
                Some(outcome) => self.end_change(outcome.map(Some), clock, server),
            },
            Some(Transfer::Removing(_, removal)) => match removal.outcome() {
                None => Reading::Later,
                Some(outcome) => self.end_change(outcome.map(|()| None), clock, server),
            },
            Some(Transfer::Sending(..)) => Reading::Later,
        }
    }

    /// A piece of the body of a PUT.
    pub(super) fn upload_piece(transfer: &mut Transfer, bytes: &[u8]) {
        if let Transfer::Receiving(receiving) = transfer {
            receiving.upload.push(bytes);
        }
    }

    /// The body of a PUT is complete.
    pub(super) fn upload_end(&mut self, trailers: &Headers) {
        let Some(Transfer::Receiving(receiving)) = self.transfer.take() else {
            return;
        };
        let Receiving {
            change,
            mut upload,
            promised,
            ..
        } = receiving;
        match checksum::told(trailers) {
            Err(_) => self.text(ResponseHead::new(400), BAD_CHECKSUM),
            Ok(late) => {
                upload.end(late.or(promised));
                self.transfer = Some(Transfer::Storing(change, upload));
            }
        }
    }

    /// Whether the client waits for us, and its own time does not count.
    pub(super) fn is_held(&self) -> bool {
        matches!(&self.transfer, Some(Transfer::Receiving(receiving)) if receiving.held)
    }

    /// Reads on for an answer to GET, until enough waits for the client.
    pub(super) fn refill_download(&mut self, limit: usize) {
        while let Some(Transfer::Sending(download, left)) = &mut self.transfer {
            if self.out.len() >= limit {
                return;
            }
            match download.next() {
                Piece::Later => return,
                Piece::Bytes(bytes) => {
                    *left = left.saturating_sub(bytes.len() as u64);
                    self.http.body(&mut self.out, &bytes);
                    if *left == 0 {
                        self.transfer = None;
                        self.http.finish(&mut self.out, &[]);
                    }
                }
                Piece::Failed => {
                    // The head is out: the client sees that the body is too short.
                    self.transfer = None;
                    self.http.abort();
                }
            }
        }
    }

    /// Answers a change whose outcome is known.
    fn end_change(
        &mut self,
        outcome: Result<Option<(ImageFacts, Stored)>, ImageRefusal>,
        clock: Clock,
        server: &Server,
    ) -> Reading {
        let ended = self.transfer.take();
        self.note_output(clock);
        let change = match &ended {
            Some(Transfer::Receiving(receiving)) => &receiving.change,
            Some(Transfer::Storing(change, _) | Transfer::Removing(change, _)) => change,
            Some(Transfer::Sending(..)) | None => return Reading::Room(usize::MAX),
        };
        match outcome {
            Err(refusal) => self.fail_change(change, &refusal, server),
            Ok(stored) => {
                note(server, change, None);
                self.confirm(stored);
            }
        }
        Reading::Room(usize::MAX)
    }

    fn confirm(&mut self, stored: Option<(ImageFacts, Stored)>) {
        let sum = |facts: &ImageFacts, response| match &facts.sha256 {
            Some(sum) => with_checksum(response, sum),
            None => response,
        };
        match stored {
            Some((facts, Stored::Added)) => {
                let response = sum(&facts, ResponseHead::new(201))
                    .with("Location", format!("{LIST}/{}", facts.name));
                self.json(response, &listing::describe(&facts));
            }
            Some((facts, Stored::Replaced)) => {
                let response = sum(&facts, ResponseHead::new(204));
                self.empty(&response);
            }
            None => self.empty(&ResponseHead::new(204)),
        }
    }

    fn fail_change(&mut self, change: &Change, refusal: &ImageRefusal, server: &Server) {
        note(server, change, Some(cim_status(refusal.kind)));
        self.refuse_image(refusal);
    }

    fn refuse_image(&mut self, refusal: &ImageRefusal) {
        let mut text = sentence(&refusal.reason);
        text.push('\n');
        self.text(ResponseHead::new(http_status(refusal.kind)), &text);
    }

    fn no_library(&mut self) {
        let text = "This server has no image library.\n";
        self.text(ResponseHead::new(503), text);
    }

    fn json(&mut self, head: ResponseHead, text: &str) {
        let head = head.with("Content-Type", JSON);
        self.http
            .start_response(&mut self.out, &head, Framing::Length(text.len() as u64));
        self.http.body(&mut self.out, text.as_bytes());
        self.http.finish(&mut self.out, &[]);
    }

    fn empty(&mut self, head: &ResponseHead) {
        self.http
            .start_response(&mut self.out, head, Framing::Length(0));
        self.http.finish(&mut self.out, &[]);
    }
}

const BAD_CHECKSUM: &str = "The checksum cannot be read: send 64 hexadecimal digits as X-Checksum-Sha256, or base 64 as \
                            Content-Digest: sha-256=:...:.\n";

fn with_checksum(response: ResponseHead, sum: &Sha256) -> ResponseHead {
    response.with(checksum::HEX_FIELD, checksum::to_hex(sum))
}

fn note(server: &Server, change: &Change, failure: Option<CimStatus>) {
    let caller = &change.caller;
    server.operations.audit().record(AuditRecord {
        unix_micros: caller.clock.unix_micros,
        user: caller.user.clone(),
        peer: caller.peer.clone(),
        operation: Text::from_static(change.operation),
        target: format!("images/{}", change.name),
        failure,
    });
}

const fn http_status(kind: RefusalKind) -> u16 {
    match kind {
        RefusalKind::Name | RefusalKind::Mismatch => 400,
        RefusalKind::Missing => 404,
        RefusalKind::Conflict => 409,
        RefusalKind::Full => 507,
        RefusalKind::Failed => 500,
    }
}

const fn cim_status(kind: RefusalKind) -> CimStatus {
    match kind {
        RefusalKind::Name | RefusalKind::Mismatch => CimStatus::InvalidParameter,
        RefusalKind::Missing => CimStatus::NotFound,
        RefusalKind::Conflict | RefusalKind::Full | RefusalKind::Failed => CimStatus::Failed,
    }
}

/// The reason with a capital letter and a full stop.
fn sentence(reason: &str) -> String {
    let mut characters = reason.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let mut text: String = first.into_iter().chain(characters).collect();
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

/// Takes the percent-encoding off a path's segment; `None` where it is malformed or no UTF-8.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high << 4 | low).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}
