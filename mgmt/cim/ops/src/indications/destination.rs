//! CIM_ListenerDestinationCIMXML: where indications are sent.

use super::{DESTINATION, Shared};
use crate::fault::{error, invalid};
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::rc::Rc;
use cim_model::{CimError, CimStatus, Instance, InstancePath, Value};

pub(super) struct Destinations(pub(super) Rc<Shared>);

/// Protocol: CIM-XML.
const CIM_XML: u16 = 2;
/// PersistenceType: permanent.
const PERMANENT: u16 = 2;

fn check(destination: &Instance) -> Result<(), CimError> {
    let url = destination
        .get("Destination")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let rest = url.strip_prefix("http://").ok_or_else(|| {
        invalid(format_args!(
            "The destination \"{url}\" is not an http URL; https is not supported."
        ))
    })?;
    let authority = rest.split('/').next().unwrap_or_default();
    let port = match authority.rsplit_once(':') {
        Some((_, port)) if !authority.ends_with(']') => {
            port.parse::<u16>().is_ok_and(|port| port > 0)
        }
        _ => true,
    };
    let visible = url.bytes().all(|byte| byte.is_ascii_graphic());
    if authority.is_empty()
        || authority.starts_with(':')
        || authority.contains('@')
        || !port
        || !visible
    {
        return Err(invalid(format_args!(
            "The destination \"{url}\" is not a valid http URL."
        )));
    }
    if destination
        .get("Protocol")
        .and_then(Value::as_u64)
        .is_some_and(|protocol| protocol != u64::from(CIM_XML))
    {
        return Err(invalid(
            "The protocol of a CIM-XML destination is 2 (CIM-XML).",
        ));
    }
    Ok(())
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
        check(&instance)?;
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
        check(&destination)?;
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
