//! How rates are measured, and the codec's.

use crate::rate as row;
use crate::row::Row;
use anyhow::{Context, Result, ensure};
use cim_xml::{Reader, Token, parse_request};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How often something is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Three times for half a second; the best counts.
    Many,
    /// Three times; the best counts.
    Once,
}

/// How often `work` can be done in a second.
pub fn rate(effort: Effort, mut work: impl FnMut()) -> f64 {
    let time = match effort {
        Effort::Many => Duration::from_millis(500),
        Effort::Once => Duration::ZERO,
    };
    let mut best = 0.0_f64;
    for _ in 0..3 {
        let started = Instant::now();
        let mut times = 0_u32;
        while times == 0 || started.elapsed() < time {
            work();
            times += 1;
        }
        best = best.max(f64::from(times) / started.elapsed().as_secs_f64());
    }
    best
}

/// Reading and writing a large request; the example `xml_speed` of cim-xml has the details.
///
/// # Errors
/// The codec does not take its own message.
pub fn codec() -> Result<Vec<Row>> {
    let values = "<VALUE>a value with &lt;some&gt; markup &amp; text</VALUE>".repeat(10_000);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" \
         PROTOCOLVERSION=\"1.0\"><SIMPLEREQ><IMETHODCALL NAME=\"CreateInstance\"><LOCALNAMESPACEPATH>\
         <NAMESPACE NAME=\"n\"/></LOCALNAMESPACEPATH><IPARAMVALUE NAME=\"NewInstance\"><INSTANCE CLASSNAME=\"C\">\
         <PROPERTY.ARRAY NAME=\"p\" TYPE=\"string\"><VALUE.ARRAY>{values}</VALUE.ARRAY></PROPERTY.ARRAY></INSTANCE>\
         </IPARAMVALUE></IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>"
    );
    let bytes = body.as_bytes();
    let request = parse_request(bytes).context("the codec refuses the request")?;
    let mut out = Vec::new();
    ensure!(
        cim_xml::write_request(&mut out, &request).is_ok(),
        "the codec does not write the request"
    );
    let megabytes = |length: usize, rate: f64| length as f64 * rate / 1e6;
    let tokens = rate(Effort::Many, || {
        if let Ok(mut reader) = Reader::new(black_box(bytes)) {
            while !matches!(reader.next_token(), Ok(Token::Eof) | Err(_)) {}
        }
    });
    let decode = rate(Effort::Many, || {
        drop(black_box(parse_request(black_box(bytes))))
    });
    let length = out.len();
    let write = rate(Effort::Many, || {
        out.clear();
        let _ = black_box(cim_xml::write_request(&mut out, black_box(&request)));
    });
    Ok(vec![
        row(
            "codec",
            "tokenizing",
            "MB/s",
            megabytes(bytes.len(), tokens),
        ),
        row(
            "codec",
            "decoding a request",
            "MB/s",
            megabytes(bytes.len(), decode),
        ),
        row(
            "codec",
            "writing a request",
            "MB/s",
            megabytes(length, write),
        ),
    ])
}
