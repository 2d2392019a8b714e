//! [`Device`]: what can be in a slot.

use vmm_pci::{BadState, Function, Outbox, StateReader, StateWriter, Width};
use vmm_ram::GuestRam;
use vmm_virtio::{Console, DeviceFault, Entropy, QueueIndex, VirtioPci};

/// What can be in a slot.
#[derive(Debug)]
pub(crate) enum Device {
    HostBridge(Function),
    Console(VirtioPci<Console>),
    Entropy(VirtioPci<Entropy>),
}

/// The same for every virtio device, and something else for the bridge.
macro_rules! each {
    ($device:expr, $virtio:ident => $do:expr, $bridge:pat => $else:expr) => {
        match $device {
            Device::HostBridge($bridge) => $else,
            Device::Console($virtio) => $do,
            Device::Entropy($virtio) => $do,
        }
    };
}

impl Device {
    pub fn function(&self) -> &Function {
        each!(self, virtio => virtio.function(), bridge => bridge)
    }

    pub fn function_mut(&mut self) -> &mut Function {
        each!(self, virtio => virtio.function_mut(), bridge => bridge)
    }

    /// What it is, in a state.
    pub fn kind(&self) -> u8 {
        match self {
            Device::HostBridge(_) => 0,
            Device::Console(_) => 1,
            Device::Entropy(_) => 2,
        }
    }

    pub fn save(&self, to: &mut StateWriter) {
        each!(self, virtio => virtio.save(to), bridge => bridge.save(to));
    }

    pub fn restore<R: GuestRam>(
        &mut self,
        from: &mut StateReader<'_>,
        ram: &R,
        out: &mut Outbox,
    ) -> Result<(), BadState> {
        each!(self, virtio => virtio.restore(from, ram, out), bridge => bridge.restore(from))
    }

    pub fn power_on(&mut self) {
        each!(self, virtio => virtio.power_on(), bridge => bridge.reset());
    }

    pub fn read_config<R: GuestRam>(
        &mut self,
        offset: u16,
        width: Width,
        ram: &R,
        out: &mut Outbox,
    ) -> u64 {
        each!(
            self,
            virtio => virtio.read_config(offset, width, ram, out),
            bridge => bridge.read(offset, width)
        )
    }

    pub fn write_config<R: GuestRam>(
        &mut self,
        offset: u16,
        width: Width,
        value: u64,
        ram: &R,
        out: &mut Outbox,
    ) {
        each!(
            self,
            virtio => virtio.write_config(offset, width, value, ram, out),
            bridge => bridge.write(offset, width, value)
        );
    }

    /// All registers are in BAR 0, the only one.
    pub fn read_bar<R: GuestRam>(&mut self, offset: u64, width: Width, ram: &R) -> u64 {
        each!(self, virtio => virtio.read_bar(offset, width, ram), _ => width.ones())
    }

    pub fn write_bar<R: GuestRam>(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        ram: &R,
        out: &mut Outbox,
    ) {
        each!(self, virtio => virtio.write_bar(offset, width, value, ram, out), _ => {});
    }

    pub fn notify<R: GuestRam>(&mut self, queue: QueueIndex, ram: &R, out: &mut Outbox) {
        each!(self, virtio => virtio.notify(queue, ram, out), _ => {});
    }

    pub fn has_work(&self) -> bool {
        each!(self, virtio => virtio.has_work(), _ => false)
    }

    pub fn work<R: GuestRam>(&mut self, ram: &R, out: &mut Outbox) {
        each!(self, virtio => virtio.work(ram, out), _ => {});
    }

    pub fn queue_count(&self) -> u16 {
        each!(self, virtio => virtio.queue_count(), _ => 0)
    }

    pub fn doorbell(&self, queue: QueueIndex) -> Option<u64> {
        each!(self, virtio => virtio.doorbell(queue), _ => None)
    }

    /// The device status; of a bridge, none.
    #[cfg(feature = "fuzz")]
    pub fn status(&self) -> u8 {
        each!(self, virtio => virtio.status(), _ => 0)
    }

    pub fn fault(&self) -> Option<DeviceFault> {
        each!(self, virtio => virtio.fault(), _ => None)
    }
}
