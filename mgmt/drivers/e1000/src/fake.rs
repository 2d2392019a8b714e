//! A card in memory: registers, and the card's side of the two rings.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mgmt_platform::{Memory, Platform, Registers};

use crate::registers::*;

const BASE: u64 = 0x40_0000_0000;
const BYTES: usize = 2 << 20;

/// The card and the memory that it shares with the driver.
pub struct FakeCard {
    memory: RefCell<Vec<u8>>,
    taken: Cell<usize>,
    words: RefCell<Vec<u32>>,
    causes: Cell<u32>,
    mask: Cell<u32>,
    pub interrupts: Cell<u32>,
    pub resets: Cell<u32>,
    /// Whether registers read as all ones.
    pub gone: Cell<bool>,
    pub hangs: Cell<bool>,
    /// First words of an EEPROM with the 8254x' fields.
    pub eeprom: Cell<Option<[u16; 3]>>,
}

impl FakeCard {
    pub fn new(mac: [u8; 6]) -> Rc<Self> {
        let [a, b, c, d, e, f] = mac;
        let mut words = vec![0; 0x2_0000 / 4];
        words[ADDRESS_LOW / 4] = u32::from_le_bytes([a, b, c, d]);
        words[ADDRESS_HIGH / 4] = u32::from_le_bytes([e, f, 0, 0x80]);
        Rc::new(FakeCard {
            memory: RefCell::new(vec![0; BYTES]),
            taken: Cell::new(0),
            words: RefCell::new(words),
            causes: Cell::new(0),
            mask: Cell::new(u32::MAX),
            interrupts: Cell::new(0),
            resets: Cell::new(0),
            gone: Cell::new(false),
            hangs: Cell::new(false),
            eeprom: Cell::new(None),
        })
    }

    pub fn word(&self, register: usize) -> u32 {
        self.words.borrow()[register / 4]
    }

    pub fn set(&self, register: usize, value: u32) {
        self.words.borrow_mut()[register / 4] = value;
    }

    fn get<const N: usize>(&self, address: u64) -> [u8; N] {
        let at = (address - BASE) as usize;
        self.memory.borrow()[at..at + N].try_into().unwrap()
    }

    fn put(&self, address: u64, bytes: &[u8]) {
        let at = (address - BASE) as usize;
        self.memory.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The descriptor at a queue's head, unless head and tail are at the same one.
    fn head(&self, queue: usize) -> Option<u64> {
        let head = self.word(queue + QUEUE_HEAD);
        let base = u64::from(self.word(queue + QUEUE_BASE_HIGH)) << 32
            | u64::from(self.word(queue + QUEUE_BASE_LOW));
        (head != self.word(queue + QUEUE_TAIL)).then(|| base + u64::from(head) * 16)
    }

    fn advance(&self, queue: usize) {
        let entries = self.word(queue + QUEUE_BYTES) / 16;
        let head = self.word(queue + QUEUE_HEAD);
        self.set(queue + QUEUE_HEAD, (head + 1) % entries);
    }

    fn raise(&self, causes: u32) {
        self.causes.set(self.causes.get() | causes);
        if causes & self.mask.get() != 0 {
            self.interrupts.set(self.interrupts.get() + 1);
        }
    }

    /// Puts bytes of a frame into the next descriptor; `false` where the ring is empty.
    pub fn deliver(&self, bytes: &[u8], length: u16, status: u8, errors: u8) -> bool {
        let Some(descriptor) = self.head(RECEIVE_QUEUE) else {
            return false;
        };
        assert_ne!(self.word(RCTL) & RCTL_ENABLE, 0);
        self.put(u64::from_le_bytes(self.get(descriptor)), bytes);
        self.put(descriptor + 8, &length.to_le_bytes());
        self.put(descriptor + 12, &[status, errors]);
        self.advance(RECEIVE_QUEUE);
        self.raise(1 << 7);
        true
    }

    /// A good frame.
    pub fn deliver_frame(&self, bytes: &[u8]) -> bool {
        self.deliver(bytes, bytes.len() as u16, 3, 0)
    }

    /// Sends the next frame, if there is one.
    pub fn send(&self) -> Option<Vec<u8>> {
        let descriptor = self.head(TRANSMIT_QUEUE)?;
        assert_ne!(self.word(TCTL) & TCTL_ENABLE, 0);
        let length = u16::from_le_bytes(self.get(descriptor + 8));
        let [command] = self.get(descriptor + 11);
        assert_eq!(command, SEND);
        let at = (u64::from_le_bytes(self.get(descriptor)) - BASE) as usize;
        let frame = self.memory.borrow()[at..at + usize::from(length)].to_vec();
        self.put(descriptor + 12, &[1]);
        self.advance(TRANSMIT_QUEUE);
        self.raise(CAUSE_SENT);
        Some(frame)
    }
}

pub struct FakeRegisters {
    pub card: Rc<FakeCard>,
    pub length: usize,
}

impl Registers for FakeRegisters {
    fn length(&self) -> usize {
        self.length
    }

    fn read8(&self, _: usize) -> u8 {
        panic!("the card's registers are read as words");
    }

    fn read16(&self, _: usize) -> u16 {
        panic!("the card's registers are read as words");
    }

    fn read32(&self, offset: usize) -> u32 {
        assert!(offset + 4 <= self.length);
        match offset {
            _ if self.card.gone.get() => u32::MAX,
            ICR => self.card.causes.replace(0),
            EERD => match self.card.eeprom.get() {
                None => self.card.word(EERD),
                Some(words) => {
                    let word = words[(self.card.word(EERD) >> 8) as usize];
                    u32::from(word) << 16 | 1 << 4
                }
            },
            _ => self.card.word(offset),
        }
    }

    fn write8(&self, _: usize, _: u8) {
        panic!("the card's registers are written as words");
    }

    fn write16(&self, _: usize, _: u16) {
        panic!("the card's registers are written as words");
    }

    fn write32(&self, offset: usize, value: u32) {
        assert!(offset + 4 <= self.length);
        let card = &self.card;
        match offset {
            IMS => card.mask.set(card.mask.get() | value),
            IMC => card.mask.set(card.mask.get() & !value),
            CTRL if value & CTRL_RESET != 0 => {
                assert_eq!(card.word(RCTL), 0, "receiving while reset");
                card.resets.set(card.resets.get() + 1);
                let left = if card.hangs.get() { CTRL_RESET } else { 0 };
                card.set(CTRL, left);
            }
            _ => card.set(offset, value),
        }
    }
}

pub struct FakeMemory {
    card: Rc<FakeCard>,
    address: u64,
    length: usize,
}

impl Memory for FakeMemory {
    fn address(&self) -> u64 {
        self.address
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(offset + into.len() <= self.length);
        let at = (self.address - BASE) as usize + offset;
        into.copy_from_slice(&self.card.memory.borrow()[at..at + into.len()]);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        assert!(offset + from.len() <= self.length);
        self.card.put(self.address + offset as u64, from);
    }

    fn load16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.card.get(self.address + offset as u64))
    }

    fn store16(&self, offset: usize, value: u16) {
        self.write(offset, &value.to_le_bytes());
    }

    fn fence(&self) {}
}

/// Gives out memory of the card's; at most `bytes` in all.
pub struct FakePlatform {
    pub card: Rc<FakeCard>,
    pub bytes: usize,
}

impl Platform for FakePlatform {
    type Registers = FakeRegisters;
    type Memory = FakeMemory;

    fn memory(&self, bytes: usize) -> Option<FakeMemory> {
        let at = self.card.taken.get();
        let end = at + bytes.next_multiple_of(4096);
        if end > self.bytes.min(BYTES) {
            return None;
        }
        self.card.taken.set(end);
        Some(FakeMemory {
            card: self.card.clone(),
            address: BASE + at as u64,
            length: bytes,
        })
    }
}
