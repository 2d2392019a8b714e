//! Drives a queue through [`Ring::serve`] with an honest and with a hostile driver.

use super::*;
use crate::mock::{Buffer, DriverQueue, RawDescriptor, flags};
use crate::{Ring, Served, Stop};
use vmm_ram::fake::FakeRam;

const RAM: u64 = 1 << 20;
const TABLE: Gpa = Gpa(0x8000);
const DATA: u64 = 0x1_0000;
const ALL: Features = Features(Features::INDIRECT.0 | Features::EVENT_INDEX.0);

struct Bed {
    ram: FakeRam,
    driver: DriverQueue,
    queue: Queue,
}

impl Bed {
    fn new(size: u16, features: Features) -> Self {
        let driver = DriverQueue::new(Gpa(0x1000), size);
        let mut queue = Queue::new(64);
        queue.set_size(size);
        queue.places = RingPlaces {
            descriptors: driver.descriptors,
            available: driver.available,
            used: driver.used,
        };
        queue.enable().unwrap();
        queue.set_features(RingFeatures::from(features));
        Self {
            ram: FakeRam::new(RAM),
            driver,
            queue,
        }
    }

    /// Serves everything: collects what can be read, writes `!` to what can be written.
    fn serve(&mut self) -> Result<(Stop, Vec<Vec<u8>>), QueueFault> {
        let mut seen = Vec::new();
        let stop = Ring::new(&mut self.queue, &self.ram).serve(|chain| {
            let mut bytes = vec![0; chain.readable_bytes().min(4096) as usize];
            let read = chain.read(0, &mut bytes)?;
            bytes.truncate(read);
            seen.push(bytes);
            let written = chain.write(0, &vec![b'!'; chain.writable_bytes().min(4096) as usize])?;
            Ok(Served::Done(written as u32))
        })?;
        Ok((stop, seen))
    }

    fn fault(&mut self) -> QueueFault {
        self.serve().unwrap_err()
    }

    fn raw(&mut self, at: u64, bytes: u32, flags: u16, next: u16) {
        let descriptor = RawDescriptor {
            at: Gpa(at),
            bytes,
            flags,
            next,
        };
        self.driver.offer_raw(&self.ram, descriptor).unwrap();
    }
}

#[test]
fn buffers_are_read_and_written_in_order() {
    let mut bed = Bed::new(4, Features::default());
    bed.ram.write(Gpa(DATA), b"hello world").unwrap();
    let buffers = [
        Buffer::read(DATA, 5),
        Buffer::read(DATA + 6, 5),
        Buffer::write(DATA + 100, 3),
    ];
    let head = bed.driver.offer(&bed.ram, &buffers).unwrap();
    let (stop, seen) = bed.serve().unwrap();
    assert_eq!(stop, Stop::Empty);
    assert_eq!(seen, [b"helloworld"]);
    let used = bed.driver.take_used(&bed.ram).unwrap();
    assert_eq!(used, Some((u32::from(head), 3)));
    assert_eq!(bed.driver.take_used(&bed.ram).unwrap(), None);
    let mut written = [0; 4];
    bed.ram.read(Gpa(DATA + 100), &mut written).unwrap();
    assert_eq!(&written, b"!!!\0");
}

#[test]
fn cursors_wrap_with_the_ring_and_with_16_bits() {
    let mut bed = Bed::new(2, ALL);
    for round in 0..70_000_u32 {
        let byte = [round as u8];
        bed.ram.write(Gpa(DATA), &byte).unwrap();
        bed.driver
            .offer(&bed.ram, &[Buffer::read(DATA, 1)])
            .unwrap();
        assert_eq!(bed.serve().unwrap().1, [byte]);
        assert!(bed.driver.take_used(&bed.ram).unwrap().is_some());
    }
}

#[test]
fn an_indirect_table_is_one_buffer() {
    let mut bed = Bed::new(4, ALL);
    bed.ram.write(Gpa(DATA), b"abc").unwrap();
    let buffers = [
        Buffer::read(DATA, 1),
        Buffer::read(DATA + 1, 2),
        Buffer::write(DATA + 9, 1),
    ];
    bed.driver
        .offer_indirect(&bed.ram, TABLE, &buffers)
        .unwrap();
    assert_eq!(bed.serve().unwrap().1, [b"abc"]);
    assert_eq!(bed.driver.take_used(&bed.ram).unwrap(), Some((0, 1)));
}

#[test]
fn offsets_skip_whole_buffers_and_parts() {
    let mut bed = Bed::new(4, ALL);
    bed.ram.write(Gpa(DATA), b"abcdef").unwrap();
    let buffers = [
        Buffer::read(DATA, 2),
        Buffer::read(DATA, 0),
        Buffer::read(DATA + 2, 4),
    ];
    bed.driver.offer(&bed.ram, &buffers).unwrap();
    let mut seen = Vec::new();
    Ring::new(&mut bed.queue, &bed.ram)
        .serve(|chain| {
            for offset in [0, 1, 2, 5, 6, u64::MAX] {
                let mut bytes = [0; 3];
                let read = chain.read(offset, &mut bytes)?;
                seen.push(bytes[..read].to_vec());
            }
            Ok(Served::Done(0))
        })
        .unwrap();
    assert_eq!(seen, [&b"abc"[..], b"bcd", b"cde", b"f", b"", b""]);
}

#[test]
fn what_is_put_off_stays_and_comes_again() {
    let mut bed = Bed::new(4, ALL);
    bed.driver
        .offer(&bed.ram, &[Buffer::read(DATA, 1)])
        .unwrap();
    let stop = Ring::new(&mut bed.queue, &bed.ram).serve(|_| Ok(Served::Later));
    assert_eq!(stop, Ok(Stop::Later));
    assert_eq!(bed.driver.take_used(&bed.ram).unwrap(), None);
    assert_eq!(bed.serve().unwrap().1.len(), 1);
}

#[test]
fn interrupts_come_as_the_driver_wants_them() {
    let mut bed = Bed::new(4, Features::default());
    assert!(!bed.queue.interrupt_is_due(&bed.ram).unwrap());
    bed.driver
        .offer(&bed.ram, &[Buffer::read(DATA, 1)])
        .unwrap();
    bed.serve().unwrap();
    assert!(bed.queue.interrupt_is_due(&bed.ram).unwrap());
    assert!(!bed.queue.interrupt_is_due(&bed.ram).unwrap());
    bed.driver.refuse_interrupts(&bed.ram).unwrap();
    bed.driver
        .offer(&bed.ram, &[Buffer::read(DATA, 1)])
        .unwrap();
    bed.serve().unwrap();
    assert!(!bed.queue.interrupt_is_due(&bed.ram).unwrap());
}

#[test]
fn with_event_indices_both_sides_say_when() {
    let mut bed = Bed::new(8, ALL);
    // An interrupt at the second used buffer: index 1.
    bed.driver.set_used_event(&bed.ram, 1).unwrap();
    let mut due = Vec::new();
    for _ in 0..3 {
        bed.driver
            .offer(&bed.ram, &[Buffer::read(DATA, 1)])
            .unwrap();
        bed.serve().unwrap();
        due.push(bed.queue.interrupt_is_due(&bed.ram).unwrap());
    }
    assert_eq!(due, [false, true, false]);
    assert_eq!(bed.driver.available_event(&bed.ram).unwrap(), 3);
}

#[test]
fn a_driver_that_never_stops_does_not_hold_the_device() {
    let mut bed = Bed::new(4, ALL);
    let (ram, driver) = (&bed.ram, &mut bed.driver);
    driver.offer(ram, &[Buffer::read(DATA, 1)]).unwrap();
    let mut turns = 0;
    let stop = Ring::new(&mut bed.queue, ram).serve(|_| {
        turns += 1;
        driver.offer(ram, &[Buffer::read(DATA, 1)]).unwrap();
        Ok(Served::Done(0))
    });
    assert_eq!((stop, turns), (Ok(Stop::Enough), 4));
}

#[test]
fn an_index_beyond_the_queue_is_a_fault() {
    for jump in [5, 0x8000, 0xffff] {
        let mut bed = Bed::new(4, ALL);
        bed.driver.set_available_index(&bed.ram, jump).unwrap();
        let fault = QueueFault::AvailableIndex {
            available: jump,
            taken: 0,
        };
        assert_eq!(bed.fault(), fault);
    }
}

#[test]
fn loops_and_long_chains_are_faults() {
    let mut bed = Bed::new(4, ALL);
    bed.raw(DATA, 1, flags::NEXT, 0);
    assert_eq!(bed.fault(), QueueFault::TooLong);

    // Also through an indirect table, with a loop and with more entries than the queue has.
    for (entries, next) in [(1, 0), (64, 1)] {
        let mut bed = Bed::new(4, ALL);
        for index in 0..entries {
            let descriptor = RawDescriptor {
                at: Gpa(DATA),
                bytes: 1,
                flags: flags::NEXT,
                next: (index + next) % entries,
            };
            DriverQueue::put(&bed.ram, TABLE, index, descriptor).unwrap();
        }
        bed.raw(TABLE.0, u32::from(entries) * 16, flags::INDIRECT, 0);
        assert_eq!(bed.fault(), QueueFault::TooLong, "{entries} entries");
    }
}

#[test]
fn a_chain_may_be_exactly_as_long_as_the_queue() {
    for (length, fits) in [(4, true), (5, false)] {
        let mut bed = Bed::new(4, ALL);
        let buffers = vec![Buffer::read(DATA, 1); length];
        bed.driver
            .offer_indirect(&bed.ram, TABLE, &buffers)
            .unwrap();
        assert_eq!(bed.serve().is_ok(), fits, "{length} descriptors");
    }
}

#[test]
fn descriptors_that_do_not_exist_are_faults() {
    let mut bed = Bed::new(4, ALL);
    bed.driver.offer_head(&bed.ram, 4).unwrap();
    assert_eq!(bed.fault(), QueueFault::NoSuchDescriptor(4));
    let mut bed = Bed::new(4, ALL);
    bed.raw(DATA, 1, flags::NEXT, 4);
    assert_eq!(bed.fault(), QueueFault::NoSuchDescriptor(4));
}

#[test]
fn indirect_tables_where_none_may_be_are_faults() {
    let mut bed = Bed::new(4, Features::default());
    bed.raw(TABLE.0, 16, flags::INDIRECT, 0);
    assert_eq!(bed.fault(), QueueFault::Indirect);

    let mut bed = Bed::new(4, ALL);
    bed.raw(TABLE.0, 16, flags::INDIRECT | flags::NEXT, 1);
    assert_eq!(bed.fault(), QueueFault::Indirect);

    let mut bed = Bed::new(4, ALL);
    let nested = RawDescriptor {
        at: TABLE,
        bytes: 16,
        flags: flags::INDIRECT,
        next: 0,
    };
    DriverQueue::put(&bed.ram, TABLE, 0, nested).unwrap();
    bed.raw(TABLE.0, 16, flags::INDIRECT, 0);
    assert_eq!(bed.fault(), QueueFault::Indirect);

    for bytes in [0, 15, 17] {
        let mut bed = Bed::new(4, ALL);
        bed.raw(TABLE.0, bytes, flags::INDIRECT, 0);
        assert_eq!(bed.fault(), QueueFault::IndirectBytes(bytes));
    }
}

#[test]
fn order_and_size_of_buffers_are_checked() {
    let mut bed = Bed::new(4, ALL);
    let wrong = [Buffer::write(DATA, 1), Buffer::read(DATA, 1)];
    bed.driver.offer(&bed.ram, &wrong).unwrap();
    assert_eq!(bed.fault(), QueueFault::ReadableAfterWritable);

    let mut bed = Bed::new(4, ALL);
    let huge = [Buffer::write(0, u32::MAX), Buffer::write(0, 2)];
    bed.driver.offer(&bed.ram, &huge).unwrap();
    assert_eq!(bed.fault(), QueueFault::TooManyBytes);
}

#[test]
fn nothing_outside_ram_is_touched() {
    let mut bed = Bed::new(4, ALL);
    bed.driver
        .offer(&bed.ram, &[Buffer::write(RAM - 2, 3)])
        .unwrap();
    assert!(matches!(bed.fault(), QueueFault::NotRam(_)));

    let mut bed = Bed::new(4, ALL);
    bed.driver
        .offer(&bed.ram, &[Buffer::read(u64::MAX, 3)])
        .unwrap();
    assert!(matches!(bed.fault(), QueueFault::NotRam(_)));

    let mut bed = Bed::new(4, ALL);
    bed.raw(u64::MAX - 15, 32, flags::INDIRECT, 0);
    assert!(matches!(bed.fault(), QueueFault::NotRam(_)));

    for part in 0..3 {
        let mut bed = Bed::new(4, ALL);
        bed.driver
            .offer(&bed.ram, &[Buffer::write(DATA, 1)])
            .unwrap();
        let places = &mut bed.queue.places;
        let places = [
            &mut places.descriptors,
            &mut places.available,
            &mut places.used,
        ];
        *places.into_iter().nth(part).unwrap() = Gpa(u64::MAX - 15);
        assert!(matches!(
            bed.fault(),
            QueueFault::NotRam(_) | QueueFault::BeyondMemory
        ));
    }
}

#[test]
fn rings_must_be_aligned_and_sizes_possible() {
    for (descriptors, available, used) in [(8, 0, 0), (0, 1, 0), (0, 0, 2)] {
        let mut queue = Queue::new(8);
        queue.places = RingPlaces {
            descriptors: Gpa(descriptors),
            available: Gpa(available),
            used: Gpa(used),
        };
        assert_eq!(queue.enable(), Err(QueueFault::Misaligned));
    }
    let mut queue = Queue::new(8);
    for size in [0, 3, 16, 0xffff] {
        queue.set_size(size);
        assert_eq!(queue.size, 8);
    }
    queue.set_size(1);
    assert_eq!(queue.size, 1);
}

#[test]
fn a_reset_begins_at_the_first_entry_again() {
    let mut bed = Bed::new(4, ALL);
    bed.driver
        .offer(&bed.ram, &[Buffer::read(DATA, 1)])
        .unwrap();
    bed.serve().unwrap();
    let places = bed.queue.places;
    bed.queue.reset();
    assert!(!bed.queue.is_enabled());
    assert_eq!((bed.queue.size, bed.queue.vector), (64, NO_VECTOR));
    bed.ram.zero(Gpa(0x1000), 0x3000).unwrap();
    bed.queue.places = places;
    bed.queue.set_size(4);
    let mut driver = DriverQueue::new(Gpa(0x1000), 4);
    driver.offer(&bed.ram, &[Buffer::read(DATA, 1)]).unwrap();
    bed.driver = driver;
    assert_eq!(bed.serve().unwrap().1.len(), 1);
    assert!(bed.driver.take_used(&bed.ram).unwrap().is_some());
}

/// Memory that a guest changes all the time: no two reads of the same place need agree.
struct ChangingRam {
    ram: FakeRam,
    state: core::cell::Cell<u64>,
}

impl ChangingRam {
    /// Now and then a bit to flip.
    fn flip(&self) -> Option<u32> {
        let mut state = self.state.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.state.set(state);
        (state.is_multiple_of(8)).then_some((state >> 32) as u32)
    }
}

impl GuestRam for ChangingRam {
    fn read(&self, at: Gpa, into: &mut [u8]) -> Result<(), vmm_ram::NotRam> {
        self.ram.read(at, into)?;
        if let Some(flip) = self.flip()
            && !into.is_empty()
        {
            let bit = flip as usize % (into.len() * 8);
            into[bit / 8] ^= 1 << (bit % 8);
        }
        Ok(())
    }

    fn write(&self, at: Gpa, from: &[u8]) -> Result<(), vmm_ram::NotRam> {
        self.ram.write(at, from)
    }

    fn load_u16(&self, at: Gpa) -> Result<u16, vmm_ram::NotRam> {
        let value = self.ram.load_u16(at)?;
        // Low bits, so that an index often stays possible.
        Ok(self.flip().map_or(value, |flip| value ^ 1 << (flip % 4)))
    }

    fn store_u16(&self, at: Gpa, value: u16) -> Result<(), vmm_ram::NotRam> {
        self.ram.store_u16(at, value)
    }

    fn zero(&self, at: Gpa, bytes: u64) -> Result<(), vmm_ram::NotRam> {
        self.ram.zero(at, bytes)
    }
}

#[test]
fn memory_that_changes_between_reads_costs_only_its_guest() {
    let (mut faults, mut served) = (0, 0);
    for seed in 1..2_000 {
        let mut bed = Bed::new(16, ALL);
        for _ in 0..8 {
            let buffers = [Buffer::read(DATA, 64), Buffer::write(DATA + 64, 64)];
            bed.driver.offer(&bed.ram, &buffers).unwrap();
            bed.driver
                .offer_indirect(&bed.ram, TABLE, &buffers)
                .unwrap();
        }
        let ram = ChangingRam {
            ram: bed.ram,
            state: core::cell::Cell::new(seed * 0x9e37_79b9),
        };
        for _ in 0..4 {
            let before = ram.ram.accesses();
            let result = Ring::new(&mut bed.queue, &ram).serve(|chain| {
                let mut bytes = [0; 256];
                chain.read(0, &mut bytes)?;
                served += 1;
                Ok(Served::Done(chain.write(0, &bytes)? as u32))
            });
            assert!(ram.ram.accesses() - before < 600);
            faults += u32::from(result.is_err());
        }
    }
    assert!(faults > 1_000 && served > 1_000, "{faults} {served}");
}
