//! The answer to OPTIONS: what the server can do, in headers (DSP0200 7.5.2). CIM_CIMXMLCommunicationMechanism in
//! the Interop namespace says the same and more.

use alloc::format;
use cim_http::{CIM_EXTENSION, ResponseHead};

/// The prefix of the headers; the Opt header declares it.
const PREFIX: &str = "73";
const FUNCTIONAL_GROUPS: &str = "basic-read, basic-write, schema-manipulation, instance-manipulation, \
                                 qualifier-declaration, association-traversal, query-execution";

/// The head of the answer. CIMSupportsMultipleOperations is left out, which means no.
pub(crate) fn capabilities(methods: &[&str]) -> ResponseHead {
    let headers = [
        ("CIMProtocolVersion", "1.4"),
        ("CIMSupportedFunctionalGroups", FUNCTIONAL_GROUPS),
        ("CIMSupportedQueryLanguages", "WQL, DMTF:CQL"),
        ("CIMValidation", "validating"),
    ];
    let head = ResponseHead::new(200)
        .with("Allow", methods.join(", "))
        .with("Opt", format!("{CIM_EXTENSION} ; ns={PREFIX}"))
        .with("Cache-Control", "no-cache");
    headers.into_iter().fold(head, |head, (name, value)| {
        head.with(format!("{PREFIX}-{name}"), value)
    })
}
