//! The server in this process: bytes in, bytes out, no socket, and the heap counted.

use crate::heap;
use crate::measure::{self, Effort};
use crate::message::{Composer, Message};
use crate::row::Row;
use anyhow::{Result, ensure};
use cim_http::{ClientEvent, Limits, ResponseReader};
use cim_ops::Clock;
use cim_server::{Connection, Server};
use cim_sim::{Options, build};
use std::time::{Duration, Instant};

const WAY: &str = "in process";
const PEER: &str = "127.0.0.1";
/// One password for all; hashing it is not what is measured.
const PASSWORD: &str = "bench";
const PIECE: usize = 16 * 1024;
/// More than the answer to one pull.
const ANSWER: usize = 4 << 20;

/// All rows of this way.
///
/// # Errors
/// The server does not do what is measured.
pub fn all() -> Result<Vec<Row>> {
    let mut few = Inside::start(1_000)?;
    let composer = few.composer.clone();
    let mut rows = vec![
        few.row("GetInstance", &composer.get_instance()?, Effort::Many)?,
        few.row(
            "EnumerateInstances of 1,000",
            &composer.enumerate()?,
            Effort::Many,
        )?,
        few.row(
            "Associators, 333 found",
            &composer.associators()?,
            Effort::Many,
        )?,
        few.pulls("pull enumeration of 1,000 by 100")?,
    ];
    let mut many = Inside::start(100_000)?;
    rows.push(many.row(
        "EnumerateInstances of 100,000",
        &composer.enumerate()?,
        Effort::Once,
    )?);
    rows.push(many.pulls("pull enumeration of 100,000 by 100")?);
    Ok(rows)
}

struct Inside {
    server: Server,
    connection: Connection,
    composer: Composer,
    started: Instant,
    piece: Vec<u8>,
}

impl Inside {
    fn start(processors: usize) -> Result<Self> {
        let options = Options {
            password: Some(PASSWORD.to_owned()),
            demo: Some(processors),
            ..Options::default()
        };
        let ready = build(&options, "bench").map_err(anyhow::Error::msg)?;
        let started = Instant::now();
        let composer = Composer::new("bench", &ready.administrator.name, PASSWORD);
        let clock = clock(started);
        Ok(Self {
            connection: Connection::new(PEER, &ready.server.settings, clock),
            server: ready.server,
            composer,
            started,
            piece: vec![0; PIECE],
        })
    }

    /// Sends a request and takes the answer, piece by piece; returns its length.
    fn ask(&mut self, message: &Message, mut take: impl FnMut(&[u8])) -> usize {
        let clock = clock(self.started);
        if self.connection.is_finished() {
            // The server ends a connection after some thousand requests.
            self.connection = Connection::new(PEER, &self.server.settings, clock);
        }
        let mut rest = message.0.as_slice();
        let mut length = 0;
        loop {
            let taken = self.connection.receive(rest, clock, &mut self.server);
            rest = rest.get(taken..).unwrap_or_default();
            let sent = self
                .connection
                .transmit(&mut self.piece, clock, &mut self.server);
            take(self.piece.get(..sent).unwrap_or_default());
            length += sent;
            if taken == 0 && sent == 0 {
                return length;
            }
        }
    }

    /// The answer's body.
    fn body(&mut self, message: &Message) -> Result<Vec<u8>> {
        let mut taken = Vec::new();
        self.ask(message, |bytes| taken.extend_from_slice(bytes));
        body(&taken)
    }

    fn row(&mut self, name: &str, message: &Message, effort: Effort) -> Result<Row> {
        let body = self.body(message)?;
        let text = String::from_utf8_lossy(&body);
        ensure!(
            text.contains("<IRETURNVALUE>") && !text.contains("<ERROR"),
            "{name} fails: {}",
            text.get(..600).unwrap_or(&text)
        );
        drop(body);
        let used = heap::used(|| {
            self.ask(message, |_| ());
        });
        let mut length = 0;
        let mut shortest = usize::MAX;
        let rate = measure::rate(effort, || {
            length = self.ask(message, |_| ());
            shortest = shortest.min(length);
        });
        // The head may be a little shorter or longer, the body not.
        ensure!(
            length - shortest < 100,
            "{name}: not every request was answered"
        );
        Ok(Row {
            way: WAY.to_owned(),
            name: name.to_owned(),
            unit: "/s",
            rate,
            bytes: Some(length as f64),
            peak: Some(used.peak as f64),
            allocations: Some(used.allocations as f64),
        })
    }

    /// Whole enumerations: opened, and pulled to the end.
    fn pulls(&mut self, name: &str) -> Result<Row> {
        let open = self.composer.open()?;
        let started = Instant::now();
        let mut requests = 1;
        let mut length = 0;
        let mut used = heap::Use {
            peak: 0,
            allocations: 0,
        };
        let mut answer = self.body(&open)?;
        while let Some(next) = self.composer.pull(&answer)? {
            answer.clear();
            let mut taken = Vec::with_capacity(ANSWER);
            // With the reserve above, taking the answer costs no heap.
            let one = heap::used(|| {
                self.ask(&next, |bytes| taken.extend_from_slice(bytes));
            });
            ensure!(taken.len() <= ANSWER, "an answer is longer than thought");
            used.peak = used.peak.max(one.peak);
            used.allocations = used.allocations.max(one.allocations);
            length = length.max(taken.len());
            answer = body(&taken)?;
            requests += 1;
        }
        Ok(Row {
            way: WAY.to_owned(),
            name: format!("{name}, requests"),
            unit: "/s",
            rate: f64::from(requests) / started.elapsed().as_secs_f64(),
            bytes: Some(length as f64),
            peak: Some(used.peak as f64),
            allocations: Some(used.allocations as f64),
        })
    }
}

/// The body of an answer, whatever its framing.
fn body(answer: &[u8]) -> Result<Vec<u8>> {
    let limits = Limits {
        body: u64::MAX,
        ..Limits::default()
    };
    let mut reader = ResponseReader::new(limits);
    reader.push(answer);
    let mut body = Vec::new();
    loop {
        match reader.poll()? {
            Some(ClientEvent::Body(bytes)) => body.extend_from_slice(bytes),
            Some(ClientEvent::End(_)) => return Ok(body),
            Some(_) => {}
            None => anyhow::bail!("the answer has no end"),
        }
    }
}

fn clock(started: Instant) -> Clock {
    Clock {
        monotonic: started.elapsed() + Duration::from_secs(1),
        unix_micros: 1_763_838_000_000_000,
    }
}
