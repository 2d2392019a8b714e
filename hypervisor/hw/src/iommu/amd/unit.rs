//! One unit: its command buffer, its event log, its enabling.

use bulkhead_core::addr::Hpa;
use bulkhead_core::fault::ResourceError;
use bulkhead_core::id::Bdf;
use bulkhead_core::paging::{TableFrames, TableMemory};

use super::command::Command;
use super::event::Event;
use super::registers::{
    CONTROL_COMMANDS, CONTROL_ENABLE, CONTROL_EVENT_LOG, CONTROL_FROM_FLAGS,
    FEATURE_INVALIDATE_ALL, Register, Registers, STATUS_EVENT_OVERFLOW,
};
use super::{DomainId, IommuError};
use crate::iommu::ivrs::UnitInfo;

/// Bytes of a command, and of an event.
const ENTRY_BYTES: u64 = 16;
/// Bytes of each ring: one frame, 256 entries.
const RING_BYTES: u64 = 4096;
/// The length field of the base registers for 256 entries: 2^8.
const RING_LENGTH: u64 = 8 << 56;
/// Head and tail registers hold more than the offset.
const RING_OFFSET: u64 = 0x7_fff0;
/// How often a ring or a completion is looked at before the unit is given up: seconds on any
/// machine, as each look is a memory or register access.
const PATIENCE: u32 = if cfg!(test) { 10_000 } else { 20_000_000 };

/// A unit.
#[derive(Debug)]
pub(super) struct Unit<R> {
    registers: R,
    bdf: Bdf,
    commands: Hpa,
    /// Offset of the next command.
    tail: u64,
    events: Hpa,
    /// Offset of the next event to read.
    head: u64,
    /// Where completions are stored.
    completion: Hpa,
    /// The number of the last completion asked for.
    sequence: u64,
    control: u64,
    features: u64,
}

impl<R: Registers> Unit<R> {
    /// A unit with fresh rings; its registers are not touched yet.
    pub(super) fn new(
        registers: R,
        info: &UnitInfo,
        frames: &mut impl TableFrames,
    ) -> Result<Self, ResourceError> {
        let commands = frames.allocate()?;
        let rest = frames
            .allocate()
            .and_then(|events| match frames.allocate() {
                Ok(completion) => Ok((events, completion)),
                Err(error) => {
                    frames.free(events);
                    Err(error)
                }
            });
        let (events, completion) = match rest {
            Ok(rest) => rest,
            Err(error) => {
                frames.free(commands);
                return Err(error);
            }
        };
        let flags = CONTROL_FROM_FLAGS
            .iter()
            .filter(|(flag, _)| info.flags >> flag & 1 != 0)
            .fold(0, |bits, (_, control)| bits | 1 << control);
        let features = registers.read(Register::Features);
        Ok(Unit {
            registers,
            bdf: info.bdf,
            commands,
            tail: 0,
            events,
            head: 0,
            completion,
            sequence: 0,
            control: flags | CONTROL_COMMANDS | CONTROL_EVENT_LOG | CONTROL_ENABLE,
            features,
        })
    }

    /// Gives the frames back; the unit must not be enabled.
    pub(super) fn dismantle(self, frames: &mut impl TableFrames) {
        for frame in [self.commands, self.events, self.completion] {
            frames.free(frame);
        }
    }

    pub(super) fn bdf(&self) -> Bdf {
        self.bdf
    }

    /// Points the unit to its structures and enables it. `device_table` is the base register's
    /// value; every entry must be written.
    pub(super) fn enable(&mut self, device_table: u64) {
        // Firmware may have left the unit running: bases change only while it is off.
        self.registers.write(Register::Control, 0);
        self.registers.write(Register::DeviceTable, device_table);
        self.registers.write(
            Register::CommandBuffer,
            self.commands.as_u64() | RING_LENGTH,
        );
        self.registers
            .write(Register::EventLog, self.events.as_u64() | RING_LENGTH);
        self.registers.write(Register::ExclusionBase, 0);
        for ring in [
            Register::CommandHead,
            Register::CommandTail,
            Register::EventHead,
            Register::EventTail,
        ] {
            self.registers.write(ring, 0);
        }
        self.registers
            .write(Register::Status, STATUS_EVENT_OVERFLOW);
        self.registers.write(Register::Control, self.control);
    }

    /// Turns translation off, for the hand-over of the machine.
    pub(super) fn disable(&mut self) {
        self.registers.write(Register::Control, 0);
    }

    /// Puts a command into the buffer; waits while it is full.
    pub(super) fn submit(
        &mut self,
        memory: &mut impl TableMemory,
        command: Command,
    ) -> Result<(), IommuError> {
        let next = (self.tail + ENTRY_BYTES) % RING_BYTES;
        let has_room = |registers: &R| registers.read(Register::CommandHead) & RING_OFFSET != next;
        self.await_that(|registers, _| has_room(registers), memory)?;
        let at = self.commands.wrapping_add(self.tail);
        let [first, second] = command.encode();
        memory.store(at, first);
        memory.store(at.wrapping_add(8), second);
        self.tail = next;
        self.registers.write(Register::CommandTail, next);
        Ok(())
    }

    /// Waits until every command so far is done.
    pub(super) fn wait(&mut self, memory: &mut impl TableMemory) -> Result<(), IommuError> {
        self.sequence += 1;
        let (at, value) = (self.completion, self.sequence);
        self.submit(memory, Command::Complete { at, value })?;
        self.await_that(|_, memory| memory.load(at) == value, memory)
    }

    /// Whether one command empties all caches.
    pub(super) fn forgets_at_once(&self) -> bool {
        self.features & FEATURE_INVALIDATE_ALL != 0
    }

    /// Empties all caches of the unit.
    pub(super) fn forget_all(&mut self, memory: &mut impl TableMemory) -> Result<(), IommuError> {
        if self.forgets_at_once() {
            self.submit(memory, Command::InvalidateAll)?;
        } else {
            for device in 0..=u16::MAX {
                self.submit(memory, Command::InvalidateDevice(Bdf(device)))?;
                self.submit(memory, Command::InvalidateInterrupts(Bdf(device)))?;
            }
            for domain in 0..=u16::MAX {
                self.submit(memory, Command::InvalidateDomain(DomainId(domain)))?;
            }
        }
        self.wait(memory)
    }

    /// Hands out the logged events.
    pub(super) fn drain_events(
        &mut self,
        memory: &mut impl TableMemory,
        mut sink: impl FnMut(Event),
    ) {
        let tail = self.registers.read(Register::EventTail) & RING_OFFSET;
        // A tail outside of the ring would never be met.
        while self.head != tail && tail < RING_BYTES {
            let at = self.events.wrapping_add(self.head);
            let second = at.wrapping_add(8);
            let Some(event) = Event::decode([memory.load(at), memory.load(second)]) else {
                // The tail has come before the entry: look again next time.
                break;
            };
            sink(event);
            // So that the next entry here is seen to be new.
            memory.store(at, 0);
            memory.store(second, 0);
            self.head = (self.head + ENTRY_BYTES) % RING_BYTES;
            self.registers.write(Register::EventHead, self.head);
        }
        if self.registers.read(Register::Status) & STATUS_EVENT_OVERFLOW != 0 {
            sink(Event::OVERFLOW);
            // Logging restarts when it is switched off and on with the overflow cleared (2.5.2).
            self.registers
                .write(Register::Control, self.control & !CONTROL_EVENT_LOG);
            self.registers
                .write(Register::Status, STATUS_EVENT_OVERFLOW);
            self.registers.write(Register::Control, self.control);
        }
    }

    /// Looks until something holds, but not for ever.
    fn await_that<M: TableMemory>(
        &self,
        holds: impl Fn(&R, &M) -> bool,
        memory: &M,
    ) -> Result<(), IommuError> {
        for _ in 0..PATIENCE {
            if holds(&self.registers, memory) {
                return Ok(());
            }
            core::hint::spin_loop();
        }
        Err(IommuError::NoCompletion(self.bdf))
    }
}
