//! [`Export`]: sending one indication to its listener over a connection that the caller opens.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cim_http::{ClientEvent, ClientRequest, Limits, ResponseReader};
use cim_ops::indications::{Delivery, DeliveryId};
use cim_xml::{Outcome, parse_response, write_indication};

/// A listener's answer is short; more is no answer.
const MAX_ANSWER: usize = 64 * 1024;
const DEFAULT_PORT: u16 = 5988;

/// What the listener said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportOutcome {
    /// Nothing yet.
    Pending,
    /// It has taken the indication.
    Confirmed,
    /// It refused, or its answer makes no sense.
    Refused,
}

/// One export: open a TCP connection to [`Export::address`], send [`Export::request`], feed what comes to
/// [`Export::receive`], and report the result with [`crate::Server::exported`] however it ends.
pub struct Export {
    id: DeliveryId,
    host: String,
    port: u16,
    request: Vec<u8>,
    reader: ResponseReader,
    status: u16,
    answer: Vec<u8>,
    outcome: ExportOutcome,
}

impl Export {
    pub(crate) fn new(delivery: Delivery, limits: Limits) -> Self {
        let rest = delivery
            .url
            .strip_prefix("http://")
            .unwrap_or(&delivery.url);
        let (authority, path) = match rest.find('/') {
            Some(index) => rest.split_at_checked(index).unwrap_or((rest, "/")),
            None => (rest, "/"),
        };
        let (host, port) = split_authority(authority);
        let mut body = Vec::new();
        // A vector takes everything.
        let _ = write_indication(
            &mut body,
            &delivery_message_id(&delivery),
            &delivery.indication,
        );
        let mut request = Vec::new();
        ClientRequest::new("POST", path, authority)
            .with("Content-Type", "application/xml; charset=\"utf-8\"")
            .with("Accept", "application/xml")
            .with("CIMExport", "MethodRequest")
            .with("CIMExportMethod", "ExportIndication")
            .with("Connection", "close")
            .write(&mut request, &body);
        Export {
            id: delivery.id,
            host: host.to_string(),
            port,
            request,
            reader: ResponseReader::new(limits),
            status: 0,
            answer: Vec::new(),
            outcome: ExportOutcome::Pending,
        }
    }

    /// Host name or IP address (IPv6 without brackets), and port of the listener.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The bytes to send.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Takes bytes from the listener.
    pub fn receive(&mut self, bytes: &[u8]) -> ExportOutcome {
        self.reader.push(bytes);
        self.read()
    }

    /// The listener closed the connection, or it could not be opened, or time is up.
    pub fn receive_end(&mut self) -> ExportOutcome {
        self.reader.push_end();
        if self.read() == ExportOutcome::Pending {
            self.outcome = ExportOutcome::Refused;
        }
        self.outcome
    }

    pub(crate) const fn delivery(&self) -> DeliveryId {
        self.id
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.outcome == ExportOutcome::Confirmed
    }

    fn read(&mut self) -> ExportOutcome {
        while self.outcome == ExportOutcome::Pending {
            match self.reader.poll() {
                Ok(None) => break,
                Err(_) => self.outcome = ExportOutcome::Refused,
                Ok(Some(ClientEvent::Head { status, .. })) => self.status = status,
                Ok(Some(ClientEvent::Body(bytes))) => {
                    if self.answer.len() + bytes.len() > MAX_ANSWER {
                        self.outcome = ExportOutcome::Refused;
                    } else {
                        self.answer.extend_from_slice(bytes);
                    }
                }
                Ok(Some(ClientEvent::End(_))) => {
                    let confirmed = self.status == 200
                        && parse_response(&self.answer)
                            .is_ok_and(|answer| matches!(answer.outcome, Ok(Outcome::Export)));
                    self.outcome = if confirmed {
                        ExportOutcome::Confirmed
                    } else {
                        ExportOutcome::Refused
                    };
                }
            }
        }
        self.outcome
    }
}

/// Host and port of an authority such as `h`, `h:80`, `[::1]` or `[::1]:80`.
fn split_authority(authority: &str) -> (&str, u16) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(DEFAULT_PORT)),
        _ => (authority, DEFAULT_PORT),
    };
    (host.trim_matches(['[', ']']), port)
}

/// The message ID: the sequence number serves as well as any.
fn delivery_message_id(delivery: &Delivery) -> String {
    let number = delivery
        .indication
        .get("SequenceNumber")
        .and_then(cim_model::Value::as_i64);
    number.unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::split_authority;

    #[test]
    fn authorities_are_split() {
        assert_eq!(split_authority("h"), ("h", 5988));
        assert_eq!(split_authority("h:80"), ("h", 80));
        assert_eq!(split_authority("[::1]"), ("::1", 5988));
        assert_eq!(split_authority("[::1]:80"), ("::1", 80));
    }
}
