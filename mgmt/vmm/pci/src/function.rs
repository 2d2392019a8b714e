//! [`Function`]: a type 0 configuration space with its BARs, its capabilities and its interrupts.

use crate::msix::Msix;
use crate::register::{
    BAR0, CLASS, CONFIG_BYTES, DEVICE, FIRST_CAPABILITY, INTERRUPT_PIN, REVISION, SUBSYSTEM,
    SUBSYSTEM_VENDOR, VENDOR, status,
};
use crate::{
    BadState, BarError, BarIndex, CAPABILITIES, COMMAND, CapabilityId, CapabilityOffset,
    ConfigFull, Gsi, INTERRUPT_LINE, MAX_VECTORS, MsixPlace, Outbox, Pin, STATUS, Slot,
    StateReader, StateWriter, Width, command,
};

/// What a function is (6.2.1, 6.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Base class, subclass and programming interface, 24 bits.
    pub class: u32,
    /// Revision.
    pub revision: u8,
    /// Subsystem vendor id.
    pub subsystem_vendor: u16,
    /// Subsystem id.
    pub subsystem: u16,
}

/// MSI-X control (6.8.2.3).
const MSIX_ENABLE: u16 = 1 << 15;
const MSIX_MASK: u16 = 1 << 14;

/// A function as its guest sees it.
///
/// Composed once ([`Function::add_bar`] and others), then read and written by the guest. Beyond its 256 bytes it has no
/// extended capabilities: zeros.
#[derive(Clone, Debug)]
pub struct Function {
    registers: [u8; CONFIG_BYTES],
    /// What they are after a reset.
    composed: [u8; CONFIG_BYTES],
    /// The bits that the guest can change.
    writable: [u8; CONFIG_BYTES],
    /// Sizes in bytes; 0: there is none.
    bars: [u32; BarIndex::COUNT as usize],
    capabilities_end: usize,
    last_link: usize,
    msix: Option<(usize, Msix)>,
    pin: Option<Pin>,
}

impl Function {
    /// A function without BARs, capabilities and interrupts.
    pub fn new(identity: Identity) -> Self {
        let mut function = Self {
            registers: [0; CONFIG_BYTES],
            composed: [0; CONFIG_BYTES],
            writable: [0; CONFIG_BYTES],
            bars: [0; BarIndex::COUNT as usize],
            capabilities_end: FIRST_CAPABILITY,
            last_link: usize::from(CAPABILITIES),
            msix: None,
            pin: None,
        };
        function.compose(VENDOR, &identity.vendor.to_le_bytes());
        function.compose(DEVICE, &identity.device.to_le_bytes());
        function.compose(REVISION, &[identity.revision]);
        let [low, middle, high, _] = identity.class.to_le_bytes();
        function.compose(CLASS, &[low, middle, high]);
        function.compose(SUBSYSTEM_VENDOR, &identity.subsystem_vendor.to_le_bytes());
        function.compose(SUBSYSTEM, &identity.subsystem.to_le_bytes());
        let command = command::MEMORY
            | command::BUS_MASTER
            | command::PARITY
            | command::SERR
            | command::INTX_DISABLE;
        function.allow(usize::from(COMMAND), &command.to_le_bytes());
        function.allow(usize::from(INTERRUPT_LINE), &[0xff]);
        function
    }

    /// Gives it a BAR in 32-bit memory, not prefetchable.
    ///
    /// # Errors
    /// [`BarError`] where the size is no power of two, or below a page.
    pub fn add_bar(&mut self, bar: BarIndex, bytes: u32) -> Result<(), BarError> {
        if !bytes.is_power_of_two() || bytes < 4096 {
            return Err(BarError { bar, bytes });
        }
        if let Some(size) = self.bars.get_mut(usize::from(bar.number())) {
            *size = bytes;
        }
        // Writing ones and reading the size back is what such a mask does.
        self.allow(bar_register(bar), &(!(bytes - 1)).to_le_bytes());
        Ok(())
    }

    /// Adds a capability behind the others: its id and link, then `body`, of which the guest can change the bits `writable`.
    ///
    /// # Errors
    /// [`ConfigFull`].
    pub fn add_capability(
        &mut self,
        id: CapabilityId,
        body: &[u8],
        writable: &[u8],
    ) -> Result<CapabilityOffset, ConfigFull> {
        let at = self.capabilities_end;
        let end = at.saturating_add(2).saturating_add(body.len());
        if end > CONFIG_BYTES {
            return Err(ConfigFull);
        }
        self.compose(at, &[id.0, 0]);
        self.compose(at + 2, body);
        self.allow(at + 2, writable.get(..body.len()).unwrap_or(writable));
        self.compose(self.last_link, &[at as u8]);
        self.last_link = at + 1;
        self.capabilities_end = end.next_multiple_of(4);
        self.compose(usize::from(STATUS), &[status::CAPABILITIES]);
        Ok(CapabilityOffset(at as u16))
    }

    /// Gives it MSI-X with 1 to [`MAX_VECTORS`] vectors.
    ///
    /// # Errors
    /// [`ConfigFull`].
    pub fn add_msix(&mut self, vectors: u16, place: MsixPlace) -> Result<(), ConfigFull> {
        let vectors = vectors.clamp(1, MAX_VECTORS);
        let place_of = |offset: u32| (offset & !7 | u32::from(place.bar.number())).to_le_bytes();
        let [size, more] = (vectors - 1).to_le_bytes();
        let [t0, t1, t2, t3] = place_of(place.table);
        let [p0, p1, p2, p3] = place_of(place.pending);
        let [_, control] = (MSIX_ENABLE | MSIX_MASK).to_le_bytes();
        let CapabilityOffset(at) = self.add_capability(
            CapabilityId::MSIX,
            &[size, more, t0, t1, t2, t3, p0, p1, p2, p3],
            &[0, control],
        )?;
        self.msix = Some((usize::from(at) + 2, Msix::new(vectors)));
        Ok(())
    }

    /// Gives it an interrupt pin, wired as its slot is.
    pub fn add_pin(&mut self, slot: Slot, pin: Pin) {
        self.pin = Some(pin);
        self.compose(INTERRUPT_PIN, &[pin as u8]);
        self.compose(usize::from(INTERRUPT_LINE), &[Gsi::of_pin(slot, pin).0]);
    }

    /// Puts a BAR at `base` and lets it answer, as firmware would.
    ///
    /// # Errors
    /// [`BarError`] where there is no such BAR, or the base is no multiple of its size.
    pub fn assign(&mut self, bar: BarIndex, base: u32) -> Result<(), BarError> {
        let bytes = self.bar_bytes(bar);
        if bytes == 0 || !base.is_multiple_of(bytes) {
            return Err(BarError { bar, bytes });
        }
        self.put(bar_register(bar), &base.to_le_bytes());
        self.change(usize::from(COMMAND), |low| low | command::MEMORY as u8);
        Ok(())
    }

    /// Takes it back to what it was when composed: no BAR is placed, nothing enabled, nothing pending.
    pub fn reset(&mut self) {
        self.registers = self.composed;
        if let Some((_, msix)) = &mut self.msix {
            msix.reset();
        }
    }

    /// Adds what the guest has made of it.
    pub fn save(&self, to: &mut StateWriter) {
        to.put(&self.registers);
        if let Some((_, msix)) = &self.msix {
            msix.save(to);
        }
    }

    /// Is again as it was saved. Whether it asserts its pin is the device's to say.
    ///
    /// # Errors
    /// [`BadState`]: it was another function, or no state at all; this one is of no use then.
    pub fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), BadState> {
        self.reset();
        let saved: [u8; CONFIG_BYTES] = from.take()?;
        let fixed = self.composed.iter().zip(&self.writable).zip(&saved);
        for (offset, ((composed, writable), saved)) in fixed.enumerate() {
            let own = match offset == usize::from(STATUS) {
                true => status::INTERRUPT,
                false => 0,
            };
            if (composed ^ saved) & !writable & !own != 0 {
                return Err(BadState::Devices);
            }
        }
        self.registers = saved;
        self.release();
        match &mut self.msix {
            Some((_, msix)) => msix.restore(from),
            None => Ok(()),
        }
    }

    /// Passes a vector that it has, and the number that stands for none.
    ///
    /// # Errors
    /// [`BadState::Value`].
    pub fn check_vector(&self, vector: u16) -> Result<u16, BadState> {
        match vector == u16::MAX || vector < self.vectors() {
            true => Ok(vector),
            false => Err(BadState::Value),
        }
    }

    /// A BAR's bytes; 0: there is none.
    pub fn bar_bytes(&self, bar: BarIndex) -> u32 {
        let size = self.bars.get(usize::from(bar.number()));
        size.copied().unwrap_or(0)
    }

    /// The BARs that answer: each with its base and bytes.
    pub fn mapped_bars(&self) -> impl Iterator<Item = (BarIndex, u64, u64)> + '_ {
        let on = self.command() & command::MEMORY != 0;
        BarIndex::all().filter_map(move |bar| {
            let bytes = self.bar_bytes(bar);
            let base = Width::Dword.load(&self.registers, bar_register(bar));
            (on && bytes != 0).then_some((bar, base, u64::from(bytes)))
        })
    }

    /// The command register.
    pub fn command(&self) -> u16 {
        Width::Word.load(&self.registers, usize::from(COMMAND)) as u16
    }

    /// Whether it may reach memory and send messages.
    pub fn is_bus_master(&self) -> bool {
        self.command() & command::BUS_MASTER != 0
    }

    /// Reads configuration space.
    pub fn read(&self, offset: u16, width: Width) -> u64 {
        width.load(&self.registers, usize::from(offset))
    }

    /// Writes configuration space. Messages that this sets free wait for [`Function::flush`].
    pub fn write(&mut self, offset: u16, width: Width, value: u64) {
        let bytes = value.to_le_bytes();
        let places = self.registers.iter_mut().zip(&self.writable);
        for ((register, writable), byte) in places
            .skip(usize::from(offset))
            .zip(bytes.iter().take(width as usize))
        {
            *register = *register & !writable | byte & writable;
        }
    }

    /// Puts `bytes` into a capability, whatever the guest can change: the device's own answer.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        for (register, byte) in self.registers.iter_mut().skip(offset).zip(bytes) {
            *register = *byte;
        }
    }

    /// How many vectors it has.
    pub fn vectors(&self) -> u16 {
        self.msix.as_ref().map_or(0, |(_, msix)| msix.vectors())
    }

    /// Whether interrupts are messages.
    pub fn has_messages(&self) -> bool {
        self.msix_control() & MSIX_ENABLE != 0
    }

    /// Signals a vector: at once, or as soon as nothing masks it. Without MSI-X enabled nothing happens.
    pub fn raise(&mut self, vector: u16, out: &mut Outbox) {
        if !self.has_messages() {
            return;
        }
        if let Some((_, msix)) = &mut self.msix {
            msix.set_pending(vector);
        }
        self.flush(out);
    }

    /// Sends what is pending and not masked: after every write to the configuration space or the table.
    pub fn flush(&mut self, out: &mut Outbox) {
        let open = self.msix_control() & (MSIX_ENABLE | MSIX_MASK) == MSIX_ENABLE;
        if !open || !self.is_bus_master() {
            return;
        }
        if let Some((_, msix)) = &mut self.msix {
            while let Some(message) = msix.take_unmasked() {
                out.send(message);
            }
        }
    }

    /// Reads its MSI-X table.
    pub fn read_table(&self, offset: u64, width: Width) -> u64 {
        let msix = self.msix.as_ref();
        msix.map_or(0, |(_, msix)| msix.read_table(offset, width))
    }

    /// Writes its MSI-X table, and sends what that unmasks.
    pub fn write_table(&mut self, offset: u64, width: Width, value: u64, out: &mut Outbox) {
        if let Some((_, msix)) = &mut self.msix {
            msix.write_table(offset, width, value);
            self.flush(out);
        }
    }

    /// Reads its pending bits. They cannot be written.
    pub fn read_pending(&self, offset: u64, width: Width) -> u64 {
        let msix = self.msix.as_ref();
        msix.map_or(0, |(_, msix)| msix.read_pending(offset, width))
    }

    /// Has an interrupt to signal by its pin, until [`Function::release`].
    pub fn assert(&mut self) {
        self.change(usize::from(STATUS), |status| status | status::INTERRUPT);
    }

    /// Has none any more.
    pub fn release(&mut self) {
        self.change(usize::from(STATUS), |status| status & !status::INTERRUPT);
    }

    /// The pin that it asserts. Neither the command register nor MSI-X may forbid it (6.2.2, 6.8.3.3).
    pub fn asserted_pin(&self) -> Option<Pin> {
        let waiting = Width::Byte.load(&self.registers, usize::from(STATUS)) as u8;
        let asserted = waiting & status::INTERRUPT != 0
            && self.command() & command::INTX_DISABLE == 0
            && !self.has_messages();
        self.pin.filter(|_| asserted)
    }

    fn msix_control(&self) -> u16 {
        let at = self.msix.as_ref().map(|(at, _)| *at);
        at.map_or(0, |at| Width::Word.load(&self.registers, at) as u16)
    }

    fn compose(&mut self, offset: usize, bytes: &[u8]) {
        for (register, byte) in self.composed.iter_mut().skip(offset).zip(bytes) {
            *register = *byte;
        }
        self.put(offset, bytes);
    }

    fn allow(&mut self, offset: usize, bits: &[u8]) {
        for (writable, bits) in self.writable.iter_mut().skip(offset).zip(bits) {
            *writable = *bits;
        }
    }

    fn change(&mut self, offset: usize, to: impl FnOnce(u8) -> u8) {
        if let Some(register) = self.registers.get_mut(offset) {
            *register = to(*register);
        }
    }
}

fn bar_register(bar: BarIndex) -> usize {
    BAR0 + 4 * usize::from(bar.number())
}

#[cfg(test)]
mod tests;
