//! A guest's console page, from the managers' side: `bulkhead_abi::console`.

use bulkhead_abi::console::{
    INPUT, INPUT_BYTES, INPUT_HEAD, INPUT_TAIL, OUTPUT, OUTPUT_BYTES, OUTPUT_HEAD, OUTPUT_TAIL,
};

/// The page's memory, which the hypervisor changes as well. Offsets are below 4096.
pub trait ConsoleMemory {
    /// Loads a number with acquire.
    fn load(&self, offset: usize) -> u32;

    /// Stores a number with release.
    fn store(&self, offset: usize, value: u32);

    /// Copies bytes from the page.
    fn read(&self, offset: usize, into: &mut [u8]);

    /// Copies bytes to the page.
    fn write(&self, offset: usize, from: &[u8]);
}

/// The page.
pub struct ConsolePage<M>(M);

impl<M: ConsoleMemory> ConsolePage<M> {
    /// The page in this memory, which holds zeros.
    pub const fn new(memory: M) -> Self {
        ConsolePage(memory)
    }

    /// The memory.
    pub const fn memory(&self) -> &M {
        &self.0
    }

    /// Takes what the guest has written, as much as `into` holds; returns how many bytes.
    pub fn take(&self, into: &mut [u8]) -> usize {
        let tail = self.0.load(OUTPUT_TAIL);
        let there = self.0.load(OUTPUT_HEAD).wrapping_sub(tail) as usize;
        let count = there.min(OUTPUT_BYTES).min(into.len());
        let at = tail as usize % OUTPUT_BYTES;
        let first = count.min(OUTPUT_BYTES - at);
        if let Some((head, rest)) = into
            .get_mut(..count)
            .and_then(|into| into.split_at_mut_checked(first))
        {
            self.0.read(OUTPUT + at, head);
            self.0.read(OUTPUT, rest);
        }
        self.0.store(OUTPUT_TAIL, tail.wrapping_add(count as u32));
        count
    }

    /// How many bytes of input there is room for.
    pub fn room(&self) -> usize {
        let waiting = self
            .0
            .load(INPUT_HEAD)
            .wrapping_sub(self.0.load(INPUT_TAIL));
        INPUT_BYTES.saturating_sub(waiting as usize)
    }

    /// Gives the guest input, as much as there is room for; returns how many bytes. After any, the hypervisor must be told.
    pub fn give(&self, bytes: &[u8]) -> usize {
        let head = self.0.load(INPUT_HEAD);
        let count = self.room().min(bytes.len());
        let at = head as usize % INPUT_BYTES;
        let first = count.min(INPUT_BYTES - at);
        if let Some((start, rest)) = bytes
            .get(..count)
            .and_then(|bytes| bytes.split_at_checked(first))
        {
            self.0.write(INPUT + at, start);
            self.0.write(INPUT, rest);
        }
        self.0.store(INPUT_HEAD, head.wrapping_add(count as u32));
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    struct Page(RefCell<Vec<u8>>);

    impl ConsoleMemory for &Page {
        fn load(&self, offset: usize) -> u32 {
            u32::from_le_bytes(self.0.borrow()[offset..offset + 4].try_into().unwrap())
        }

        fn store(&self, offset: usize, value: u32) {
            self.write(offset, &value.to_le_bytes());
        }

        fn read(&self, offset: usize, into: &mut [u8]) {
            into.copy_from_slice(&self.0.borrow()[offset..offset + into.len()]);
        }

        fn write(&self, offset: usize, from: &[u8]) {
            self.0.borrow_mut()[offset..offset + from.len()].copy_from_slice(from);
        }
    }

    fn page() -> Page {
        Page(RefCell::new(vec![0; 4096]))
    }

    /// What the hypervisor does when the guest writes.
    fn guest_writes(page: &Page, bytes: &[u8]) {
        for byte in bytes {
            let head = (&page).load(OUTPUT_HEAD);
            (&page).write(OUTPUT + head as usize % OUTPUT_BYTES, &[*byte]);
            (&page).store(OUTPUT_HEAD, head.wrapping_add(1));
        }
    }

    #[test]
    fn output_comes_in_order_across_the_rings_end_and_the_counters() {
        let memory = page();
        let page = ConsolePage::new(&memory);
        let start = 0u32.wrapping_sub(5);
        page.memory().store(OUTPUT_HEAD, start);
        page.memory().store(OUTPUT_TAIL, start);
        guest_writes(&memory, b"hello world");
        let mut bytes = [0; 7];
        assert_eq!(page.take(&mut bytes), 7);
        assert_eq!(&bytes, b"hello w");
        assert_eq!(page.take(&mut bytes), 4);
        assert_eq!(&bytes[..4], b"orld");
        assert_eq!(page.take(&mut bytes), 0);
        assert_eq!(page.memory().load(OUTPUT_TAIL), 6);
    }

    #[test]
    fn input_waits_for_room() {
        let memory = page();
        let page = ConsolePage::new(&memory);
        let text = [7; INPUT_BYTES + 10];
        assert_eq!(page.give(&text), INPUT_BYTES);
        assert_eq!((page.room(), page.give(&text)), (0, 0));
        page.memory().store(INPUT_TAIL, 100);
        assert_eq!(page.give(&[9; 200]), 100);
        let mut last = [0; 2];
        page.memory().read(INPUT + 99, &mut last);
        assert_eq!(last, [9, 7]);
    }

    #[test]
    fn counters_that_make_no_sense_do_no_harm() {
        let memory = page();
        let page = ConsolePage::new(&memory);
        page.memory().store(OUTPUT_HEAD, u32::MAX);
        let mut bytes = [0; 5000];
        assert_eq!(page.take(&mut bytes), OUTPUT_BYTES);
        page.memory().store(INPUT_TAIL, 77);
        assert_eq!(page.give(b"x"), 0);
    }
}
