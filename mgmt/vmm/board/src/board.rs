//! [`Board`]: one guest's devices.

use alloc::vec::Vec;
use core::fmt;

use bulkhead_abi::io::Space;
use vmm_pci::{IntxLevels, Level, Outbox, Slot, host_bridge};
use vmm_ram::GuestRam;
use vmm_virtio::{
    Console, DeviceFault, Entropy, EntropySource, INPUT, OUTPUT, QueueIndex, SetupError,
    TerminalSize, VirtioPci,
};

use crate::acpi_pm::{AcpiPm, ButtonOutcome, SoftOff};
use crate::device::Device;
use crate::doorbells::Doorbells;
use crate::hot_plug::{HotPlug, Listening, Processors};
use crate::keyboard_controller::{self, ResetPulse};
use crate::pci_bus::PciBus;
use crate::{Access, DoorbellId, Effect, Effects, Operation, map};

const BRIDGE_SLOT: u8 = 0;
const CONSOLE_SLOT: u8 = 1;
const ENTROPY_SLOT: u8 = 2;

/// What a board is made of.
pub struct Parts {
    /// The size of the virtio console's terminal.
    pub terminal: TerminalSize,
    /// Where its random bytes come from.
    pub entropy: EntropySource,
    /// Its processors.
    pub processors: Processors,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = f.debug_struct("Parts");
        parts.field("terminal", &self.terminal);
        parts.field("processors", &self.processors);
        parts.finish_non_exhaustive()
    }
}

/// One guest's devices, over its memory. The crate's documentation shows the use.
#[derive(Debug)]
pub struct Board<R> {
    pub(crate) ram: R,
    pub(crate) bus: PciBus,
    pub(crate) pm: AcpiPm,
    pub(crate) hot_plug: HotPlug,
    pub(crate) outbox: Outbox,
    doorbells: Doorbells,
    told: Told,
    /// What the guest did to the machine as a whole, not told yet.
    power: Option<Effect>,
    effects: Vec<Effect>,
    /// The guest has written to something since [`Board::take_changed`].
    changed: bool,
}

/// What the owner knows, so that only changes are told.
#[derive(Debug)]
struct Told {
    levels: IntxLevels,
    sci: Level,
    faults: Vec<(Slot, Option<DeviceFault>)>,
    /// The owner is about to take output.
    output: bool,
    /// The console has refused input since there was room.
    input_refused: bool,
}

impl<R: GuestRam> Board<R> {
    /// A board that was just switched on.
    ///
    /// # Errors
    /// [`SetupError`]: a mistake of ours in a device.
    pub fn new(ram: R, parts: Parts) -> Result<Self, SetupError> {
        let slot = |number| Slot::new(number).ok_or(SetupError::Slot(number));
        let (bridge, console, entropy) =
            (slot(BRIDGE_SLOT)?, slot(CONSOLE_SLOT)?, slot(ENTROPY_SLOT)?);
        let terminal = VirtioPci::new(console, Console::new(parts.terminal))?;
        let random = VirtioPci::new(entropy, Entropy::new(parts.entropy))?;
        let devices = Vec::from([
            (bridge, Device::HostBridge(host_bridge())),
            (console, Device::Console(terminal)),
            (entropy, Device::Entropy(random)),
        ]);
        let faults = devices.iter().map(|(slot, _)| (*slot, None)).collect();
        let bus = PciBus::new(devices)?;
        Ok(Self {
            ram,
            doorbells: Doorbells::of(&bus),
            bus,
            pm: AcpiPm::default(),
            hot_plug: HotPlug::new(parts.processors),
            outbox: Outbox::default(),
            told: Told {
                levels: IntxLevels::default(),
                sci: Level::Low,
                faults,
                output: false,
                input_refused: false,
            },
            power: None,
            effects: Vec::new(),
            changed: true,
        })
    }

    /// An access of a vCPU. Returns what is read, in as many low bytes as the access is wide; 0 for writes.
    #[inline]
    pub fn access(&mut self, access: Access) -> u64 {
        let Access {
            space,
            address,
            width,
            operation,
        } = access;
        self.changed |= matches!(operation, Operation::Write(_));
        if space == Space::Memory {
            let (ram, out) = (&self.ram, &mut self.outbox);
            return self.bus.memory(address, width, operation, ram, out);
        }
        match (u16::try_from(address), operation) {
            (Ok(port @ map::CONFIG_ADDRESS..map::CONFIG_END), _) => {
                let (ram, out) = (&self.ram, &mut self.outbox);
                self.bus.port(port, width, operation, ram, out)
            }
            (Ok(port @ map::PM1A_EVENT..map::PM1A_END), Operation::Read) => {
                self.pm.read(port, width)
            }
            (Ok(port @ map::PM1A_EVENT..map::PM1A_END), Operation::Write(value)) => {
                if let Some(SoftOff) = self.pm.write(port, width, value) {
                    self.power = Some(Effect::PowerOff);
                }
                0
            }
            (Ok(port @ map::HOT_PLUG..map::HOT_PLUG_END), Operation::Read) => {
                self.hot_plug.read(port, width)
            }
            (Ok(port @ map::HOT_PLUG..map::HOT_PLUG_END), Operation::Write(value)) => {
                self.hot_plug.write(port, width, value);
                0
            }
            (Ok(port @ map::GPE0..map::GPE0_END), Operation::Read) => {
                self.hot_plug.read_event(port, width)
            }
            (Ok(port @ map::GPE0..map::GPE0_END), Operation::Write(value)) => {
                self.hot_plug.write_event(port, width, value);
                0
            }
            (Ok(port @ (map::KEYBOARD_DATA | map::KEYBOARD_COMMAND)), Operation::Read) => {
                keyboard_controller::read(port, width)
            }
            (Ok(port), Operation::Write(value)) => {
                if let Some(ResetPulse) = keyboard_controller::write(port, value) {
                    self.power = Some(Effect::Reset);
                }
                0
            }
            (_, Operation::Read) => width.ones(),
            (Err(_), Operation::Write(_)) => 0,
        }
    }

    /// A doorbell rang. One that is not there any more does nothing: its event may have been under way.
    pub fn notify(&mut self, bell: DoorbellId) {
        if let Some((slot, queue)) = self.doorbells.queue(bell) {
            self.serve(slot, queue);
        }
    }

    /// How many doorbells it may ever have at once.
    pub fn doorbell_count(&self) -> u16 {
        self.doorbells.count()
    }

    /// Does what an access had left, bounded like it: after [`Effect::WorkLeft`].
    pub fn work(&mut self) {
        for device in self.bus.all_devices_mut() {
            device.work(&self.ram, &mut self.outbox);
        }
    }

    /// What has changed for its owner since the last time. To be asked after every other call.
    pub fn take_effects(&mut self) -> Effects<'_> {
        let sci = self.sci();
        let effects = &mut self.effects;
        self.doorbells.update(&self.bus, effects);
        let levels = self.bus.levels();
        for (gsi, level) in levels.changes(self.told.levels) {
            effects.push(Effect::Line { gsi, level });
        }
        self.told.levels = levels;
        if sci != self.told.sci {
            self.told.sci = sci;
            effects.push(Effect::Line {
                gsi: map::SCI,
                level: sci,
            });
        }
        effects.extend(self.outbox.take().map(Effect::Message));
        for (slot, told) in &mut self.told.faults {
            let fault = self.bus.device(*slot).and_then(Device::fault);
            if let Some(fault) = fault.filter(|_| fault != *told) {
                effects.push(Effect::Fault { slot: *slot, fault });
            }
            *told = fault;
        }
        if let Some(console) = console(&self.bus) {
            if console.device().has_output() && !self.told.output {
                self.told.output = true;
                effects.push(Effect::ConsoleOutput);
            }
            if self.told.input_refused && console.device().input_room() != 0 {
                self.told.input_refused = false;
                effects.push(Effect::ConsoleRoom);
            }
        }
        if self.bus.devices().any(|(_, device)| device.has_work()) {
            effects.push(Effect::WorkLeft);
        }
        let outcome = self.hot_plug.take_outcome();
        effects.extend(numbers(outcome.ejected).map(Effect::ProcessorEjected));
        effects.extend(numbers(outcome.kept).map(Effect::ProcessorKept));
        effects.extend(self.power.take());
        Effects::of(effects)
    }

    /// Presses the power button: the wish that the guest shuts itself down.
    pub fn power_button(&mut self) -> ButtonOutcome {
        self.changed = true;
        self.pm.press()
    }

    /// The guest has the first so many processors from now on; it is told of those that come, and none of them is wanted back any
    /// more.
    pub fn offer_processors(&mut self, count: u32) {
        self.changed = true;
        self.hot_plug.offer(count);
    }

    /// Asks the guest to give back all processors but the first so many: [`Effect::ProcessorEjected`] or
    /// [`Effect::ProcessorKept`] says what becomes of each, some time or never.
    pub fn ask_back_processors(&mut self, count: u32) {
        self.changed = true;
        self.hot_plug.ask_back(count);
    }

    /// How many processors the guest has, but for those that are wanted back.
    pub fn processor_count(&self) -> u32 {
        self.hot_plug.count()
    }

    /// Whether the guest's ACPI driver listens to what comes and goes.
    pub fn listening(&self) -> Listening {
        self.hot_plug.listening()
    }

    /// The level of the SCI.
    pub(crate) fn sci(&self) -> Level {
        match self.pm.sci() {
            Level::High => Level::High,
            Level::Low => self.hot_plug.sci(),
        }
    }

    /// Switches it off and on: the guest was stopped, and begins anew. Output of its console that nobody took yet stays.
    ///
    /// # Errors
    /// [`SetupError`], where [`Board::new`] would have had it as well.
    pub fn reset(&mut self) -> Result<(), SetupError> {
        self.pm = AcpiPm::default();
        self.hot_plug.power_on();
        self.power = None;
        self.changed = true;
        if let Some(console) = console_mut(&mut self.bus) {
            console.device_mut().clear_input();
        }
        self.bus.power_on()?;
        self.outbox.take().for_each(drop);
        Ok(())
    }

    /// Types at the guest's virtio console. Returns how many bytes were taken; [`Effect::ConsoleRoom`] tells when the rest is
    /// welcome.
    pub fn console_input(&mut self, bytes: &[u8]) -> usize {
        let Some(console) = console_mut(&mut self.bus) else {
            return 0;
        };
        let mut taken = 0;
        // What was taken may have gone on into the guest's buffers, and left room.
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let now = console.device_mut().add_input(rest);
            if now == 0 {
                break;
            }
            taken += now;
            console.notify(INPUT, &self.ram, &mut self.outbox);
        }
        self.told.input_refused |= taken < bytes.len();
        taken
    }

    /// Takes what the guest has written to its virtio console; returns how many bytes there were. A kernel of Linux waits
    /// without sleeping while its output does not fit: to be called whether somebody looks on or not. What did not fit comes
    /// by [`Board::work`], so that calling this until it returns 0 ends, however fast the guest writes.
    pub fn console_output(&mut self, into: &mut [u8]) -> usize {
        let Some(console) = console_mut(&mut self.bus) else {
            return 0;
        };
        self.told.output = false;
        let bytes = console.device_mut().take_output(into);
        if bytes != 0 && console.device().holds_back() {
            console.notify_later(OUTPUT);
        }
        bytes
    }

    /// Changes the size of the virtio console's terminal.
    pub fn console_resize(&mut self, size: TerminalSize) {
        if let Some(console) = console_mut(&mut self.bus) {
            self.changed = true;
            console.device_mut().resize(size);
            console.config_changed(&mut self.outbox);
        }
    }

    /// Whether [`Board::save`] may have something new since this was asked last. Notifications change nothing that it has.
    pub fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// Has [`Board::take_effects`] tell everything that its owner must know.
    pub(crate) fn forget_what_was_told(&mut self) {
        self.told.levels = self.bus.levels().opposite();
        self.told.sci = match self.sci() {
            Level::High => Level::Low,
            Level::Low => Level::High,
        };
    }

    fn serve(&mut self, slot: Slot, queue: QueueIndex) {
        if let Some(device) = self.bus.device_mut(slot) {
            device.notify(queue, &self.ram, &mut self.outbox);
        }
    }
}

/// The numbers of the bits.
fn numbers(set: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |number| set >> number & 1 != 0)
}

fn console(bus: &PciBus) -> Option<&VirtioPci<Console>> {
    match bus.device(Slot::new(CONSOLE_SLOT)?)? {
        Device::Console(console) => Some(console),
        _ => None,
    }
}

fn console_mut(bus: &mut PciBus) -> Option<&mut VirtioPci<Console>> {
    match bus.device_mut(Slot::new(CONSOLE_SLOT)?)? {
        Device::Console(console) => Some(console),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
