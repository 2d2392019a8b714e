//! Calls about interrupts: of devices to the management partition, and of emulated devices to guests.

use bulkhead_abi::hypercall::Status;

use super::{Answer, Arguments, partition};
use crate::exit::{deliver, deliver_message};
use crate::host::Host;
use crate::id::{Gsi, VcpuId, Vector};
use crate::local_apic::{ExtendedDestination, Message};
use crate::machine::InterruptRoute;
use crate::vcpu::Vcpu;
use crate::vcpu_record::VcpuRecord;

pub fn bind<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let requester = u16::try_from(arguments.rdx).map_err(|_| Status::BadArgument)?;
    let guest_vector = match u8::try_from(arguments.rsi) {
        Ok(vector) if vector >= 32 => Vector(vector),
        _ => return Err(Status::BadArgument),
    };
    let id = u16::try_from(arguments.rdi).map_err(|_| Status::NotFound)?;
    let target = vcpu
        .partition
        .vcpu(VcpuId(id))
        .ok_or(Status::NotFound)?
        .clone();
    let cpu = target.owner();
    let route = InterruptRoute {
        vcpu: target,
        vector: guest_vector,
    };
    let vector = host.machine().bind(cpu, route).ok_or(Status::NoResource)?;
    let (address, data) = host.message(cpu, vector, requester);
    Ok(u64::from(address) | u64::from(data) << 32)
}

pub fn release<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let (address, data) = (arguments.rdi as u32, (arguments.rdi >> 32) as u32);
    let (cpu, vector) = host.message_target(address, data).ok_or(Status::NotFound)?;
    let owner = |route: &InterruptRoute| {
        vcpu.partition
            .vcpus
            .iter()
            .any(|own| alloc::sync::Arc::ptr_eq(own, &route.vcpu))
    };
    if host.machine().unbind(cpu, vector, owner) {
        Ok(0)
    } else {
        Err(Status::NotFound)
    }
}

pub fn message_send<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = partition(host, arguments.rdi)?;
    let data = u32::try_from(arguments.rdx).map_err(|_| Status::BadArgument)?;
    let message = Message::from_msi(arguments.rsi, data, ExtendedDestination::On)
        .ok_or(Status::BadArgument)?;
    deliver::note(vcpu, deliver_message(&subject, &message, host));
    Ok(0)
}

pub fn line_set<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    arguments: Arguments,
) -> Answer {
    let subject = partition(host, arguments.rdi)?;
    let gsi = u32::try_from(arguments.rsi)
        .map(Gsi)
        .map_err(|_| Status::BadArgument)?;
    let level = match arguments.rdx {
        0 => crate::level::Level::Low,
        1 => crate::level::Level::High,
        _ => return Err(Status::BadArgument),
    };
    let woken = subject
        .devices
        .lock()
        .set_line(gsi, level, &subject, host)
        .ok_or(Status::NotFound)?;
    deliver::note(vcpu, woken);
    Ok(0)
}
