//! The server's connections as the transports see them.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use cim_model::Text;
use cim_server::{Export, ExportOutcome};
use mgmt_executor::Instant;
use mgmt_link::{Connection, Peer, Phase, Service};

use crate::wbem::Wbem;
use crate::{Durability, Mark};

/// Bytes of a response that are handed to the transport at a time.
const PIECE: usize = 8 * 1024;
/// How long a listener may take for an indication.
const EXPORT_TIME: Duration = Duration::from_secs(20);

/// Serves clients, and opens the connections on which indications go out.
pub struct WbemService {
    wbem: Wbem,
    dials: Dials,
}

/// Whether a transport can open connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dials {
    Yes,
    No,
}

impl WbemService {
    /// For a network, where indications go out as well.
    pub fn for_network(wbem: Wbem) -> Self {
        let dials = Dials::Yes;
        WbemService { wbem, dials }
    }

    /// For a channel with one client at its other end.
    pub fn for_channel(wbem: Wbem) -> Self {
        let dials = Dials::No;
        WbemService { wbem, dials }
    }
}

impl Service for WbemService {
    fn connect(&mut self, peer: Peer, now: Instant) -> Box<dyn Connection> {
        let (name, idle) = match peer {
            Peer::Network(address) => (address.ip().to_string().into(), None),
            Peer::Serial => (Text::from_static("serial"), Some(u64::MAX)),
        };
        let clock = self.wbem.clock(now);
        let connection = self.wbem.with_server(|server| {
            let mut settings = server.settings;
            if let Some(idle) = idle {
                // Its one client may hold the channel open for as long as it likes, and read when it likes.
                settings.http.idle_time.0 = idle;
                settings.write_pause = Duration::MAX;
            }
            cim_server::Connection::new(name, &settings, clock)
        });
        Box::new(Client {
            wbem: self.wbem.clone(),
            connection,
            output: Vec::new(),
            mark: Mark::default(),
        })
    }

    fn dial(&mut self, now: Instant) -> Option<(SocketAddr, Box<dyn Connection>)> {
        if self.dials == Dials::No {
            return None;
        }
        loop {
            let export = self.wbem.next_export(now)?;
            let (host, port) = export.address();
            match host.parse::<IpAddr>() {
                Ok(address) => {
                    let peer = SocketAddr::new(address, port);
                    let exporter = Exporter {
                        wbem: self.wbem.clone(),
                        sent: 0,
                        export,
                        until: now.after(EXPORT_TIME),
                        last: now,
                        phase: Phase::Open,
                    };
                    return Some((peer, Box::new(exporter)));
                }
                // There is no name service here: the destination counts as failing.
                Err(_) => self.wbem.exported(&export, now),
            }
        }
    }
}

/// A client's connection.
struct Client {
    wbem: Wbem,
    connection: cim_server::Connection,
    /// What the transport has not yet taken.
    output: Vec<u8>,
    /// The changes that were made when the output came about; it waits until they are durable.
    mark: Mark,
}

impl Client {
    fn act<T>(
        &mut self,
        act: impl FnOnce(&mut cim_server::Connection, &mut cim_server::Server) -> T,
    ) -> T {
        let result = self
            .wbem
            .with_server(|server| act(&mut self.connection, server));
        self.mark = self.wbem.keeper().mark();
        result
    }

    fn durability(&self) -> Durability {
        self.wbem.keeper().durability(self.mark)
    }
}

impl Connection for Client {
    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        let clock = self.wbem.clock(now);
        self.act(|connection, server| match connection.wants_input() {
            true => connection.receive(bytes, clock, server),
            false => 0,
        })
    }

    fn receive_end(&mut self, _: Instant) {
        self.connection.receive_end();
    }

    fn output(&mut self, now: Instant) -> &[u8] {
        let may_have = self.connection.has_output() || self.connection.is_waiting();
        if self.output.is_empty() && may_have {
            let clock = self.wbem.clock(now);
            let mut piece = vec![0; PIECE];
            let count =
                self.act(|connection, server| connection.transmit(&mut piece, clock, server));
            piece.truncate(count);
            self.output = piece;
        }
        match self.durability() {
            Durability::Durable => &self.output,
            Durability::Pending | Durability::Lost => &[],
        }
    }

    fn sent(&mut self, count: usize, _: Instant) {
        self.output.drain(..count.min(self.output.len()));
    }

    fn deadline(&self) -> Option<Instant> {
        let deadline = self.connection.deadline()?;
        Some(Instant::default().after(deadline))
    }

    fn expire(&mut self, now: Instant) {
        let clock = self.wbem.clock(now);
        self.act(|connection, server| connection.tick(clock, server));
    }

    fn phase(&self) -> Phase {
        match self.durability() {
            // The client must not believe in a change that is not kept.
            Durability::Lost => Phase::Failed,
            Durability::Pending => Phase::Open,
            Durability::Durable if !self.output.is_empty() => Phase::Open,
            Durability::Durable => match self.connection.is_finished() {
                true => Phase::Finished,
                false => Phase::Open,
            },
        }
    }
}

/// A connection that we have opened to deliver an indication.
struct Exporter {
    wbem: Wbem,
    export: Export,
    /// Bytes of the request that are sent.
    sent: usize,
    until: Instant,
    last: Instant,
    phase: Phase,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // However it ended: the server decides whether to try again.
        self.wbem.exported(&self.export, self.last);
    }
}

impl Exporter {
    fn note(&mut self, outcome: ExportOutcome, now: Instant) {
        self.last = now;
        if outcome != ExportOutcome::Pending {
            self.phase = Phase::Finished;
        }
    }
}

impl Connection for Exporter {
    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        let outcome = self.export.receive(bytes);
        self.note(outcome, now);
        bytes.len()
    }

    fn receive_end(&mut self, now: Instant) {
        let outcome = self.export.receive_end();
        self.note(outcome, now);
    }

    fn output(&mut self, now: Instant) -> &[u8] {
        self.last = now;
        self.export.request().get(self.sent..).unwrap_or_default()
    }

    fn sent(&mut self, count: usize, _: Instant) {
        self.sent = self.sent.saturating_add(count);
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.until)
    }

    fn expire(&mut self, now: Instant) {
        self.last = now;
        self.phase = Phase::Failed;
    }

    fn phase(&self) -> Phase {
        self.phase
    }
}

#[cfg(test)]
mod tests;
