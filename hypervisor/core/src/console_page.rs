//! The hypervisor's side of the console page (`bulkhead_abi::console`): the wire of a partition's serial port.
//!
//! The platform devices keep one while management has a page registered, and lend it to the UART; afterwards they raise the event
//! that [`ConsolePage::take_event`] names. Nothing that the other side writes is trusted: its counters only say how much of the ring
//! is in use, at most all of it, and the hypervisor's own are kept here.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use bulkhead_abi::console::{
    INPUT, INPUT_BYTES, INPUT_HEAD, INPUT_TAIL, OUTPUT, OUTPUT_BYTES, OUTPUT_HEAD, OUTPUT_TAIL,
};

use crate::event_page::EventPort;
use crate::host::SharedPage;
use crate::time::{Instant, Ticks};
use crate::uart::{Sent, Wire};

/// Output that nobody was told of for so long is announced: a fraction of a second, 10 ms.
pub const REPORTS_PER_SECOND: u64 = 100;
/// Unannounced bytes that are announced at once.
const MANY: u32 = OUTPUT_BYTES as u32 / 2;

/// A registered page.
#[derive(Debug)]
pub struct ConsolePage {
    page: SharedPage,
    port: EventPort,
    /// The number of the next output byte.
    output_head: u32,
    /// The number of the next output byte at the last announcement.
    announced: u32,
    /// The number of the next input byte to take.
    input_tail: u32,
    /// The input ring was full when it was last looked at, and its emptying was not announced yet.
    input_was_full: bool,
    event_due: bool,
    /// When output is announced.
    announce: Instant,
    patience: Ticks,
    now: Instant,
}

impl ConsolePage {
    /// The page with both rings empty on the hypervisor's side, whose events raise `port`; `patience` is how long output may
    /// wait for its announcement.
    pub fn new(page: SharedPage, port: EventPort, patience: Ticks) -> Self {
        let console = Self {
            page,
            port,
            output_head: 0,
            announced: 0,
            input_tail: 0,
            input_was_full: false,
            event_due: false,
            announce: Instant::NEVER,
            patience,
            now: Instant::NEVER,
        };
        console.store(OUTPUT_HEAD, 0);
        console.store(INPUT_TAIL, 0);
        console
    }

    /// Says what time it is for the bytes that follow.
    #[inline]
    pub fn at(&mut self, now: Instant) -> &mut Self {
        self.now = now;
        self
    }

    /// When output must be announced.
    #[inline]
    pub fn deadline(&self) -> Instant {
        self.announce
    }

    /// The port to raise, where there is news.
    #[inline]
    pub fn take_event(&mut self, now: Instant) -> Option<EventPort> {
        if !self.event_due && now < self.announce {
            return None;
        }
        self.event_due = false;
        self.announce = Instant::NEVER;
        self.announced = self.output_head;
        Some(self.port)
    }

    /// Announces the output at once that nobody was told of.
    pub fn hurry(&mut self) {
        self.event_due |= self.announced != self.output_head;
    }

    #[inline]
    fn word(&self, offset: usize) -> Option<&AtomicU64> {
        self.page.get(offset / 8)
    }

    /// A counter of the other side.
    #[inline]
    fn load(&self, offset: usize) -> u32 {
        // Acquire: partner of the other side's release after it wrote or took the bytes.
        self.word(offset)
            .map_or(0, |word| word.load(Acquire) as u32)
    }

    /// A counter of this side; the word belongs to it alone.
    #[inline]
    fn store(&self, offset: usize, counter: u32) {
        if let Some(word) = self.word(offset) {
            // Release: the bytes are there before the counter says so.
            word.store(u64::from(counter), Release);
        }
    }
}

impl Wire for ConsolePage {
    #[inline]
    fn send(&mut self, byte: u8) -> Sent {
        let used = self.output_head.wrapping_sub(self.load(OUTPUT_TAIL));
        if used >= OUTPUT_BYTES as u32 {
            if self.announced != self.output_head {
                self.event_due = true;
            }
            return Sent::Busy;
        }
        let place = self.output_head as usize % OUTPUT_BYTES;
        if let Some(word) = self.word(OUTPUT + place) {
            // Relaxed: nobody else writes there, and the counter publishes it.
            let shift = (place as u32 % 8) * 8;
            let others = word.load(Relaxed) & !(0xff << shift);
            word.store(others | u64::from(byte) << shift, Relaxed);
        }
        if self.announced == self.output_head {
            self.announce = self.now + self.patience;
        }
        self.output_head = self.output_head.wrapping_add(1);
        self.store(OUTPUT_HEAD, self.output_head);
        if self.output_head.wrapping_sub(self.announced) >= MANY {
            self.event_due = true;
        }
        Sent::Yes
    }

    #[inline]
    fn receive(&mut self) -> Option<u8> {
        let waiting = self.load(INPUT_HEAD).wrapping_sub(self.input_tail);
        if waiting == 0 {
            return None;
        }
        if waiting >= INPUT_BYTES as u32 {
            self.input_was_full = true;
        } else if self.input_was_full && waiting <= INPUT_BYTES as u32 / 2 {
            // Not for the first byte already, or each would cost an event while the other side keeps the ring full.
            self.input_was_full = false;
            self.event_due = true;
        }
        let place = self.input_tail as usize % INPUT_BYTES;
        let byte = self
            .word(INPUT + place)
            .map(|word| (word.load(Relaxed) >> ((place as u32 % 8) * 8)) as u8)?;
        self.input_tail = self.input_tail.wrapping_add(1);
        self.store(INPUT_TAIL, self.input_tail);
        Some(byte)
    }
}

/// The wire of a serial port that leads nowhere: what is sent is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unconnected;

impl Wire for Unconnected {
    fn send(&mut self, _byte: u8) -> Sent {
        Sent::Yes
    }

    fn receive(&mut self) -> Option<u8> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Ticks = Ticks(100);

    fn page() -> SharedPage {
        Box::leak(Box::new([const { AtomicU64::new(0) }; 512]))
    }

    fn console(page: SharedPage) -> ConsolePage {
        ConsolePage::new(page, EventPort::new(70).unwrap(), PATIENCE)
    }

    fn byte(page: SharedPage, at: usize) -> u8 {
        (page[at / 8].load(Relaxed) >> (at % 8 * 8)) as u8
    }

    fn put(page: SharedPage, at: usize, byte: u8) {
        page[at / 8].fetch_or(u64::from(byte) << (at % 8 * 8), Relaxed);
    }

    #[test]
    fn output_lies_in_the_ring_and_is_announced_after_a_while() {
        let page = page();
        let mut console = console(page);
        for character in *b"Hello, world" {
            assert_eq!(console.at(Instant(50)).send(character), Sent::Yes);
        }
        assert_eq!(page[OUTPUT_HEAD / 8].load(Relaxed), 12);
        let text: Vec<u8> = (0..12).map(|n| byte(page, OUTPUT + n)).collect();
        assert_eq!(text, b"Hello, world");
        assert_eq!(console.deadline(), Instant(150));
        assert_eq!(console.take_event(Instant(149)), None);
        assert_eq!(console.take_event(Instant(150)), EventPort::new(70));
        assert_eq!(console.take_event(Instant(151)), None);
        assert_eq!(console.deadline(), Instant::NEVER);
    }

    #[test]
    fn half_a_ring_is_announced_at_once_and_a_full_one_stops_the_guest() {
        let page = page();
        let mut console = console(page);
        for number in 0..OUTPUT_BYTES {
            assert_eq!(console.at(Instant(0)).send(number as u8), Sent::Yes);
            let due = console.take_event(Instant(0)).is_some();
            assert_eq!(due, number == 1023 || number == 2047, "{number}");
        }
        assert_eq!(console.send(0), Sent::Busy);
        assert_eq!(console.take_event(Instant(0)), None, "told already");
        page[OUTPUT_TAIL / 8].store(1, Relaxed);
        assert_eq!(console.send(0xaa), Sent::Yes);
        assert_eq!(byte(page, OUTPUT), 0xaa);
        assert_eq!(console.send(0), Sent::Busy);
        assert!(
            console.take_event(Instant(0)).is_some(),
            "full again, with news"
        );
    }

    #[test]
    fn counters_wrap_and_hostile_ones_stay_in_the_rings() {
        let page = page();
        let mut console = console(page);
        console.output_head = u32::MAX;
        console.announced = u32::MAX;
        page[OUTPUT_TAIL / 8].store(0xdead_beef_ffff_ffff, Relaxed);
        assert_eq!(console.send(1), Sent::Yes);
        assert_eq!(console.send(2), Sent::Yes);
        assert_eq!((byte(page, OUTPUT + 2047), byte(page, OUTPUT)), (1, 2));
        for tail in [2, 0x8000_0000, 0x7fff_ffff, 12] {
            page[OUTPUT_TAIL / 8].store(tail, Relaxed);
            assert_eq!(console.send(3), Sent::Busy, "{tail:#x}");
        }
        page[INPUT_HEAD / 8].store(0x8000_0000, Relaxed);
        for _ in 0..5000 {
            assert_eq!(console.receive(), Some(0));
        }
        assert_eq!(page[INPUT_TAIL / 8].load(Relaxed), 5000);
    }

    #[test]
    fn input_comes_in_order_and_room_in_a_full_ring_is_announced_once() {
        let page = page();
        let mut console = console(page);
        assert_eq!(console.receive(), None);
        for number in 0..INPUT_BYTES {
            put(page, INPUT + number, number as u8);
        }
        page[INPUT_HEAD / 8].store(INPUT_BYTES as u64, Relaxed);
        let mut events = 0;
        for number in 0..INPUT_BYTES {
            assert_eq!(console.receive(), Some(number as u8));
            events += u32::from(console.take_event(Instant(0)).is_some());
        }
        assert_eq!((console.receive(), events), (None, 1));
    }
}
