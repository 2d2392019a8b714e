//! A server in memory and a client that speaks raw bytes to it.

use crate::{Accounts, Connection, MemoryAccounts, Server, ServerSettings};
use cim_model::{CimError, CimStatus, Instance, NamespaceName};
use cim_ops::{Builder, Clock, Context, MemoryStore, Provider, Role, Settings, Stream};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Makes as many processors as it is told to, and fails behind them if it is told to.
pub(super) struct Many {
    pub(super) count: usize,
    pub(super) fails: bool,
    pub(super) made: Rc<Cell<usize>>,
}

impl Provider for Many {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let made = Rc::clone(&self.made);
        let instances = (0..self.count).map(move |index| {
            made.set(made.get() + 1);
            Ok(Instance::new("CIM_Processor")
                .with("SystemCreationClassName", "CIM_ComputerSystem")
                .with("SystemName", "vm")
                .with("CreationClassName", "CIM_Processor")
                .with("DeviceID", format!("cpu{index}")))
        });
        let failure = self
            .fails
            .then(|| Err(CimError::new(CimStatus::Failed, "The <world> has ended.")));
        Ok(Box::new(instances.chain(failure)))
    }
}

pub(super) struct Lab {
    pub(super) server: Server,
    pub(super) connection: Connection,
    pub(super) now: Duration,
    pub(super) made: Rc<Cell<usize>>,
}

pub(super) fn counting_entropy() -> impl FnMut(&mut [u8]) {
    let mut next = 0u8;
    move |buffer: &mut [u8]| {
        for byte in buffer {
            next = next.wrapping_mul(5).wrapping_add(3);
            *byte = next;
        }
    }
}

pub(super) fn clock(now: Duration) -> Clock {
    Clock {
        monotonic: now,
        unix_micros: 1_800_000_000_000_000,
    }
}

pub(super) fn lab(count: usize, fails: bool) -> Lab {
    let made = Rc::new(Cell::new(0));
    let settings = Settings::new("server:5988");
    let provider = Many {
        count,
        fails,
        made: Rc::clone(&made),
    };
    let operations = Builder::new(settings, Box::new(MemoryStore::default()))
        .unwrap()
        .provider(
            NamespaceName::from_static("root/cimv2"),
            "CIM_Processor",
            Rc::new(provider),
        )
        .build();
    let mut entropy = counting_entropy();
    let store = Box::new(MemoryAccounts::default());
    let (mut accounts, _) = Accounts::open(store, Some("secret"), &mut entropy).unwrap();
    accounts
        .set("reader".into(), Role::ReadOnly, "read", &mut entropy)
        .unwrap();
    let server = Server {
        operations,
        indications: None,
        accounts,
        images: None,
        settings: ServerSettings::default(),
        host: "server:5988".into(),
        greeting: "Hello.\n".into(),
    };
    let connection = Connection::new("192.0.2.1", &server.settings, clock(Duration::ZERO));
    Lab {
        server,
        connection,
        now: Duration::ZERO,
        made,
    }
}

/// The body of a call in root/cimv2.
pub(super) fn body(method: &str, params: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"42\" \
         PROTOCOLVERSION=\"1.0\"><SIMPLEREQ><IMETHODCALL NAME=\"{method}\"><LOCALNAMESPACEPATH>\
         <NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"cimv2\"/></LOCALNAMESPACEPATH>{params}\
         </IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>"
    )
}

/// A request as administrator.
pub(super) fn request(method: &str, params: &str) -> Vec<u8> {
    request_as("admin:secret", method, params)
}

pub(super) fn request_as(credentials: &str, method: &str, params: &str) -> Vec<u8> {
    let (user, password) = credentials.split_once(':').unwrap();
    let authorization = cim_http::Credentials {
        user: user.to_string(),
        password: password.to_string(),
    }
    .to_authorization();
    let body = body(method, params);
    format!(
        "POST /cimom HTTP/1.1\r\nHost: h\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/xml; charset=\"utf-8\"\r\nCIMOperation: MethodCall\r\n\
         CIMMethod: {method}\r\nCIMObject: root/cimv2\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Lab {
    /// Sends bytes in pieces of a size and returns the answer.
    pub(super) fn send_in_pieces(&mut self, bytes: &[u8], size: usize) -> String {
        let mut answer = Vec::new();
        for piece in bytes.chunks(size) {
            let mut rest = piece;
            while !rest.is_empty() {
                let taken = self
                    .connection
                    .receive(rest, clock(self.now), &mut self.server);
                rest = &rest[taken..];
                let before = answer.len();
                self.drain(&mut answer);
                assert!(
                    taken > 0 || answer.len() > before,
                    "the connection is stuck"
                );
            }
        }
        String::from_utf8(answer).unwrap()
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> String {
        self.send_in_pieces(bytes, usize::MAX)
    }

    /// Reads everything that waits.
    pub(super) fn drain(&mut self, answer: &mut Vec<u8>) {
        let mut buffer = [0; 4096];
        loop {
            let count = self
                .connection
                .transmit(&mut buffer, clock(self.now), &mut self.server);
            if count == 0 {
                return;
            }
            answer.extend_from_slice(&buffer[..count]);
        }
    }
}
