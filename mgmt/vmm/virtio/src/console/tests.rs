use super::*;
use crate::mock::{Buffer, DriverQueue};
use crate::queue::{Queue, RingFeatures, RingPlaces};
use vmm_ram::Gpa;
use vmm_ram::fake::FakeRam;

const DATA: u64 = 0x1_0000;

struct Bed {
    ram: FakeRam,
    driver: DriverQueue,
    queue: Queue,
    console: Console,
}

impl Bed {
    fn new() -> Self {
        let driver = DriverQueue::new(Gpa(0x1000), 64);
        let mut queue = Queue::new(64);
        queue.places = RingPlaces {
            descriptors: driver.descriptors,
            available: driver.available,
            used: driver.used,
        };
        queue.enable().unwrap();
        queue.set_features(RingFeatures::from(Features::OF_TRANSPORT));
        Self {
            ram: FakeRam::new(1 << 20),
            driver,
            queue,
            console: Console::default(),
        }
    }

    fn serve(&mut self, index: QueueIndex) -> Stop {
        let mut ring = Ring::new(&mut self.queue, &self.ram);
        self.console.serve(index, &mut ring).unwrap()
    }
}

#[test]
fn what_the_guest_writes_comes_out_and_fills_up_at_the_limit() {
    let mut bed = Bed::new();
    let long = 40_000;
    let bytes: Vec<u8> = (0..long).map(|index| (index % 251) as u8).collect();
    bed.ram.write(Gpa(DATA), &bytes).unwrap();
    bed.driver
        .offer(&bed.ram, &[Buffer::read(DATA, long)])
        .unwrap();
    bed.driver
        .offer(&bed.ram, &[Buffer::read(DATA, 3)])
        .unwrap();

    let mut seen = Vec::new();
    let mut held_back = 0;
    let mut chunk = [0; 1000];
    loop {
        let stop = bed.serve(OUTPUT);
        assert_eq!(stop == Stop::Later, bed.console.holds_back());
        held_back += u32::from(bed.console.holds_back());
        let taken = bed.console.take_output(&mut chunk);
        if taken == 0 {
            break;
        }
        seen.extend_from_slice(&chunk[..taken]);
    }
    assert!(held_back > 10);
    assert_eq!(seen[..bytes.len()], bytes[..]);
    assert_eq!(seen[bytes.len()..], bytes[..3]);
    assert_eq!(bed.driver.take_used(&bed.ram).unwrap(), Some((0, 0)));
    assert_eq!(bed.driver.take_used(&bed.ram).unwrap(), Some((1, 0)));
}

#[test]
fn input_waits_for_buffers_and_is_cut_to_them() {
    let mut bed = Bed::new();
    assert_eq!(bed.serve(INPUT), Stop::Later);
    assert_eq!(bed.console.add_input(b"abcdefgh"), 8);
    assert_eq!(bed.serve(INPUT), Stop::Empty);
    for at in [DATA, DATA + 16] {
        let halves = [Buffer::write(at, 2), Buffer::write(at + 8, 3)];
        bed.driver.offer(&bed.ram, &halves).unwrap();
    }
    bed.driver
        .offer(&bed.ram, &[Buffer::write(DATA, 1)])
        .unwrap();
    assert_eq!(bed.serve(INPUT), Stop::Later);
    assert_eq!(bed.driver.take_used(&bed.ram).unwrap(), Some((0, 5)));
    assert_eq!(bed.driver.take_used(&bed.ram).unwrap(), Some((2, 3)));
    assert_eq!(bed.driver.take_used(&bed.ram).unwrap(), None);
    let mut bytes = [0; 11];
    bed.ram.read(Gpa(DATA), &mut bytes).unwrap();
    assert_eq!(&bytes, b"ab\0\0\0\0\0\0cde");
    bed.ram.read(Gpa(DATA + 16), &mut bytes).unwrap();
    assert_eq!(&bytes, b"fg\0\0\0\0\0\0h\0\0");
}

#[test]
fn input_beyond_the_limit_is_not_taken() {
    let mut console = Console::default();
    assert_eq!(console.add_input(&[0; 5000]), INPUT_BYTES);
    assert_eq!(console.input_room(), 0);
    console.clear_input();
    assert_eq!(console.input_room(), INPUT_BYTES);
}

#[test]
fn the_configuration_tells_the_size() {
    let mut console = Console::new(TerminalSize {
        columns: 132,
        rows: 50,
    });
    assert_eq!(console.read_config(0, Width::Dword), 50 << 16 | 132);
    assert_eq!(console.read_config(4, Width::Dword), 1);
    assert_eq!(console.read_config(8, Width::Qword), 0);
    assert_eq!(console.read_config(u64::MAX, Width::Qword), 0);
    console.resize(TerminalSize::default());
    assert_eq!(console.read_config(0, Width::Word), 80);
}

#[test]
fn a_guest_that_shortens_a_buffer_meanwhile_only_cheats_itself() {
    let mut bed = Bed::new();
    bed.driver
        .offer(&bed.ram, &[Buffer::read(DATA, 30_000)])
        .unwrap();
    assert_eq!(bed.serve(OUTPUT), Stop::Later);
    let short = crate::mock::RawDescriptor {
        at: Gpa(DATA),
        bytes: 10,
        flags: 0,
        next: 0,
    };
    DriverQueue::put(&bed.ram, bed.driver.descriptors, 0, short).unwrap();
    assert_eq!(bed.serve(OUTPUT), Stop::Empty);
    assert_eq!(bed.driver.take_used(&bed.ram).unwrap(), Some((0, 0)));
}
