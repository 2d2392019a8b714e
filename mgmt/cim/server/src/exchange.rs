//! [`Exchange`]: one request while its body comes in.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use cim_http::RequestHead;
use cim_model::Text;
use cim_ops::Role;
use cim_xml::CimHeaders;

/// An authenticated request whose body is not complete.
pub(crate) struct Exchange {
    pub(crate) head: RequestHead,
    /// The header prefix of an M-POST request; empty for POST.
    pub(crate) prefix: String,
    pub(crate) user: Text,
    pub(crate) role: Role,
    pub(crate) body: Vec<u8>,
}

/// The CIM headers of a request head.
pub(crate) fn cim_headers<'a>(head: &'a RequestHead, prefix: &str) -> CimHeaders<'a> {
    CimHeaders::collect(|name| {
        head.cim_header(prefix, name)
            .map(Cow::into_owned)
            .map(Cow::Owned)
    })
}
