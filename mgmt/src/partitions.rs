//! The partitions of the boot configuration: serves their I/O requests, doorbells and life-cycle events.
//!
//! Nothing here survives a restart of the management partition, and nothing needs to: the hypervisor keeps all running
//! state, and everything is registered again.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell, RefCell};

use bulkhead_abi::host::PartitionState;
use bulkhead_abi::hypercall::Status;
use bulkhead_abi::io::{SLOTS, Space};
use mgmt_hypercall::{
    Doorbell, PartitionId, PortDevices, Refusal, Scratch, field_text, state_name,
};

use crate::events::{Listener, Ports};
use crate::guests::Host;
use crate::io_requests::IoRequests;
use crate::report;

/// First port of the scratch device that every such partition has, so that its I/O requests can be tested.
const SCRATCH_PORT: u16 = 0xb00;
/// Port of the doorbell beside it.
const DOORBELL_PORT: u16 = 0xb10;

/// One other partition. Its event ports: its I/O slots, its life cycle, its doorbell.
struct Configured {
    host: Host,
    id: PartitionId,
    name: String,
    slots: u16,
    requests: OnceCell<IoRequests>,
    devices: RefCell<PortDevices>,
    rings: Cell<u64>,
}

/// Registers for the events of the partitions that the hypervisor has made by itself. What is returned keeps them served.
pub fn serve(host: &Host, own: PartitionId) -> Vec<Ports> {
    let count = match host.hypervisor.partition_count() {
        Ok(count) => count,
        Err(refusal) => {
            report!("the other partitions are not served: {refusal}");
            return Vec::new();
        }
    };
    let mut served = Vec::new();
    for id in (0..count).map(PartitionId).filter(|&id| id != own) {
        match add(host, id) {
            Ok(ports) => served.extend(ports),
            Err(reason) => report!("{id}: not served: {reason}"),
        }
    }
    served
}

/// `None` for an id that is not in use, or that of a virtual system.
fn add(host: &Host, id: PartitionId) -> Result<Option<Ports>, String> {
    let text = |refusal: Refusal| refusal.to_string();
    let info = match host.info(id) {
        Ok(info) => info,
        Err(Refusal {
            status: Some(Status::NotFound),
            ..
        }) => return Ok(None),
        Err(refusal) => return Err(text(refusal)),
    };
    if info.cookie != [0; 16] {
        return Ok(None);
    }
    let mut devices = PortDevices::default();
    let scratch = Box::new(Scratch::default());
    if devices.add(SCRATCH_PORT, Scratch::PORTS, scratch).is_err() {
        return Err("the ports of its scratch device are taken".into());
    }
    let slots = u16::try_from(info.vcpus)
        .unwrap_or(u16::MAX)
        .min(SLOTS as u16);
    let partition = Rc::new(Configured {
        host: host.clone(),
        id,
        name: field_text(&info.name),
        slots,
        requests: OnceCell::new(),
        devices: RefCell::new(devices),
        rings: Cell::new(0),
    });
    let ports = host.events.listen(slots + 2, partition.clone());
    let ports = ports.ok_or("no event ports are left")?;
    let hypervisor = host.hypervisor;
    hypervisor
        .lifecycle_port(id, ports.port(slots))
        .map_err(text)?;
    let page = host.pages.take().ok_or("no memory for shared pages")?;
    let requests = IoRequests::register(hypervisor, id, page, ports.port(0)).map_err(text)?;
    let _ = partition.requests.set(requests);
    let bell = Doorbell {
        address: DOORBELL_PORT.into(),
        space: Space::Port,
        size: 0,
        data: None,
        port: ports.port(slots + 1),
    };
    match hypervisor.doorbell_add(id, bell) {
        // It is there from before a restart of ours, with the same port: numbers are given in the same order.
        Ok(())
        | Err(Refusal {
            status: Some(Status::Busy),
            ..
        }) => {}
        Err(refusal) => return Err(text(refusal)),
    }
    report!(
        "{id} {}: {}, {} vCPUs, {} MiB",
        partition.name,
        state_name(info.state),
        info.vcpus,
        info.memory_bytes >> 20
    );
    if info.state == PartitionState::Crashed as u32 {
        partition.report_crash();
    }
    Ok(Some(ports))
}

impl Listener for Configured {
    fn event(&self, offset: u16) {
        if offset < self.slots {
            if let Some(requests) = self.requests.get() {
                requests.serve(offset.into(), |request| {
                    self.devices.borrow_mut().access(request)
                });
            }
        } else if offset == self.slots {
            self.lifecycle();
        } else {
            self.rings.set(self.rings.get() + 1);
            // The first one is worth a line; a guest must not be able to fill the log.
            if self.rings.get() == 1 {
                report!("{} {} rang its doorbell", self.id, self.name);
            }
        }
    }
}

impl Configured {
    fn report_crash(&self) {
        let text = match self.host.crash(self.id) {
            Ok(text) => text,
            Err(refusal) => refusal.to_string(),
        };
        report!("{} {} crashed: {text}", self.id, self.name);
    }

    fn lifecycle(&self) {
        let info = match self.host.info(self.id) {
            Ok(info) => info,
            Err(refusal) => return report!("{}: {refusal}", self.id),
        };
        if info.state == PartitionState::Crashed as u32 {
            self.report_crash();
        } else {
            report!("{} {} is {}", self.id, self.name, state_name(info.state));
        }
    }
}
