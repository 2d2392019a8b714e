//! [`Connection`]: one byte stream from a client, be it TCP or a serial line.

mod transfer;

use crate::authenticator::Access;
use crate::discovery;
use crate::exchange::{Exchange, cim_headers};
use crate::job::{self, Job, Progress};
use crate::server::Server;
use crate::settings::ServerSettings;
use crate::translate;
use alloc::string::ToString;
use alloc::vec::Vec;
use cim_http::{Credentials, Event, Framing, Millis, RequestHead, ResponseHead, ServerConnection};
use cim_model::{ObjectPath, Text};
use cim_ops::{Caller, Clock};
use cim_xml::{Call, Origin, Refusal, parse_request, percent_encode};
use core::time::Duration;
use transfer::{Reading, Transfer};

/// Bytes of a response that are made and framed at a time.
const PIECE: usize = 8 * 1024;
const REALM: &str = "Basic realm=\"WBEM\"";
const XML: &str = "application/xml; charset=\"utf-8\"";

/// The state of one connection.
pub struct Connection {
    http: ServerConnection,
    peer: Text,
    /// The request whose body is coming in.
    exchange: Option<Exchange>,
    /// The response that is going out.
    job: Option<Job>,
    /// The image that is coming in or going out.
    transfer: Option<Transfer>,
    /// The client sends no more, but what it has sent is not used up yet.
    ended: bool,
    out: Vec<u8>,
    /// Bytes of `out` that the client has.
    sent: usize,
    /// When the client last took bytes, or the response began to wait.
    progress: Duration,
    write_pause: Duration,
    aborted: bool,
}

impl Connection {
    /// A connection from a peer, which is its address without the port.
    pub fn new(peer: impl Into<Text>, settings: &ServerSettings, clock: Clock) -> Self {
        Connection {
            http: ServerConnection::new(settings.http, millis(clock)),
            peer: peer.into(),
            exchange: None,
            job: None,
            transfer: None,
            ended: false,
            out: Vec::new(),
            sent: 0,
            progress: clock.monotonic,
            write_pause: settings.write_pause,
            aborted: false,
        }
    }

    /// Takes bytes from the client and returns how many were taken; the rest is to be offered again after
    /// [`Connection::transmit`] has made room.
    pub fn receive(&mut self, bytes: &[u8], clock: Clock, server: &mut Server) -> usize {
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            let count = self.http.push(rest, millis(clock));
            taken += count;
            self.work(clock, server);
            if count == 0 || taken == bytes.len() {
                return taken;
            }
        }
    }

    /// The client will send nothing more; answers to complete requests still go out.
    pub fn receive_end(&mut self) {
        self.exchange = None;
        match &self.transfer {
            // The rest of the body may still wait in the buffer for the library.
            Some(Transfer::Receiving(_)) if self.is_held() => self.ended = true,
            Some(Transfer::Receiving(_)) => {
                self.transfer = None;
                self.http.push_end();
            }
            _ => self.http.push_end(),
        }
    }

    /// Fills a buffer with bytes for the client and returns how many.
    pub fn transmit(&mut self, buffer: &mut [u8], clock: Clock, server: &mut Server) -> usize {
        if self.transfer.is_some() {
            self.work(clock, server);
        }
        self.refill(server);
        let waiting = self.out.get(self.sent..).unwrap_or_default();
        let count = waiting.len().min(buffer.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..count), waiting.get(..count)) {
            target.copy_from_slice(source);
        }
        if count > 0 {
            self.sent += count;
            self.progress = clock.monotonic;
            self.http.sent(millis(clock));
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
            // What was pipelined behind the finished response.
            self.work(clock, server);
        }
        count
    }

    /// Whether bytes wait for the client.
    pub fn has_output(&self) -> bool {
        self.sent < self.out.len() || self.job.is_some()
    }

    /// Whether the connection waits for the image library: [`Connection::transmit`] is to be called when there may be
    /// news.
    pub fn is_waiting(&self) -> bool {
        self.transfer.is_some()
    }

    /// Whether the connection takes bytes now; while a response is under way it need not be read.
    pub fn wants_input(&self) -> bool {
        let answers =
            self.job.is_some() || !matches!(self.transfer, None | Some(Transfer::Receiving(_)));
        !answers && !self.http.wants_close() && !self.aborted
    }

    /// Whether the connection is to be closed: everything has been said.
    pub fn is_finished(&self) -> bool {
        let answers = self.has_output() || self.transfer.is_some();
        self.aborted || !answers && self.http.wants_close()
    }

    /// When [`Connection::tick`] has to be called next.
    pub fn deadline(&self) -> Option<Duration> {
        let write = self
            .has_output()
            .then(|| self.progress.saturating_add(self.write_pause));
        let read = self
            .http
            .deadline()
            .filter(|_| !self.is_held())
            .map(|Millis(time)| Duration::from_millis(time));
        match (read, write) {
            (Some(read), Some(write)) => Some(read.min(write)),
            (one, other) => one.or(other),
        }
    }

    /// Compares the time with the deadline: slow requests are refused, slow readers and idle clients dropped.
    pub fn tick(&mut self, clock: Clock, server: &mut Server) {
        if self.has_output() && clock.monotonic >= self.progress.saturating_add(self.write_pause) {
            self.http.abort();
            self.job = None;
            self.transfer = None;
            self.aborted = true;
            return;
        }
        if !self.is_held() {
            self.http.check_time(millis(clock));
        }
        self.work(clock, server);
    }

    fn work(&mut self, clock: Clock, server: &mut Server) {
        // One response at a time: pipelined requests wait in the bounded buffer of the HTTP layer.
        while self.job.is_none() {
            let Reading::Room(room) = self.advance_transfer(clock, server) else {
                return;
            };
            match self.http.poll_at_most(room) {
                None => {
                    if core::mem::take(&mut self.ended) {
                        // There was room, so the body is not complete, or was answered.
                        self.receive_end();
                    }
                    return;
                }
                Some(Event::Head(head)) => self.begin_request(head, clock, server),
                Some(Event::Body(bytes)) => {
                    if let Some(exchange) = &mut self.exchange {
                        exchange.body.extend_from_slice(bytes);
                    } else if let Some(transfer) = &mut self.transfer {
                        Self::upload_piece(transfer, bytes);
                    }
                }
                Some(Event::End(trailers)) => {
                    if let Some(exchange) = self.exchange.take() {
                        self.answer(exchange, clock, server);
                    } else {
                        self.upload_end(&trailers);
                    }
                }
                Some(Event::Refused(refusal)) => {
                    self.exchange = None;
                    self.transfer = None;
                    self.note_output(clock);
                    self.http.refuse(&mut self.out, &refusal);
                }
            }
        }
    }

    /// The write pause counts from the moment something waits.
    fn note_output(&mut self, clock: Clock) {
        if !self.has_output() {
            self.progress = clock.monotonic;
        }
    }

    /// Everything that is decided before the body: greeting, path, credentials, headers.
    fn begin_request(&mut self, head: RequestHead, clock: Clock, server: &mut Server) {
        self.exchange = None;
        self.note_output(clock);
        if Self::is_about_images(&head) {
            return self.begin_images(&head, clock, server);
        }
        if matches!(&*head.method, "GET" | "HEAD") {
            return self.greet(&head, server);
        }
        let asks_options = &*head.method == "OPTIONS";
        let is_served = match head.path() {
            "/cimom" | "/" => true,
            path => asks_options && path == "*",
        };
        if !is_served {
            return self.text(
                ResponseHead::new(404),
                "There is nothing here; CIM-XML is served at /cimom.\n",
            );
        }
        if matches!(&*head.method, "PUT" | "DELETE") {
            let response = ResponseHead::new(405).with("Allow", "POST, M-POST, OPTIONS");
            return self.text(
                response,
                "Only images are written and removed, at /images.\n",
            );
        }
        let prefix = match head.cim_prefix() {
            Ok(prefix) => prefix,
            Err(refusal) => return self.http.refuse(&mut self.out, &refusal),
        };
        let (user, role) = match self.authenticate(&head, clock, server) {
            Ok(known) => known,
            Err(response) => {
                return self.text(
                    response.for_request(&head, &prefix),
                    "The request is not authenticated.\n",
                );
            }
        };
        if asks_options {
            let response = discovery::capabilities(server.settings.http.methods);
            let framing = Framing::Length(0);
            self.http.start_response(&mut self.out, &response, framing);
            return self.http.finish(&mut self.out, &[]);
        }
        let checked = cim_headers(&head, &prefix).check_head();
        if let Err(refusal) = checked {
            return self.refuse(&head, &prefix, &refusal);
        }
        self.http.send_continue(&mut self.out);
        self.exchange = Some(Exchange {
            head,
            prefix,
            user,
            role,
            body: Vec::new(),
        });
    }

    fn greet(&mut self, head: &RequestHead, server: &Server) {
        if head.path() == "/" {
            let text = server.greeting.clone();
            self.text(ResponseHead::new(200), &text);
        } else {
            self.text(ResponseHead::new(404), "There is nothing here.\n");
        }
    }

    fn authenticate(
        &self,
        head: &RequestHead,
        clock: Clock,
        server: &mut Server,
    ) -> Result<(Text, cim_ops::Role), ResponseHead> {
        let demand = || ResponseHead::new(401).with("WWW-Authenticate", REALM);
        let authorization = head.cim_header("", "Authorization").ok_or_else(demand)?;
        let credentials = Credentials::from_authorization(&authorization).ok_or_else(demand)?;
        match server.log_in(&self.peer, &credentials, "server", clock) {
            Access::Granted(role) => Ok((Text::from(credentials.user), role)),
            Access::Denied => Err(demand()),
            Access::Wait(wait) => {
                let seconds = wait.as_secs().saturating_add(1).to_string();
                Err(ResponseHead::new(429).with("Retry-After", seconds))
            }
        }
    }

    /// The body is complete: decode, execute, begin the response.
    fn answer(&mut self, exchange: Exchange, clock: Clock, server: &mut Server) {
        self.note_output(clock);
        let Exchange {
            head,
            prefix,
            user,
            role,
            body,
        } = exchange;
        let headers = cim_headers(&head, &prefix);
        let request = match parse_request(&body) {
            Ok(request) => request,
            Err(error) => {
                let refusal = headers.refuse_body(&error);
                return self.refuse_with(&head, &prefix, &refusal, &error.to_string());
            }
        };
        drop(body);
        if let Err(refusal) = headers.check_body(&request) {
            return self.refuse(&head, &prefix, &refusal);
        }
        let caller = Caller {
            user,
            role,
            peer: self.peer.clone(),
            clock,
        };
        let method = request.call.method().clone();
        let kind = job::Kind::of(&request.call);
        let namespace = match &request.call {
            Call::Intrinsic { namespace, .. } => namespace.clone(),
            Call::Extrinsic {
                target: ObjectPath::Instance(path),
                ..
            } => path.namespace.clone().unwrap_or_default(),
            Call::Extrinsic { target, .. } => target.namespace().cloned().unwrap_or_default(),
            Call::Export { .. } => cim_model::NamespaceName::default(),
        };
        let result = translate::request(request.call)
            .and_then(|request| server.operations.execute(&caller, request));
        server.pump(clock);
        let origin = Origin::new(server.host.clone(), namespace);
        let begun = job::begin(
            &request.message_id,
            method.as_str(),
            origin,
            result,
            kind,
            server.settings.output,
        );
        let response = ResponseHead::new(200)
            .with("Content-Type", XML)
            .with("CIMOperation", "MethodResponse")
            .with("Cache-Control", "no-cache")
            .for_request(&head, &prefix);
        match begun.rest {
            None => {
                let framing = Framing::Length(begun.bytes.len() as u64);
                self.http.start_response(&mut self.out, &response, framing);
                self.http.body(&mut self.out, &begun.bytes);
                self.http.finish(&mut self.out, &[]);
            }
            Some(job) => {
                let trailers = &["CIMStatusCode", "CIMStatusCodeDescription"];
                self.http
                    .start_response(&mut self.out, &response, Framing::Streamed { trailers });
                self.http.body(&mut self.out, &begun.bytes);
                self.job = Some(job);
            }
        }
    }

    /// Makes more of a response under way when the client has taken nearly all there was. What is left is moved
    /// to the front then, so it must not be much.
    fn refill(&mut self, server: &Server) {
        let answers = self.job.is_some() || matches!(self.transfer, Some(Transfer::Sending(..)));
        if !answers || self.out.len().saturating_sub(self.sent) >= PIECE {
            return;
        }
        self.out.drain(..self.sent.min(self.out.len()));
        self.sent = 0;
        self.refill_download(server.settings.output);
        let mut piece = Vec::with_capacity(PIECE * 2);
        while let Some(job) = &mut self.job {
            if self.out.len() >= server.settings.output {
                return;
            }
            piece.clear();
            let progress = job.fill(&mut piece, PIECE);
            self.http.body(&mut self.out, &piece);
            match progress {
                Progress::More => {}
                Progress::Done => {
                    self.job = None;
                    self.http.finish(&mut self.out, &[]);
                }
                Progress::Failed(error) => {
                    // The head with its 200 is out: the body stays incomplete and the trailer says why.
                    self.job = None;
                    let code = error.status.code().to_string();
                    let description = percent_encode(&error.description);
                    self.http.finish(
                        &mut self.out,
                        &[
                            ("CIMStatusCode", &code),
                            ("CIMStatusCodeDescription", &description),
                        ],
                    );
                }
            }
        }
    }

    fn refuse(&mut self, head: &RequestHead, prefix: &str, refusal: &Refusal) {
        self.refuse_with(head, prefix, refusal, refusal.reason);
    }

    /// Refuses with a text that says more than the refusal itself, such as where the message is wrong.
    fn refuse_with(&mut self, head: &RequestHead, prefix: &str, refusal: &Refusal, detail: &str) {
        let mut response = ResponseHead::new(refusal.status);
        if let Some(header) = refusal.cim_error {
            response = response.with("CIMError", header.name());
            // pywbem shows this text to people.
            response = response.with("PGErrorDetail", percent_encode(detail));
        }
        let text = alloc::format!("{detail}\n");
        self.text(response.for_request(head, prefix), &text);
    }

    fn text(&mut self, head: ResponseHead, text: &str) {
        let head = head.with("Content-Type", "text/plain; charset=utf-8");
        self.http
            .start_response(&mut self.out, &head, Framing::Length(text.len() as u64));
        self.http.body(&mut self.out, text.as_bytes());
        self.http.finish(&mut self.out, &[]);
    }
}

fn millis(clock: Clock) -> Millis {
    Millis(u64::try_from(clock.monotonic.as_millis()).unwrap_or(u64::MAX))
}
