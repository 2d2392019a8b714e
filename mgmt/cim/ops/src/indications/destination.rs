//! CIM_ListenerDestinationCIMXML: where indications are sent.

use super::{DESTINATION, ListenerHosts, Shared};
use crate::fault::{error, invalid};
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::rc::Rc;
use cim_model::{CimError, CimStatus, Instance, InstancePath, Value};
use core::net::{Ipv4Addr, Ipv6Addr};

pub(super) struct Destinations(pub(super) Rc<Shared>);

/// Protocol: CIM-XML.
const CIM_XML: u16 = 2;
/// PersistenceType: permanent.
const PERMANENT: u16 = 2;

fn check(hosts: ListenerHosts, destination: &Instance) -> Result<(), CimError> {
    let text = |name: &str| destination.get(name).and_then(Value::as_str);
    check_url(hosts, text("Destination").unwrap_or_default())?;
    if destination
        .get("Protocol")
        .and_then(Value::as_u64)
        .is_some_and(|protocol| protocol != u64::from(CIM_XML))
    {
        return Err(invalid(
            "The protocol of a CIM-XML destination is 2 (CIM-XML).",
        ));
    }
    if text("username").is_some() || text("password").is_some() {
        return Err(invalid(
            "Indications are sent without credentials; username and password are not supported.",
        ));
    }
    Ok(())
}

fn check_url(hosts: ListenerHosts, url: &str) -> Result<(), CimError> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")) {
        return Err(invalid(format_args!(
            "The destination \"{url}\" is an https URL, but indications are sent over http only."
        )));
    }
    let malformed = || {
        invalid(format_args!(
            "The destination \"{url}\" is not a valid http URL."
        ))
    };
    let rest = url.strip_prefix("http://").ok_or_else(malformed)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port_fits = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !port_fits || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed());
    }
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').map(str::parse::<Ipv6Addr>);
        return address.and_then(Result::ok).map(drop).ok_or_else(malformed);
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return Ok(());
    }
    let is_name = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    match hosts {
        _ if !is_name => Err(malformed()),
        ListenerHosts::Names => Ok(()),
        ListenerHosts::Addresses => Err(invalid(format_args!(
            "The host \"{host}\" of the destination is a name, but this server has no name service: give its IP \
             address."
        ))),
    }
}

impl Provider for Destinations {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        Ok(self.0.kept.stream(DESTINATION))
    }

    fn get(&self, _: &Context<'_>, path: &InstancePath) -> Result<Option<Instance>, CimError> {
        Ok(self.0.kept.get(path))
    }

    fn create(
        &self,
        context: &Context<'_>,
        mut instance: Instance,
    ) -> Result<InstancePath, CimError> {
        self.0.check_room(DESTINATION)?;
        check(self.0.defaults.hosts, &instance)?;
        let made_up = alloc::format!("destination-{}", context.caller.clock.unix_micros);
        self.0.complete_keys(DESTINATION, &mut instance, &made_up);
        for (name, value) in [("Protocol", CIM_XML), ("PersistenceType", PERMANENT)] {
            if instance.get(name).is_none_or(Value::is_null) {
                instance.set(name, value);
            }
        }
        let path = self.0.four_key_path(DESTINATION, &instance);
        instance.path = Some(path.clone());
        self.0.kept.add(instance)?;
        Ok(path)
    }

    fn modify(
        &self,
        _: &Context<'_>,
        path: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        let Some(mut destination) = self.0.kept.get(path) else {
            return Err(crate::fault::no_instance(path));
        };
        for property in change.properties {
            destination.set(property.name, property.value);
        }
        check(self.0.defaults.hosts, &destination)?;
        self.0.changed.set(true);
        self.0.kept.replace(destination)
    }

    fn delete(&self, _: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        if self.0.is_referred_to("Handler", path) {
            return Err(error(
                CimStatus::Failed,
                "A subscription uses the destination; delete that first.",
            ));
        }
        self.0.kept.remove(path)
    }
}
