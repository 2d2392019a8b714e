//! Pages that this partition shares with the hypervisor for a while.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ops::Deref;

use mgmt_hypercall::ConsoleMemory;
use mgmt_platform::Memory;

use crate::dma::DmaMemory;

const PAGE: usize = 4096;

/// Pages that nobody uses just now; clones share them. Memory that was shared is never given back to the heap.
#[derive(Clone, Default)]
pub struct SharedPages(Rc<RefCell<Vec<DmaMemory>>>);

/// A page; it returns to the others when it goes. The hypervisor has then forgotten it.
pub struct SharedPage {
    pages: SharedPages,
    memory: Option<DmaMemory>,
}

impl SharedPages {
    /// A page of zeros; `None` where no memory is left.
    pub fn take(&self) -> Option<SharedPage> {
        let memory = self.0.borrow_mut().pop();
        let memory = match memory {
            Some(memory) => {
                memory.write(0, &[0; PAGE]);
                memory
            }
            None => DmaMemory::allocate(PAGE)?,
        };
        Some(SharedPage {
            pages: self.clone(),
            memory: Some(memory),
        })
    }

    /// How many pages nobody uses.
    pub fn idle(&self) -> usize {
        self.0.borrow().len()
    }
}

impl Deref for SharedPage {
    type Target = DmaMemory;

    fn deref(&self) -> &DmaMemory {
        match &self.memory {
            Some(memory) => memory,
            None => unreachable!("the memory is taken only when the page goes"),
        }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        self.pages.0.borrow_mut().extend(self.memory.take());
    }
}

impl ConsoleMemory for SharedPage {
    fn load(&self, offset: usize) -> u32 {
        self.load32(offset)
    }

    fn store(&self, offset: usize, value: u32) {
        self.store32(offset, value);
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        Memory::read(&**self, offset, into);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        Memory::write(&**self, offset, from);
    }
}
