//! `cim-bench`: requests per second and bytes of heap per request of the WBEM server, in one process.
//!
//! Run by `cargo xtask bench cim`. Each request goes as bytes through a whole connection: HTTP, authentication,
//! CIM-XML, operations, and the response back as bytes. No socket is involved, so the figures are those of the
//! server alone. Prints one line per operation.

use cim_ops::Clock;
use cim_server::{Connection, Server};
use cim_sim::{Options, build};
use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Counts what is allocated: the bytes in use, their peak, and the bytes ever asked for.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; the counters do not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        ASKED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PASSWORD: &str = "bench";
/// Processors of the demonstration world.
const SMALL: usize = 1_000;
const LARGE: usize = 100_000;
/// How long each operation is repeated.
const TIME: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cim-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    println!(
        "{:<44} {:>12} {:>10} {:>10} {:>12} {:>12}",
        "operation", "requests/s", "MB/s", "ms", "heap peak", "heap total"
    );
    let mut small = Client::new(SMALL)?;
    small.measure(
        "GetInstance",
        &[request("GetInstance", &instance_name("InstanceName"))],
    );
    small.measure(
        "GetClass CIM_ComputerSystem",
        &[request(
            "GetClass",
            "<IPARAMVALUE NAME=\"ClassName\"><CLASSNAME NAME=\"CIM_ComputerSystem\"/></IPARAMVALUE>\
         <IPARAMVALUE NAME=\"LocalOnly\"><VALUE>FALSE</VALUE></IPARAMVALUE>",
        )],
    );
    small.measure(
        "Associators of a system, 334 instances",
        &[request("Associators", &instance_name("ObjectName"))],
    );
    small.measure(
        "EnumerateInstances, 1,000 instances",
        &[request("EnumerateInstances", PROCESSORS)],
    );
    small.measure_pull("pull enumeration, 1,000 instances by 100", 100);
    let mut large = Client::new(LARGE)?;
    large.measure(
        "EnumerateInstances, 100,000 instances",
        &[request("EnumerateInstances", PROCESSORS)],
    );
    large.measure_pull("pull enumeration, 100,000 instances by 1,000", 1_000);
    Ok(())
}

const PROCESSORS: &str =
    "<IPARAMVALUE NAME=\"ClassName\"><CLASSNAME NAME=\"CIM_Processor\"/></IPARAMVALUE>";

fn instance_name(parameter: &str) -> String {
    format!(
        "<IPARAMVALUE NAME=\"{parameter}\"><INSTANCENAME CLASSNAME=\"CIM_ComputerSystem\"><KEYBINDING \
         NAME=\"CreationClassName\"><KEYVALUE VALUETYPE=\"string\" TYPE=\"string\">CIM_ComputerSystem</KEYVALUE>\
         </KEYBINDING><KEYBINDING NAME=\"Name\"><KEYVALUE VALUETYPE=\"string\" TYPE=\"string\">vm1</KEYVALUE>\
         </KEYBINDING></INSTANCENAME></IPARAMVALUE>"
    )
}

/// A request as pywbem sends it.
fn request(method: &str, params: &str) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE \
         ID=\"1001\" PROTOCOLVERSION=\"1.0\"><SIMPLEREQ><IMETHODCALL NAME=\"{method}\"><LOCALNAMESPACEPATH>\
         <NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"cimv2\"/></LOCALNAMESPACEPATH>{params}</IMETHODCALL>\
         </SIMPLEREQ></MESSAGE></CIM>"
    );
    // "admin:bench" in base 64.
    format!(
        "POST /cimom HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YWRtaW46YmVuY2g=\r\nContent-type: \
         application/xml; charset=\"utf-8\"\r\nCIMOperation: MethodCall\r\nCIMMethod: {method}\r\nCIMObject: \
         root/cimv2\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

struct Client {
    server: Server,
    connection: Connection,
    started: Instant,
    keep: Vec<u8>,
}

impl Client {
    fn new(processors: usize) -> Result<Self, String> {
        let options = Options {
            password: Some(PASSWORD.into()),
            demo: Some(processors),
            ..Options::default()
        };
        let ready = build(&options, "bench:5988")?;
        let started = Instant::now();
        let clock = Clock {
            monotonic: Duration::ZERO,
            unix_micros: 0,
        };
        let connection = Connection::new("bench", &ready.server.settings, clock);
        Ok(Client {
            server: ready.server,
            connection,
            started,
            keep: Vec::with_capacity(4096),
        })
    }

    fn clock(&self) -> Clock {
        Clock {
            monotonic: self.started.elapsed(),
            unix_micros: 0,
        }
    }

    /// Sends a request and reads the answer as a client would, keeping only its end; tells how long it was.
    fn ask(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        let mut total = 0;
        let mut buffer = [0; 16 * 1024];
        self.keep.clear();
        loop {
            let clock = self.clock();
            let rest = bytes.get(taken..).unwrap_or_default();
            if !rest.is_empty() {
                taken += self.connection.receive(rest, clock, &mut self.server);
            }
            let count = self
                .connection
                .transmit(&mut buffer, clock, &mut self.server);
            if count == 0 && taken == bytes.len() {
                if self.connection.is_finished() {
                    // A connection carries a limited number of requests.
                    self.connection = Connection::new("bench", &self.server.settings, clock);
                }
                debug_assert!(total > 0, "the request is not answered");
                return total;
            }
            total += count;
            let piece = buffer.get(..count).unwrap_or_default();
            self.keep.extend_from_slice(piece);
            let surplus = self.keep.len().saturating_sub(2048);
            self.keep.drain(..surplus);
        }
    }

    fn measure(&mut self, name: &str, requests: &[Vec<u8>]) {
        self.repeat(name, |client| {
            requests.iter().map(|bytes| client.ask(bytes)).sum()
        });
    }

    /// A whole enumeration by Open and Pulls counts as one request.
    fn measure_pull(&mut self, name: &str, count: u32) {
        let limit =
            format!("<IPARAMVALUE NAME=\"MaxObjectCount\"><VALUE>{count}</VALUE></IPARAMVALUE>");
        let open = request("OpenEnumerateInstances", &format!("{PROCESSORS}{limit}"));
        self.repeat(name, |client| {
            let mut total = client.ask(&open);
            while let Some(context) = client.context() {
                let parameter = format!(
                    "<IPARAMVALUE NAME=\"EnumerationContext\"><VALUE>{context}</VALUE></IPARAMVALUE>{limit}"
                );
                total += client.ask(&request("PullInstancesWithPath", &parameter));
            }
            total
        });
    }

    /// The enumeration context at the end of the last answer.
    fn context(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.keep);
        let (_, rest) = text.rsplit_once("NAME=\"EnumerationContext\"")?;
        let (_, rest) = rest.split_once("<VALUE>")?;
        rest.split_once('<').map(|(context, _)| context.to_string())
    }

    fn repeat(&mut self, name: &str, mut work: impl FnMut(&mut Self) -> usize) {
        // The first time fills caches, the second one is counted byte by byte.
        work(self);
        let before = IN_USE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let asked = ASKED.load(Ordering::Relaxed);
        let bytes = work(self);
        let peak = PEAK.load(Ordering::Relaxed).saturating_sub(before);
        let asked = ASKED.load(Ordering::Relaxed).saturating_sub(asked);
        let start = Instant::now();
        let mut count = 0u32;
        while start.elapsed() < TIME {
            work(self);
            count += 1;
        }
        let seconds = start.elapsed().as_secs_f64() / f64::from(count.max(1));
        println!(
            "{name:<44} {:>12.1} {:>10.1} {:>10.3} {peak:>12} {asked:>12}",
            1.0 / seconds,
            bytes as f64 / seconds / 1e6,
            seconds * 1e3
        );
    }
}
