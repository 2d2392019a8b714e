//! Configuration space in a map, with BARs that answer the sizing probe.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::{Address, ConfigSpace};

#[derive(Default)]
pub struct FakeConfig {
    words: RefCell<HashMap<(Address, u8), u32>>,
    masks: RefCell<HashMap<(Address, u8), (u32, u32)>>,
}

impl FakeConfig {
    pub fn with_device(address: Address) -> Self {
        let config = Self::default();
        config.add(address);
        config
    }

    pub fn add(&self, address: Address) {
        self.set(address, 0, 0x1041_1af4);
    }

    pub fn set(&self, address: Address, offset: u8, value: u32) {
        self.words.borrow_mut().insert((address, offset), value);
    }

    pub fn set_bar(&self, address: Address, index: u8, value: u64, mask: u64) {
        let offset = 0x10 + index * 4;
        self.set(address, offset, value as u32);
        self.masks
            .borrow_mut()
            .insert((address, offset), (mask as u32 & !0xf, value as u32 & 0xf));
        if value >> 1 & 3 == 2 {
            self.set(address, offset + 4, (value >> 32) as u32);
            self.masks
                .borrow_mut()
                .insert((address, offset + 4), ((mask >> 32) as u32, 0));
        }
    }
}

impl ConfigSpace for FakeConfig {
    fn read(&self, address: Address, offset: u8) -> u32 {
        let words = self.words.borrow();
        if !words.contains_key(&(address, 0)) {
            return u32::MAX;
        }
        words.get(&(address, offset)).copied().unwrap_or(0)
    }

    fn write(&self, address: Address, offset: u8, value: u32) {
        let value = match self.masks.borrow().get(&(address, offset)) {
            Some(mask) => {
                let (mask, fixed) = *mask;
                value & mask | fixed
            }
            None if (0x10..0x28).contains(&offset) => 0,
            None => value,
        };
        self.set(address, offset, value);
    }
}
