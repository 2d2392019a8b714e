//! Finding the machine's devices and starting their drivers.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mgmt_e1000::{Card, Model, Notice};
use mgmt_executor::Signal;
use mgmt_hypercall::Message;
use mgmt_pci::{Address, Function, Msi, MsixTable, MsixTarget, Window, scan};
use mgmt_platform::Registers;
use mgmt_virtio::{Block, Console, DeviceKind, Layout, MsixEntry, Net, Transport, VirtioError};

use crate::config_space::HostConfig;
use crate::dma::{Machine, Mmio};
use crate::hypervisor::Hypervisor;
use crate::network_card::NetworkCard;
use crate::paging::PageTables;
use crate::report;
use crate::vectors::Vectors;

/// Name of the serial channel's port.
pub const SERIAL_PORT: &str = "org.bulkhead.cim";

/// A device, and the signal that its interrupts raise.
pub struct Attached<D> {
    /// The driver.
    pub device: D,
    /// Raised by every interrupt of the device.
    pub signal: Signal,
    /// Where it is.
    pub address: Address,
}

/// The devices that have drivers.
#[derive(Default)]
pub struct Devices {
    /// Network cards.
    pub nets: Vec<Attached<NetworkCard>>,
    /// Disks.
    pub blocks: Vec<Attached<Block<Machine>>>,
    /// Consoles, for their serial channel.
    pub consoles: Vec<Attached<Console<Machine>>>,
}

/// What is needed to attach a device.
pub struct Attacher<'a> {
    /// Configuration space.
    pub config: &'a HostConfig,
    /// For the devices' registers.
    pub tables: &'a mut PageTables,
    /// For their interrupts.
    pub vectors: &'a mut Vectors,
    /// For their interrupts, too.
    pub hypervisor: Hypervisor,
}

impl Attacher<'_> {
    /// Starts every device that has a driver; reports the ones that fail.
    pub fn attach_all(mut self) -> Devices {
        let mut devices = Devices::default();
        for address in scan(self.config) {
            let Some(function) = Function::probe(self.config, address) else {
                continue;
            };
            let identity = function.identity();
            let (vendor, device) = (identity.vendor, identity.device);
            let result = if let Some(model) = Model::from_ids(vendor, device) {
                self.e1000(&function, model)
                    .map(|card| devices.nets.push(card))
            } else {
                match DeviceKind::from_ids(vendor, device) {
                    None => continue,
                    Some(DeviceKind::Net) => self.net(&function).map(|net| devices.nets.push(net)),
                    Some(DeviceKind::Block) => self
                        .block(&function)
                        .map(|block| devices.blocks.push(block)),
                    Some(DeviceKind::Console) => self
                        .console(&function)
                        .map(|console| devices.consoles.push(console)),
                }
            };
            if let Err(reason) = result {
                report!("{address}: not used: {reason}");
            }
        }
        devices
    }

    fn net(&mut self, function: &Host<'_>) -> Result<Attached<NetworkCard>, String> {
        let (transport, [receive, transmit], signal) = self.prepare(function)?;
        let device = Net::start(transport, &Machine, [receive, transmit]);
        attached(device.map(NetworkCard::from), signal, function)
    }

    fn e1000(
        &mut self,
        function: &Host<'_>,
        model: Model,
    ) -> Result<Attached<NetworkCard>, String> {
        let bar = function.bar(0).map_err(|error| error.to_string())?;
        function.enable();
        let registers = self.map(bar.window)?;
        let signal = Signal::new();
        // Which input of the I/O APIC a pin leads to only AML could tell: without messages the card is looked at instead.
        let (notice, how) = match Msi::find(function) {
            Some(msi) => {
                self.message(function, msi, &signal)?;
                (Notice::Interrupts, "interrupts by message")
            }
            None => (Notice::None, "looked at from time to time"),
        };
        let card = Card::start(registers, model, &Machine, notice);
        let card = card.map_err(|error| error.to_string())?;
        report!("network card {}: {model}, {how}", function.address());
        Ok(Attached {
            device: card.into(),
            signal,
            address: function.address(),
        })
    }

    /// Has the function raise the signal by its MSI message.
    fn message(&mut self, function: &Host<'_>, msi: Msi, signal: &Signal) -> Result<(), String> {
        let message = self.bind(function, signal)?;
        let data = u16::try_from(message.data).map_err(|_| "its message is too wide for MSI")?;
        msi.enable(function, message.address, data);
        Ok(())
    }

    /// A message of the function that raises the signal.
    fn bind(&mut self, function: &Host<'_>, signal: &Signal) -> Result<Message, String> {
        let vector = self.vectors.allocate(signal);
        let vector = vector.ok_or("no interrupt vector is left")?;
        let requester = function.address().requester();
        self.hypervisor
            .interrupt_bind(0, vector, requester)
            .map_err(|refusal| refusal.to_string())
    }

    fn block(&mut self, function: &Host<'_>) -> Result<Attached<Block<Machine>>, String> {
        let (transport, [entry], signal) = self.prepare(function)?;
        attached(Block::start(transport, &Machine, entry), signal, function)
    }

    fn console(&mut self, function: &Host<'_>) -> Result<Attached<Console<Machine>>, String> {
        let (transport, [entry], signal) = self.prepare(function)?;
        let device = Console::start(transport, &Machine, entry, SERIAL_PORT);
        attached(device, signal, function)
    }

    /// Maps the device's structures and sets up N MSI-X entries that raise one signal.
    fn prepare<const N: usize>(
        &mut self,
        function: &Host<'_>,
    ) -> Result<(Transport<Mmio>, [MsixEntry; N], Signal), String> {
        let layout = Layout::find(self.config, function).map_err(|error| error.to_string())?;
        let table = MsixTable::find(function).ok_or("the device has no MSI-X table")?;
        if usize::from(table.entries) < N {
            return Err("the device has too few MSI-X entries".to_string());
        }
        function.enable();
        let common = self.map(layout.common)?;
        let notify = self.map(layout.notify)?;
        let config = self.map(layout.device.unwrap_or(layout.common))?;
        let registers = self.map(table.window)?;
        let signal = Signal::new();
        let mut entries = [MsixEntry(0); N];
        for (index, entry) in entries.iter_mut().enumerate() {
            let message = self.bind(function, &signal)?;
            let target = MsixTarget {
                address: message.address.into(),
                data: message.data,
            };
            for (word, value) in target.words().into_iter().enumerate() {
                registers.write32(index * 16 + word * 4, value);
            }
            *entry = MsixEntry(index as u16);
        }
        table.enable(function);
        let transport = Transport::new(common, notify, layout.notify_multiplier, config);
        Ok((transport, entries, signal))
    }

    fn map(&mut self, window: Window) -> Result<Mmio, String> {
        Mmio::map(self.tables, window).ok_or_else(|| "its registers cannot be mapped".to_string())
    }
}

type Host<'a> = Function<'a, HostConfig>;

fn attached<D>(
    device: Result<D, VirtioError>,
    signal: Signal,
    function: &Host<'_>,
) -> Result<Attached<D>, String> {
    Ok(Attached {
        device: device.map_err(|error| error.to_string())?,
        signal,
        address: function.address(),
    })
}
