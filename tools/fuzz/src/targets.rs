//! [`Target`]: the table of what is fuzzed.

use crate::seeds::{self, Seeds};
use std::hint::black_box;

/// A fuzz entry point of a crate, and how to feed it.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it reads, in a few words.
    pub about: &'static str,
    /// The entry point: takes any bytes, and panics only when it has found something.
    pub run: fn(&[u8]),
    /// Where its inputs begin.
    pub seeds: Seeds,
    /// What its inputs are.
    pub form: Form,
    /// The checks of the fuzzer itself are no targets for people.
    visible: bool,
}

/// What inputs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any bytes.
    Bytes,
    /// Only text gets beyond the first line of the entry point.
    Text,
}

const fn target(
    name: &'static str,
    about: &'static str,
    run: fn(&[u8]),
    seeds: Seeds,
    form: Form,
) -> Target {
    Target {
        name,
        about,
        run,
        seeds,
        form,
        visible: true,
    }
}

static TARGETS: [Target; 18] = [
    target(
        "http-server",
        "HTTP requests on one connection, cut and answered in different ways",
        cim_http::fuzz::fuzz_server,
        seeds::http_connections,
        Form::Bytes,
    ),
    target(
        "http-client",
        "HTTP responses, as an indication listener may send them",
        cim_http::fuzz::fuzz_client,
        seeds::http_responses,
        Form::Bytes,
    ),
    target(
        "authorization",
        "values of the header Authorization",
        cim_http::fuzz::fuzz_authorization,
        seeds::authorizations,
        Form::Text,
    ),
    target(
        "xml-tokens",
        "XML",
        cim_xml::fuzz::fuzz_tokens,
        seeds::requests,
        Form::Bytes,
    ),
    target(
        "xml-request",
        "CIM-XML requests, written and read again",
        cim_xml::fuzz::fuzz_request,
        seeds::requests,
        Form::Text,
    ),
    target(
        "xml-response",
        "CIM-XML responses, written and read again",
        cim_xml::fuzz::fuzz_response,
        seeds::responses,
        Form::Text,
    ),
    target(
        "xml-embedded",
        "embedded instances and classes in CIM-XML",
        cim_xml::fuzz::fuzz_embedded,
        seeds::embedded_objects,
        Form::Text,
    ),
    target(
        "xml-headers",
        "the CIM headers of a request, against its body",
        cim_xml::fuzz::fuzz_headers,
        seeds::headers_and_requests,
        Form::Text,
    ),
    target(
        "uri",
        "WBEM URIs, written and read again",
        cim_model::fuzz::fuzz_uri,
        seeds::uris,
        Form::Text,
    ),
    target(
        "datetime",
        "CIM datetimes, written and read again",
        cim_model::fuzz::fuzz_datetime,
        seeds::datetimes,
        Form::Text,
    ),
    target(
        "literal",
        "literals of every CIM type, written and read again",
        cim_model::fuzz::fuzz_literal,
        seeds::literals,
        Form::Text,
    ),
    target(
        "mof",
        "MOF: instances and schemas",
        cim_mof::fuzz::fuzz_mof,
        seeds::mof_files,
        Form::Text,
    ),
    target(
        "query",
        "CQL and WQL queries, filters and LIKE patterns",
        cim_query::fuzz::query,
        seeds::queries,
        Form::Text,
    ),
    target(
        "server",
        "bodies of requests to the whole WBEM server, with rights to everything",
        crate::server::exchange,
        seeds::requests,
        Form::Text,
    ),
    target(
        "loader",
        "kernel images of every kind, planned and loaded",
        crate::images::load_all,
        crate::images::seeds,
        Form::Bytes,
    ),
    target(
        "virtio",
        "a guest's devices: registers, rings, and drivers that mean no good",
        vmm_board::fuzz::fuzz_board,
        || Ok(vmm_board::fuzz::seeds()),
        Form::Bytes,
    ),
    target(
        "saved-state",
        "saved states of partitions, with a checksum that is right",
        bulkhead_core::saved_state::fuzz::fuzz_state,
        || Ok(bulkhead_core::saved_state::fuzz::seeds()),
        Form::Bytes,
    ),
    Target {
        name: "self-test",
        about: "the fuzzer itself",
        run: fall_into_traps,
        seeds: seeds::nothing,
        form: Form::Text,
        visible: false,
    },
];

/// The targets for people.
pub fn visible() -> impl Iterator<Item = &'static Target> {
    TARGETS.iter().filter(|target| target.visible)
}

/// The target of that name.
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Does to a process what a faulty target might.
fn fall_into_traps(data: &[u8]) {
    // Letter by letter, so that only an eye on the coverage finds the word.
    let word = b"panic";
    let common = data.iter().zip(word).take_while(|(a, b)| {
        // Not one loop for all letters: each is an edge of its own.
        black_box(a) == black_box(b)
    });
    let depth = match common.count() {
        0 => 0,
        1 => black_box(1),
        2 => black_box(2),
        3 => black_box(3),
        4 => black_box(4),
        _ => 5,
    };
    assert!(depth < word.len(), "the trap");
    match data {
        b"hang" => loop {
            black_box(());
        },
        b"grow" => drop(black_box(vec![1_u8; 1 << 30])),
        b"dive" => drop(black_box(dive(0))),
        _ => {}
    }
}

#[expect(
    unconditional_recursion,
    reason = "the stack's limit is what is tested"
)]
fn dive(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    frame.first().copied().unwrap_or(0) + dive(depth + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_all_is_none_of_them() {
        let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(names.len(), TARGETS.len());
        assert!(!names.contains("all"));
        assert!(visible().all(|target| target.name != "self-test"));
    }

    #[test]
    fn every_target_stands_its_own_seeds() {
        for target in visible() {
            let seeds = (target.seeds)().unwrap();
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            for seed in seeds {
                (target.run)(&seed);
            }
        }
    }
}
