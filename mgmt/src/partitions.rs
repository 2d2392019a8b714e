//! The partitions task: serves the I/O requests, doorbells and life-cycle events of the other partitions.
//!
//! Nothing here survives a restart of the management partition, and nothing needs to: the hypervisor keeps all running
//! state, and everything is registered again.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bulkhead_abi::crash::CrashRecord;
use bulkhead_abi::host::{PartitionInfo, PartitionState};
use bulkhead_abi::hypercall::Status;
use bulkhead_abi::io::{DIRECTION_READ, IoSlot, SLOTS, STATE_PENDING, Space};
use mgmt_executor::Signal;
use mgmt_hypercall::{
    CrashText, Doorbell, EventPage, EventPort, PartitionId, PortAllocator, PortDevices, Refusal,
    Request, Scratch, field_text, state_name,
};
use mgmt_virtio::Memory;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::dma::{DmaMemory, SharedWords};
use crate::report;
use crate::root::Root;

const PAGE: usize = 4096;
/// First port of the scratch device that every guest has, so that its I/O requests can be tested.
const SCRATCH_PORT: u16 = 0xb00;
/// Port of the doorbell beside it.
const DOORBELL_PORT: u16 = 0xb10;

/// One other partition.
struct Guest {
    id: PartitionId,
    name: String,
    page: DmaMemory,
    /// First of the event ports of its I/O slots.
    requests: EventPort,
    slots: u16,
    lifecycle: EventPort,
    doorbell: EventPort,
    devices: PortDevices,
    rings: u64,
}

struct Guests {
    root: Root,
    guests: Vec<Guest>,
    record: DmaMemory,
}

/// Registers for the other partitions' events and serves them, for ever. `own` is this partition's id.
pub async fn run(root: Root, own: PartitionId, vector: u8, signal: Signal) {
    match Guests::register(root, own, vector) {
        Err(reason) => report!("the other partitions are not served: {reason}"),
        Ok((mut guests, events)) => loop {
            for port in events.take() {
                guests.event(port);
            }
            signal.wait().await;
        },
    }
}

/// The event page's words, in shared memory.
type Events = EventPage<SharedWords>;

impl Guests {
    fn register(root: Root, own: PartitionId, vector: u8) -> Result<(Self, Events), String> {
        let text = |refusal: Refusal| alloc::format!("{refusal}");
        let memory = || DmaMemory::allocate(PAGE).ok_or("no memory for shared pages");
        let hypervisor = root.hypervisor();
        let page = memory()?;
        hypervisor
            .event_page(page.address(), vector)
            .map_err(text)?;
        let events = EventPage::new(SharedWords::new(page));
        let mut guests = Guests {
            root,
            guests: Vec::new(),
            record: memory()?,
        };
        let mut ports = PortAllocator::default();
        let count = hypervisor.partition_count().map_err(text)?;
        for id in (0..count).map(PartitionId).filter(|&id| id != own) {
            let added = guests.add(id, memory()?, &mut ports);
            if let Err(reason) = added {
                report!("{id}: not served: {reason}");
            }
        }
        Ok((guests, events))
    }

    fn add(
        &mut self,
        id: PartitionId,
        page: DmaMemory,
        ports: &mut PortAllocator,
    ) -> Result<(), String> {
        let text = |refusal: Refusal| alloc::format!("{refusal}");
        let hypervisor = self.root.hypervisor();
        let info = self.info(id).map_err(text)?;
        let slots = u16::try_from(info.vcpus)
            .unwrap_or(u16::MAX)
            .min(SLOTS as u16);
        let mut take = |count| ports.take(count).ok_or("no event ports are left");
        let mut guest = Guest {
            id,
            name: field_text(&info.name),
            page,
            requests: take(slots)?,
            slots,
            lifecycle: take(1)?,
            doorbell: take(1)?,
            devices: PortDevices::default(),
            rings: 0,
        };
        let scratch = Box::new(Scratch::default());
        if guest
            .devices
            .add(SCRATCH_PORT, Scratch::PORTS, scratch)
            .is_err()
        {
            return Err("the ports of its scratch device are taken".into());
        }
        hypervisor
            .lifecycle_port(id, guest.lifecycle)
            .map_err(text)?;
        hypervisor
            .io_page(id, guest.page.address(), guest.requests)
            .map_err(text)?;
        let bell = Doorbell {
            address: DOORBELL_PORT.into(),
            space: Space::Port,
            size: 0,
            data: None,
            port: guest.doorbell,
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
            guest.name,
            state_name(info.state),
            info.vcpus,
            info.memory_bytes >> 20
        );
        if info.state == PartitionState::Crashed as u32 {
            self.report_crash(&guest);
        }
        self.guests.push(guest);
        Ok(())
    }

    /// What a hypercall wrote at the start of the record page.
    fn record<R: FromZeros + FromBytes + IntoBytes>(&self) -> R {
        let mut record = R::new_zeroed();
        self.record.read(0, record.as_mut_bytes());
        record
    }

    fn info(&self, id: PartitionId) -> Result<PartitionInfo, Refusal> {
        let hypervisor = self.root.hypervisor();
        hypervisor.partition_info(id, self.record.address())?;
        Ok(self.record())
    }

    fn report_crash(&self, guest: &Guest) {
        let hypervisor = self.root.hypervisor();
        match hypervisor.crash_record(guest.id, self.record.address()) {
            Ok(()) => {
                let record: CrashRecord = self.record();
                report!(
                    "{} {} crashed: {}",
                    guest.id,
                    guest.name,
                    CrashText(&record)
                );
            }
            Err(refusal) => report!("{} {} crashed: {refusal}", guest.id, guest.name),
        }
    }

    fn event(&mut self, port: EventPort) {
        let number = port.number();
        let slot_of = |guest: &Guest| {
            let slot = number.checked_sub(guest.requests.number())?;
            (slot < guest.slots).then_some(usize::from(slot))
        };
        let owner = self.guests.iter_mut().find(|guest| {
            slot_of(guest).is_some() || port == guest.lifecycle || port == guest.doorbell
        });
        let Some(guest) = owner else {
            report!("event {number} is nobody's");
            return;
        };
        if let Some(slot) = slot_of(guest) {
            guest.serve(&self.root, slot);
        } else if port == guest.doorbell {
            guest.rings += 1;
            // The first one is worth a line; a guest must not be able to fill the log.
            if guest.rings == 1 {
                report!("{} {} rang its doorbell", guest.id, guest.name);
            }
        } else {
            let id = guest.id;
            self.lifecycle(id);
        }
    }

    fn lifecycle(&mut self, id: PartitionId) {
        let info = match self.info(id) {
            Ok(info) => info,
            Err(refusal) => return report!("{id}: {refusal}"),
        };
        let Some(guest) = self.guests.iter().find(|guest| guest.id == id) else {
            return;
        };
        if info.state == PartitionState::Crashed as u32 {
            self.report_crash(guest);
        } else {
            report!("{id} {} is {}", guest.name, state_name(info.state));
        }
    }
}

impl Guest {
    /// Answers the request in a slot. One that makes no sense is answered like one that no device claims: the vCPU must
    /// run on.
    fn serve(&mut self, root: &Root, slot: usize) {
        const DATA: usize = core::mem::offset_of!(IoSlot, data);
        let at = slot * size_of::<IoSlot>();
        // Acquire: partner of the hypervisor's release when it filled the slot.
        if u32::from(self.page.load16(at)) != STATE_PENDING {
            return;
        }
        let mut bytes = [0; size_of::<IoSlot>()];
        self.page.read(at, &mut bytes);
        let Ok(contents) = IoSlot::read_from_bytes(&bytes) else {
            return;
        };
        let value = match Request::from_slot(&contents) {
            Some(request) => self.devices.access(request),
            None => u64::MAX,
        };
        if contents.direction == DIRECTION_READ {
            self.page.write(at + DATA, &value.to_le_bytes());
        }
        if let Err(refusal) = root.hypervisor().io_complete(self.id, slot) {
            report!("{} {}: {refusal}", self.id, self.name);
        }
    }
}
