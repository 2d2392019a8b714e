//! Units that work as the manual says, with caches that forget nothing unasked, and devices that do DMA.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use bulkhead_core::addr::Hpa;
use bulkhead_core::fault::ResourceError;
use bulkhead_core::id::Bdf;
use bulkhead_core::paging::{TableFrames, TableMemory};

use super::registers::{Register, Registers};

/// What a DMA access met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dma {
    /// It went to this machine address.
    Reached(u64),
    /// It was refused.
    Refused,
}

#[derive(Default)]
struct FakeUnit {
    registers: HashMap<usize, u64>,
    /// Device table entries by requester.
    entries: HashMap<u16, [u64; 4]>,
    /// Translations by device and page, as the strictest unit tags them: domain, target and the
    /// entry's permission bits.
    translations: HashMap<(u16, u64), (u16, u64, u64)>,
    /// Interrupt table entries by device and index.
    interrupts: HashMap<(u16, u32), u32>,
}

#[derive(Default)]
pub struct Machine {
    memory: HashMap<u64, u64>,
    units: Vec<FakeUnit>,
    pub frames: BTreeSet<u64>,
    next_frame: u64,
    /// Allocations that still succeed; `None`: all.
    pub fuel: Option<u64>,
    /// Units do not answer any more.
    pub silent: bool,
    /// Commands by opcode.
    pub commands: Vec<u8>,
    /// Runs after each store, with the whole machine.
    pub after_store: Option<fn(&mut Machine)>,
}

const ENABLED: u64 = 1;
const EVENTS: u64 = 1 << 2;
const COMMANDS: u64 = 1 << 12;

impl Machine {
    pub fn new(units: usize, features: u64) -> Self {
        let mut machine = Machine {
            next_frame: 0x100,
            ..Machine::default()
        };
        for _ in 0..units {
            let mut unit = FakeUnit::default();
            unit.registers.insert(Register::Features as usize, features);
            machine.units.push(unit);
        }
        machine
    }

    fn load(&self, at: u64) -> u64 {
        self.memory.get(&at).copied().unwrap_or(0)
    }

    fn register(&self, unit: usize, register: Register) -> u64 {
        self.units[unit]
            .registers
            .get(&(register as usize))
            .copied()
            .unwrap_or(0)
    }

    fn set(&mut self, unit: usize, register: Register, value: u64) {
        self.units[unit].registers.insert(register as usize, value);
    }

    pub fn is_enabled(&self, unit: usize) -> bool {
        self.register(unit, Register::Control) & ENABLED != 0
    }

    fn write(&mut self, unit: usize, register: Register, value: u64) {
        match register {
            Register::Status => {
                let old = self.register(unit, register);
                self.set(unit, register, old & !value);
            }
            Register::DeviceTable | Register::CommandBuffer | Register::EventLog => {
                assert!(!self.is_enabled(unit), "{register:?} changed while enabled");
                self.set(unit, register, value);
            }
            _ => self.set(unit, register, value),
        }
        if register == Register::CommandTail {
            self.run_commands(unit);
        }
    }

    fn run_commands(&mut self, unit: usize) {
        let control = self.register(unit, Register::Control);
        if self.silent || control & (COMMANDS | ENABLED) != COMMANDS | ENABLED {
            return;
        }
        let base = self.register(unit, Register::CommandBuffer);
        assert_eq!(base >> 56, 8, "256 entries");
        let base = base & 0x000f_ffff_ffff_f000;
        let tail = self.register(unit, Register::CommandTail);
        let mut head = self.register(unit, Register::CommandHead);
        while head != tail {
            let command = [self.load(base + head), self.load(base + head + 8)];
            self.run_command(unit, command);
            head = (head + 16) % 4096;
        }
        self.set(unit, Register::CommandHead, head);
    }

    fn run_command(&mut self, unit: usize, [first, second]: [u64; 2]) {
        let opcode = (first >> 60) as u8;
        self.commands.push(opcode);
        match opcode {
            1 => {
                assert_eq!(first & 7, 1, "store, no interrupt, no flush");
                self.memory.insert(first & 0x000f_ffff_ffff_fff8, second);
            }
            2 => {
                self.units[unit].entries.remove(&(first as u16));
            }
            3 => {
                assert_eq!(second, 0x7fff_ffff_ffff_f003, "all pages");
                let domain = (first >> 32) as u16;
                self.units[unit]
                    .translations
                    .retain(|_, (tag, ..)| *tag != domain);
            }
            5 => {
                let device = first as u16;
                self.units[unit].interrupts.retain(|(d, _), _| *d != device);
            }
            8 => {
                assert_eq!((first << 4, second), (0, 0));
                self.units[unit].interrupts.clear();
                self.units[unit].entries.clear();
                self.units[unit].translations.clear();
            }
            _ => panic!("command {opcode}"),
        }
    }

    /// Logs an event by hand.
    pub fn log(&mut self, unit: usize, event: [u64; 2]) {
        if self.register(unit, Register::Control) & EVENTS == 0
            || self.register(unit, Register::Status) & 1 != 0
        {
            return;
        }
        let base = self.register(unit, Register::EventLog) & 0x000f_ffff_ffff_f000;
        let tail = self.register(unit, Register::EventTail);
        let next = (tail + 16) % 4096;
        if next == self.register(unit, Register::EventHead) {
            self.set(unit, Register::Status, 1);
            return;
        }
        self.memory.insert(base + tail, event[0]);
        self.memory.insert(base + tail + 8, event[1]);
        self.set(unit, Register::EventTail, next);
    }

    /// A device accesses `address` through a unit; bit 61 or 62 of `access` is a read or a write.
    pub fn dma(&mut self, unit: usize, device: Bdf, address: u64, access: u64) -> Dma {
        if !self.is_enabled(unit) {
            return Dma::Reached(address);
        }
        // Before the device table is looked at, as QEMU does.
        let page = address >> 12;
        if let Some((_, target, rights)) = self.units[unit].translations.get(&(device.0, page))
            && rights & access != 0
        {
            return Dma::Reached(target | address & 0xfff);
        }
        let table = self.register(unit, Register::DeviceTable);
        assert_eq!(table & 0x1ff, 511, "the table covers all requesters");
        let slot = (table & 0x000f_ffff_ffff_f000) + u64::from(device.0) * 32;
        let loaded = [0, 8, 16, 24].map(|offset| self.load(slot + offset));
        let entry = *self.units[unit].entries.entry(device.0).or_insert(loaded);
        if entry[0] & 1 == 0 {
            return Dma::Reached(address);
        }
        let domain = entry[1] as u16;
        let refused = |machine: &mut Machine, present: u64| {
            let write = u64::from(access == WRITE) << 53;
            let first = 2 << 60 | write | present << 52 | u64::from(domain) << 32;
            machine.log(unit, [first | u64::from(device.0), address]);
            Dma::Refused
        };
        if entry[0] & 2 == 0 || entry[0] & access == 0 {
            return refused(self, 0);
        }
        let mut level = entry[0] >> 9 & 7;
        assert!((1..=6).contains(&level), "mode {level}");
        let mut table = entry[0] & 0x000f_ffff_ffff_f000;
        loop {
            assert!(
                self.frames.contains(&table),
                "walk through freed {table:#x}"
            );
            let shift = 12 + 9 * (level - 1);
            let raw = self.load(table + ((address >> shift) & 511) * 8);
            if raw & 1 == 0 {
                return refused(self, 0);
            }
            if raw & access == 0 {
                return refused(self, 1);
            }
            let next = raw >> 9 & 7;
            let target = raw & 0x000f_ffff_ffff_f000;
            if next == 0 {
                assert_eq!(target & ((1 << shift) - 1), 0, "aligned page");
                let target = target | address & ((1 << shift) - 1) & !0xfff;
                let rights = raw & (READ | WRITE);
                self.units[unit]
                    .translations
                    .insert((device.0, page), (domain, target, rights));
                return Dma::Reached(target | address & 0xfff);
            }
            assert_eq!(next, level - 1);
            level = next;
            table = target;
        }
    }

    /// A device sends an interrupt message: the CPU and vector that it reaches, or nothing.
    pub fn interrupt(&mut self, unit: usize, device: Bdf, data: u32) -> Option<(u8, u8)> {
        let table = self.register(unit, Register::DeviceTable) & 0x000f_ffff_ffff_f000;
        let slot = table + u64::from(device.0) * 32;
        let loaded = [0, 8, 16, 24].map(|offset| self.load(slot + offset));
        let entry = *self.units[unit].entries.entry(device.0).or_insert(loaded);
        let raw = Some((0, data as u8));
        if entry[2] & 1 == 0 {
            return raw;
        }
        match entry[2] >> 60 & 3 {
            1 => return raw,
            2 => {}
            _ => return None,
        }
        let index = data & 0x7ff;
        if u64::from(index) >= 1 << (entry[2] >> 1 & 15) {
            return None;
        }
        let at = (entry[2] & 0x000f_ffff_ffff_ffc0) + u64::from(index / 2) * 8;
        let pair = self.load(at);
        let found = (pair >> (index % 2 * 32)) as u32;
        let cached = &mut self.units[unit].interrupts;
        let routed = *cached.entry((device.0, index)).or_insert(found);
        // Enabled, fixed, physical, and no reserved bits.
        (routed & 0xff == 1 && routed >> 24 == 0)
            .then_some(((routed >> 8) as u8, (routed >> 16) as u8))
    }
}

pub const READ: u64 = 1 << 61;
pub const WRITE: u64 = 1 << 62;

/// A shared handle: the memory, the frames, and with a number the registers of a unit.
#[derive(Clone)]
pub struct Handle(pub Rc<RefCell<Machine>>);

impl TableMemory for Handle {
    fn load(&self, entry: Hpa) -> u64 {
        self.0.borrow().load(entry.as_u64())
    }

    fn store(&mut self, entry: Hpa, value: u64) {
        let mut machine = self.0.borrow_mut();
        machine.memory.insert(entry.as_u64(), value);
        if let Some(check) = machine.after_store {
            check(&mut machine);
        }
    }
}

impl TableFrames for Handle {
    fn allocate(&mut self) -> Result<Hpa, ResourceError> {
        let mut machine = self.0.borrow_mut();
        match &mut machine.fuel {
            Some(0) => return Err(ResourceError::HypervisorMemory),
            Some(fuel) => *fuel -= 1,
            None => {}
        }
        machine.next_frame += 1;
        let frame = machine.next_frame << 12;
        machine.frames.insert(frame);
        Ok(Hpa::new(frame))
    }

    fn free(&mut self, frame: Hpa) {
        assert!(self.0.borrow_mut().frames.remove(&frame.as_u64()));
    }
}

pub struct FakeRegisters(pub Handle, pub usize);

impl Registers for FakeRegisters {
    fn read(&self, register: Register) -> u64 {
        self.0.0.borrow().register(self.1, register)
    }

    fn write(&mut self, register: Register, value: u64) {
        self.0.0.borrow_mut().write(self.1, register, value);
    }
}
