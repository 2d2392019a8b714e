//! Calls about consoles.

use super::events::{event_port, shared_page};
use super::{Answer, Arguments, served};
use crate::exit::deliver;
use crate::host::Host;
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

pub fn page<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = served(host, arguments.rdi)?;
    let connection = match arguments.rsi {
        0 => None,
        page => {
            let port = event_port(arguments.rdx)?;
            Some((shared_page(vcpu, host, page)?, port))
        }
    };
    let mut devices = subject.devices.lock();
    devices.set_console(connection);
    // What the guest could not send to the page before goes its way now.
    deliver::note(vcpu, devices.console_changed(&subject, host));
    Ok(0)
}

pub fn input<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = served(host, arguments.rdi)?;
    let woken = subject.devices.lock().console_changed(&subject, host);
    deliver::note(vcpu, woken);
    Ok(0)
}
