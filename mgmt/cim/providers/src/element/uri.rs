//! Elements as URIs, the way HostResource names devices of the host.

use super::Element;
use crate::setup::namespace;
use alloc::string::String;
use cim_domain::{Domain, HostDevice};
use cim_model::{ObjectPath, UriFormat};

impl Element {
    /// The device of the host that a URI names, as HostResource has it.
    #[must_use]
    pub fn host_device(uri: &str, domain: &Domain) -> Option<HostDevice> {
        let Ok(ObjectPath::Instance(path)) = uri.parse() else {
            return None;
        };
        match Self::of(&path, domain)? {
            Element::HostProcessor(number) => Some(HostDevice::Processor(number)),
            Element::HostMemory(node) => Some(HostDevice::Memory(node)),
            _ => None,
        }
    }

    /// The URI of an element, as HostResource has it; `None` for what is not there.
    #[must_use]
    pub fn uri(&self, domain: &Domain) -> Option<String> {
        let path = self.path(domain)?.with_namespace(namespace());
        Some(ObjectPath::Instance(path).to_uri(UriFormat::Historical))
    }
}
