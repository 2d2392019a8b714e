//! A virtio device in memory: registers, and the device's side of the queues.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::{Memory, Platform, Registers, Transport};

const BASE: u64 = 0x10_0000;
const BYTES: usize = 4 << 20;

/// The memory that driver and device share.
pub struct Arena {
    bytes: RefCell<Vec<u8>>,
    next: Cell<usize>,
}

impl Arena {
    fn get(&self, address: u64, length: usize) -> Vec<u8> {
        let at = (address - BASE) as usize;
        self.bytes.borrow()[at..at + length].to_vec()
    }

    fn put(&self, address: u64, bytes: &[u8]) {
        let at = (address - BASE) as usize;
        self.bytes.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn get16(&self, address: u64) -> u16 {
        u16::from_le_bytes(self.get(address, 2).try_into().unwrap())
    }

    fn get32(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.get(address, 4).try_into().unwrap())
    }

    fn get64(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.get(address, 8).try_into().unwrap())
    }
}

pub struct FakeMemory {
    arena: Rc<Arena>,
    address: u64,
    length: usize,
}

impl Memory for FakeMemory {
    fn address(&self) -> u64 {
        self.address
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(offset + into.len() <= self.length);
        into.copy_from_slice(&self.arena.get(self.address + offset as u64, into.len()));
    }

    fn write(&self, offset: usize, from: &[u8]) {
        assert!(offset + from.len() <= self.length);
        self.arena.put(self.address + offset as u64, from);
    }

    fn load16(&self, offset: usize) -> u16 {
        self.arena.get16(self.address + offset as u64)
    }

    fn store16(&self, offset: usize, value: u16) {
        self.write(offset, &value.to_le_bytes());
    }

    fn fence(&self) {}
}

#[derive(Default, Clone)]
struct FakeQueue {
    size: u16,
    vector: u16,
    enabled: bool,
    addresses: [u64; 3],
    taken: u16,
    returned: u16,
    notified: u32,
    interrupts: u32,
}

struct State {
    offered: u64,
    driver: u64,
    selects: [u32; 3],
    status: u8,
    queues: Vec<FakeQueue>,
    config: Vec<u8>,
    refuses_features: bool,
}

/// The device. Its queues have 16 descriptors.
pub struct FakeDevice {
    pub arena: Rc<Arena>,
    state: RefCell<State>,
}

/// A buffer that the driver made available.
pub struct DeviceChain {
    head: u16,
    segments: Vec<(u64, u32, bool)>,
}

impl FakeDevice {
    pub fn new(offered: u64, queues: usize, config: &[u8]) -> Rc<Self> {
        let queue = FakeQueue {
            size: 16,
            ..FakeQueue::default()
        };
        Rc::new(FakeDevice {
            arena: Rc::new(Arena {
                bytes: RefCell::new(vec![0; BYTES]),
                next: Cell::new(0),
            }),
            state: RefCell::new(State {
                offered,
                driver: 0,
                selects: [0; 3],
                status: 0xff,
                queues: vec![queue; queues],
                config: config.to_vec(),
                refuses_features: false,
            }),
        })
    }

    pub fn refuse_features(&self) {
        self.state.borrow_mut().refuses_features = true;
    }

    pub fn transport(self: &Rc<Self>) -> Transport<FakeRegisters> {
        let part = |part| FakeRegisters {
            device: self.clone(),
            part,
        };
        Transport::new(
            part(Part::Common),
            part(Part::Notify),
            4,
            part(Part::Config),
        )
    }

    pub fn platform(self: &Rc<Self>) -> FakePlatform {
        FakePlatform(self.arena.clone())
    }

    pub fn agreed(&self) -> u64 {
        self.state.borrow().driver
    }

    pub fn runs(&self) -> bool {
        self.state.borrow().status == 0xf
    }

    pub fn notified(&self, queue: usize) -> u32 {
        self.state.borrow().queues[queue].notified
    }

    pub fn interrupts(&self, queue: usize) -> u32 {
        self.state.borrow().queues[queue].interrupts
    }

    pub fn vector(&self, queue: usize) -> u16 {
        self.state.borrow().queues[queue].vector
    }

    /// Takes the next buffer, and asks to be notified of the one after it.
    pub fn pop(&self, queue: usize) -> Option<DeviceChain> {
        let mut state = self.state.borrow_mut();
        let queue = &mut state.queues[queue];
        assert!(queue.enabled);
        let [descriptors, driver, device] = queue.addresses;
        if self.arena.get16(driver + 2) == queue.taken {
            return None;
        }
        let slot = u64::from(queue.taken % queue.size);
        let head = self.arena.get16(driver + 4 + 2 * slot);
        queue.taken = queue.taken.wrapping_add(1);
        let event = device + 4 + 8 * u64::from(queue.size);
        self.arena.put(event, &queue.taken.to_le_bytes());
        let mut segments = Vec::new();
        let mut index = head;
        loop {
            let at = descriptors + 16 * u64::from(index);
            let flags = self.arena.get16(at + 12);
            let length = self.arena.get32(at + 8);
            segments.push((self.arena.get64(at), length, flags & 2 != 0));
            if flags & 1 == 0 {
                return Some(DeviceChain { head, segments });
            }
            index = self.arena.get16(at + 14);
        }
    }

    /// What the driver gave the device to read.
    pub fn read(&self, chain: &DeviceChain) -> Vec<u8> {
        let read = chain.segments.iter().filter(|segment| !segment.2);
        read.flat_map(|&(address, length, _)| self.arena.get(address, length as usize))
            .collect()
    }

    /// Fills the segments for the device to write with `bytes`.
    pub fn write(&self, chain: &DeviceChain, mut bytes: &[u8]) {
        for &(address, length, write) in &chain.segments {
            if write {
                let count = bytes.len().min(length as usize);
                self.arena.put(address, &bytes[..count]);
                bytes = &bytes[count..];
            }
        }
        assert!(bytes.is_empty(), "the buffer is too short");
    }

    pub fn room(&self, chain: &DeviceChain) -> usize {
        let write = chain.segments.iter().filter(|segment| segment.2);
        write.map(|segment| segment.1 as usize).sum()
    }

    /// Returns a buffer.
    pub fn push(&self, queue: usize, chain: DeviceChain, written: u32) {
        self.push_raw(queue, chain.head.into(), written);
    }

    pub fn push_raw(&self, queue: usize, id: u32, written: u32) {
        let mut state = self.state.borrow_mut();
        let event_index = state.driver & 1 << 29 != 0;
        let queue = &mut state.queues[queue];
        let [_, driver, device] = queue.addresses;
        let slot = device + 4 + 8 * u64::from(queue.returned % queue.size);
        self.arena.put(slot, &id.to_le_bytes());
        self.arena.put(slot + 4, &written.to_le_bytes());
        let wanted = self.arena.get16(driver + 4 + 2 * u64::from(queue.size));
        if !event_index || wanted == queue.returned {
            queue.interrupts += 1;
        }
        queue.returned = queue.returned.wrapping_add(1);
        self.arena.put(device + 2, &queue.returned.to_le_bytes());
    }
}

#[derive(Clone)]
pub struct FakePlatform(Rc<Arena>);

impl Platform for FakePlatform {
    type Registers = FakeRegisters;
    type Memory = FakeMemory;

    fn memory(&self, bytes: usize) -> Option<FakeMemory> {
        let at = self.0.next.get();
        let end = (at + bytes).next_multiple_of(4096);
        self.0.next.set(end);
        (end <= BYTES).then(|| FakeMemory {
            arena: self.0.clone(),
            address: BASE + at as u64,
            length: bytes,
        })
    }
}

enum Part {
    Common,
    Notify,
    Config,
}

pub struct FakeRegisters {
    device: Rc<FakeDevice>,
    part: Part,
}

impl Registers for FakeRegisters {
    fn length(&self) -> usize {
        match self.part {
            Part::Common => 0x38,
            Part::Notify => 4096,
            Part::Config => self.device.state.borrow().config.len(),
        }
    }

    fn read8(&self, offset: usize) -> u8 {
        let state = self.device.state.borrow();
        match (&self.part, offset) {
            (Part::Config, _) => state.config[offset],
            (Part::Common, 0x14) => state.status,
            (Part::Common, 0x15) => 0,
            _ => panic!("read8 {offset:#x}"),
        }
    }

    fn read16(&self, offset: usize) -> u16 {
        let state = self.device.state.borrow();
        let select = state.selects[2] as usize;
        match offset {
            0x12 => state.queues.len() as u16,
            0x16 => select as u16,
            0x18 => state.queues[select].size,
            0x1a => state.queues[select].vector,
            0x1e => select as u16,
            _ => panic!("read16 {offset:#x}"),
        }
    }

    fn read32(&self, offset: usize) -> u32 {
        let state = self.device.state.borrow();
        match (&self.part, offset) {
            (Part::Config, _) => {
                u32::from_le_bytes(state.config[offset..offset + 4].try_into().unwrap())
            }
            (_, 0x04) => (state.offered >> (32 * state.selects[0])) as u32,
            _ => panic!("read32 {offset:#x}"),
        }
    }

    fn write8(&self, offset: usize, value: u8) {
        assert_eq!(offset, 0x14);
        let mut state = self.device.state.borrow_mut();
        let refused = if state.refuses_features { 8 } else { 0 };
        state.status = value & !refused;
    }

    fn write16(&self, offset: usize, value: u16) {
        let mut state = self.device.state.borrow_mut();
        if matches!(self.part, Part::Notify) {
            assert_eq!(offset, usize::from(value) * 4);
            state.queues[usize::from(value)].notified += 1;
            return;
        }
        let select = state.selects[2] as usize;
        match offset {
            0x10 => {}
            0x16 => state.selects[2] = value.into(),
            0x18 => state.queues[select].size = value,
            0x1a => state.queues[select].vector = value,
            0x1c => state.queues[select].enabled = value == 1,
            _ => panic!("write16 {offset:#x}"),
        }
    }

    fn write32(&self, offset: usize, value: u32) {
        let mut state = self.device.state.borrow_mut();
        match offset {
            0x00 => state.selects[0] = value,
            0x08 => state.selects[1] = value,
            0x0c => {
                let half = 32 * state.selects[1];
                state.driver |= u64::from(value) << half;
            }
            0x20..0x38 => {
                let select = state.selects[2] as usize;
                let address = &mut state.queues[select].addresses[(offset - 0x20) / 8];
                let half = (offset & 4) * 8;
                *address |= u64::from(value) << half;
            }
            _ => panic!("write32 {offset:#x}"),
        }
    }
}
