//! [`PciBus`]: the devices of a board in their slots, and the way of accesses to them.

use alloc::vec::Vec;

use vmm_pci::{
    AddressPort, BadState, BarHit, BarIndex, BarMap, ConfigAddress, Function, IntxLevels, Outbox,
    SLOTS, Slot, StateReader, StateWriter, Width, ecam_target,
};
use vmm_ram::GuestRam;
use vmm_virtio::{QueueIndex, SetupError};

use crate::device::Device;
use crate::{Operation, map};

/// Bus 0.
#[derive(Debug)]
pub(crate) struct PciBus {
    devices: Vec<(Slot, Device)>,
    /// Index in `devices` of each slot.
    by_slot: [Option<u8>; SLOTS],
    address: AddressPort,
    bars: BarMap,
}

impl PciBus {
    /// The bus with these devices, powered on.
    ///
    /// # Errors
    /// [`SetupError`]: the BARs do not fit in the window.
    pub fn new(devices: Vec<(Slot, Device)>) -> Result<Self, SetupError> {
        let mut by_slot = [None; SLOTS];
        for ((slot, _), index) in devices.iter().zip(0..) {
            if let Some(entry) = by_slot.get_mut(usize::from(slot.number())) {
                *entry = Some(index);
            }
        }
        let mut bus = Self {
            devices,
            by_slot,
            address: AddressPort::default(),
            bars: BarMap::new(map::PCI_WINDOW),
        };
        bus.power_on()?;
        Ok(bus)
    }

    /// All devices as after power on, with their BARs placed: nothing before the operating system does it.
    pub fn power_on(&mut self) -> Result<(), SetupError> {
        self.address = AddressPort::default();
        let mut free = map::PCI_WINDOW.start as u32;
        for (_, device) in &mut self.devices {
            device.power_on();
            let function = device.function_mut();
            for bar in BarIndex::all() {
                let bytes = function.bar_bytes(bar);
                if bytes != 0 {
                    let base = free.next_multiple_of(bytes);
                    function.assign(bar, base)?;
                    free = base.saturating_add(bytes);
                }
            }
        }
        self.map_bars();
        Ok(())
    }

    /// Adds the state of all devices, each with its slot.
    pub fn save(&self, to: &mut StateWriter) {
        to.put32(self.address.read());
        to.put8(self.devices.len() as u8);
        for (slot, device) in &self.devices {
            to.put8(slot.number());
            to.put8(device.kind());
            device.save(to);
        }
    }

    /// The bus as it was saved, with the same devices.
    ///
    /// # Errors
    /// [`BadState`]; the bus is of no use then.
    pub fn restore<R: GuestRam>(
        &mut self,
        from: &mut StateReader<'_>,
        ram: &R,
        out: &mut Outbox,
    ) -> Result<(), BadState> {
        self.address.write(from.take32()?);
        if usize::from(from.take8()?) != self.devices.len() {
            return Err(BadState::Devices);
        }
        for (slot, device) in &mut self.devices {
            if from.take8()? != slot.number() || from.take8()? != device.kind() {
                return Err(BadState::Devices);
            }
            device.restore(from, ram, out)?;
        }
        self.map_bars();
        Ok(())
    }

    pub fn devices(&self) -> impl Iterator<Item = (Slot, &Device)> {
        self.devices.iter().map(|(slot, device)| (*slot, device))
    }

    pub fn device(&self, slot: Slot) -> Option<&Device> {
        let index = self.by_slot.get(usize::from(slot.number()))?.as_ref()?;
        Some(&self.devices.get(usize::from(*index))?.1)
    }

    pub fn device_mut(&mut self, slot: Slot) -> Option<&mut Device> {
        let index = self.by_slot.get(usize::from(slot.number()))?.as_ref()?;
        Some(&mut self.devices.get_mut(usize::from(*index))?.1)
    }

    pub fn all_devices_mut(&mut self) -> impl Iterator<Item = &mut Device> {
        self.devices.iter_mut().map(|(_, device)| device)
    }

    /// The levels of the inputs that pins share.
    pub fn levels(&self) -> IntxLevels {
        IntxLevels::of(functions(&self.devices))
    }

    /// Where a write of the guest notifies a queue now: nowhere while it is not served, or its registers do not answer.
    pub fn doorbell_address(&self, slot: Slot, bar: BarIndex, queue: QueueIndex) -> Option<u64> {
        let device = self.device(slot)?;
        let offset = device.doorbell(queue)?;
        let (_, base, _) = device
            .function()
            .mapped_bars()
            .find(|(mapped, ..)| *mapped == bar)?;
        let address = base.checked_add(offset)?;
        let answers = BarHit { slot, bar, offset };
        (self.bars.find(address, Width::Dword) == Some(answers)).then_some(address)
    }

    /// Ports 0xcf8 to 0xcff.
    pub fn port<R: GuestRam>(
        &mut self,
        port: u16,
        width: Width,
        operation: Operation,
        ram: &R,
        out: &mut Outbox,
    ) -> u64 {
        match (port, width, operation) {
            (map::CONFIG_ADDRESS, Width::Dword, Operation::Read) => u64::from(self.address.read()),
            (map::CONFIG_ADDRESS, Width::Dword, Operation::Write(value)) => {
                self.address.write(value as u32);
                0
            }
            (map::CONFIG_DATA.., ..) => {
                let target = self.address.target(port, width);
                self.config(target, width, operation, ram, out)
            }
            (_, _, Operation::Read) => width.ones(),
            (_, _, Operation::Write(_)) => 0,
        }
    }

    /// Memory: ECAM and BARs.
    #[inline]
    pub fn memory<R: GuestRam>(
        &mut self,
        address: u64,
        width: Width,
        operation: Operation,
        ram: &R,
        out: &mut Outbox,
    ) -> u64 {
        if let Some(hit) = self.bars.find(address, width)
            && let Some(device) = self.device_mut(hit.slot)
        {
            return match operation {
                Operation::Read => width.of(device.read_bar(hit.offset, width, ram)),
                Operation::Write(value) => {
                    device.write_bar(hit.offset, width, value, ram, out);
                    0
                }
            };
        }
        let target = address
            .checked_sub(map::ECAM.start)
            .and_then(|offset| ecam_target(offset, width));
        self.config(target, width, operation, ram, out)
    }

    fn config<R: GuestRam>(
        &mut self,
        target: Option<ConfigAddress>,
        width: Width,
        operation: Operation,
        ram: &R,
        out: &mut Outbox,
    ) -> u64 {
        let found = target.and_then(|at| Some((at, self.device_mut(at.slot)?)));
        match (found, operation) {
            (Some((at, device)), Operation::Read) => device.read_config(at.offset, width, ram, out),
            (Some((at, device)), Operation::Write(value)) => {
                device.write_config(at.offset, width, value, ram, out);
                if at.offset < HEADER_BYTES {
                    self.map_bars();
                }
                0
            }
            (None, Operation::Read) => width.ones(),
            (None, Operation::Write(_)) => 0,
        }
    }

    fn map_bars(&mut self) {
        self.bars.rebuild(functions(&self.devices));
    }
}

/// Command and BARs are in the header.
const HEADER_BYTES: u16 = 0x40;

fn functions(devices: &[(Slot, Device)]) -> impl Iterator<Item = (Slot, &Function)> {
    devices
        .iter()
        .map(|(slot, device)| (*slot, device.function()))
}
