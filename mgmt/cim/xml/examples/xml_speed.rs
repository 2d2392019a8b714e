//! How fast the codec is: tokenizing, decoding and writing, each alone.
//!
//! `cargo run --release -p cim-xml --example xml_speed`
#![allow(
    clippy::expect_used,
    reason = "a measurement stops where it is surprised"
)]

use cim_model::{Instance, InstancePath, Value};
use cim_xml::{
    ItemRef, Origin, Reader, ResponseWriter, Returns, Sink, SinkError, Token, parse_request,
    parse_response,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A sink that only counts, to measure the writer without its receiver.
struct Count(usize);

impl Sink for Count {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.0 += black_box(bytes).len();
        Ok(())
    }
}

fn system(number: u32) -> Instance {
    let name = format!("vm-{number:06}");
    let path = InstancePath::new("CIM_ComputerSystem")
        .with_namespace("root/cimv2")
        .with_key("CreationClassName", "CIM_ComputerSystem")
        .with_key("Name", name.clone());
    Instance::new("CIM_ComputerSystem")
        .with_path(path)
        .with("CreationClassName", "CIM_ComputerSystem")
        .with("Name", name)
        .with("ElementName", "A virtual system with <some> markup & text")
        .with("EnabledState", 2u16)
        .with("RequestedState", 12u16)
        .with("OperationalStatus", vec![2u16, 15])
        .with("StatusDescriptions", vec!["OK", "In service"])
        .with("HealthState", 5u16)
        .with(
            "TimeOfLastStateChange",
            cim_model::DateTime::from_unix_micros(1_763_838_000_000_000).expect("a time"),
        )
        .with("Dedicated", vec![0u16])
        .with("ResetCapability", 4u16)
        .with("Description", "x".repeat(120))
        .with("InstallDate", Value::null(cim_model::CimType::DateTime))
}

fn write<S: Sink>(out: &mut S, instances: &[Instance]) -> Result<(), SinkError> {
    let origin = Origin::new("192.0.2.1:5989", "root/cimv2");
    let writer = ResponseWriter::begin(
        out,
        "1001",
        "PullInstancesWithPath",
        Returns::Objects,
        origin,
    )?;
    for instance in instances {
        writer.item(out, ItemRef::InstanceWithPath(instance))?;
    }
    writer.finish(out, &[])
}

fn tokenize(message: &[u8]) -> usize {
    let mut reader = Reader::new(message).expect("a message");
    let mut tokens = 0;
    while !matches!(reader.next_token().expect("a token"), Token::Eof) {
        tokens += 1;
    }
    tokens
}

/// Repeats for half a second, five times, and prints the best rate.
fn measure(name: &str, bytes: usize, mut work: impl FnMut()) {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let mut rounds = 0u32;
        while start.elapsed() < Duration::from_millis(500) {
            work();
            rounds += 1;
        }
        best = best.min(start.elapsed() / rounds);
    }
    let rate = bytes as f64 / best.as_secs_f64() / 1e6;
    println!("{name:<44} {bytes:>9} B {:>12.3?} {rate:>8.0} MB/s", best);
}

fn main() {
    let instances: Vec<Instance> = (0..1_000).map(system).collect();
    let mut response = Vec::new();
    write(&mut response, &instances).expect("a Vec takes all");
    let request = include_bytes!("../tests/requests/pywbem-InvokeMethod_DefineSystem.http");
    let body = request
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a blank line")
        + 4;
    let request = request.get(body..).expect("a body");

    measure("checking characters (UTF-8, XML)", response.len(), || {
        black_box(Reader::new(black_box(&response)).is_ok());
    });
    measure("tokenizing a response", response.len(), || {
        black_box(tokenize(black_box(&response)));
    });
    measure("decoding a response", response.len(), || {
        black_box(parse_response(black_box(&response)).is_ok());
    });
    measure("tokenizing a request", request.len(), || {
        black_box(tokenize(black_box(request)));
    });
    measure("decoding a request (DefineSystem)", request.len(), || {
        black_box(parse_request(black_box(request)).is_ok());
    });
    let mut buffer = Vec::with_capacity(response.len());
    measure("writing a response into memory", response.len(), || {
        buffer.clear();
        black_box(write(&mut buffer, black_box(&instances)).is_ok());
    });
    measure("writing a response, counting only", response.len(), || {
        black_box(write(&mut Count(0), black_box(&instances)).is_ok());
    });
    let long = Instance::new("C").with("Text", "The quick brown fox. ".repeat(50_000));
    let long = [long];
    let mut text = Vec::new();
    write(&mut text, &long).expect("a Vec takes all");
    measure("tokenizing one long text", text.len(), || {
        black_box(tokenize(black_box(&text)));
    });
    measure("writing one long text", text.len(), || {
        buffer.clear();
        black_box(write(&mut buffer, black_box(&long)).is_ok());
    });
}
