//! A guest's view: finds the devices as Linux does, and drives them.

mod state;

use super::*;
use vmm_pci::{Gsi, Message, Width};
use vmm_ram::Gpa;
use vmm_ram::fake::FakeRam;
use vmm_virtio::mock::{Buffer, DriverQueue};
use vmm_virtio::{QueueFault, status};

const DATA: u64 = 0x10_0000;
const CONSOLE: u8 = 1;
const ENTROPY: u8 = 2;
const MSI: u64 = 0xfee0_1000;
const READY: u8 = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK | status::DRIVER_OK;

struct Guest<'a> {
    board: Board<&'a FakeRam>,
}

fn access(space: Space, address: u64, width: Width, operation: Operation) -> Access {
    Access {
        space,
        address,
        width,
        operation,
    }
}

impl<'a> Guest<'a> {
    fn new(ram: &'a FakeRam) -> Self {
        let parts = Parts {
            terminal: TerminalSize::default(),
            entropy: Box::new(|bytes| bytes.fill(0x5a)),
            processors: Processors {
                possible: 4,
                present: 2,
            },
        };
        let board = Board::new(ram, parts).unwrap();
        Self { board }
    }

    fn read(&mut self, space: Space, address: u64, width: Width) -> u64 {
        let access = access(space, address, width, Operation::Read);
        self.board.access(access)
    }

    fn write(&mut self, space: Space, address: u64, width: Width, value: u64) {
        let access = access(space, address, width, Operation::Write(value));
        assert_eq!(self.board.access(access), 0);
    }

    /// Configuration space by the ports.
    fn config(&mut self, slot: u8, offset: u8) -> u64 {
        let address = 0x8000_0000 | u64::from(slot) << 11 | u64::from(offset);
        self.write(Space::Port, 0xcf8, Width::Dword, address);
        self.read(Space::Port, 0xcfc, Width::Dword)
    }

    fn config_write(&mut self, slot: u8, offset: u64, width: Width, value: u64) {
        let address = map::ECAM.start + (u64::from(slot) << 15) + offset;
        self.write(Space::Memory, address, width, value);
    }

    fn config_read(&mut self, slot: u8, offset: u64, width: Width) -> u64 {
        let address = map::ECAM.start + (u64::from(slot) << 15) + offset;
        self.read(Space::Memory, address, width)
    }

    fn bar(&mut self, slot: u8) -> u64 {
        self.config_read(slot, 0x10, Width::Dword)
    }

    fn effects(&mut self) -> Vec<Effect> {
        self.board.take_effects().collect()
    }

    /// Where a capability is; virtio's by their kind.
    fn capability(&mut self, slot: u8, id: u64, kind: Option<u64>) -> Option<u64> {
        let mut at = self.config_read(slot, 0x34, Width::Byte);
        while at != 0 {
            let is = self.config_read(slot, at, Width::Byte);
            let its_kind = self.config_read(slot, at + 3, Width::Byte);
            if is == id && kind.is_none_or(|kind| kind == its_kind) {
                return Some(at);
            }
            at = self.config_read(slot, at + 1, Width::Byte);
        }
        None
    }

    /// Where the registers of a kind are, as the capability says.
    fn region(&mut self, slot: u8, kind: u64) -> u64 {
        let at = self.capability(slot, 9, Some(kind)).unwrap();
        assert_eq!(self.config_read(slot, at + 4, Width::Byte), 0);
        self.bar(slot) + self.config_read(slot, at + 8, Width::Dword)
    }

    /// What virtio_pci does to a modern device: MSI-X, features, queues, with a vector each.
    fn start(&mut self, slot: u8) -> Vec<DriverQueue> {
        let command = self.config_read(slot, 4, Width::Word);
        self.config_write(slot, 4, Width::Word, command | 4);
        let msix = self.capability(slot, 0x11, None).unwrap();
        self.config_write(slot, msix + 2, Width::Word, 0xc000);
        let vectors = (self.config_read(slot, msix + 2, Width::Word) & 0x7ff) + 1;
        let table = self.bar(slot) + (self.config_read(slot, msix + 4, Width::Dword) & !7);
        for vector in 0..vectors {
            let entry = table + vector * 16;
            self.write(Space::Memory, entry, Width::Dword, MSI);
            self.write(Space::Memory, entry + 4, Width::Dword, 0);
            let data = 0x20 + u64::from(slot) * 0x10 + vector;
            self.write(Space::Memory, entry + 8, Width::Dword, data);
            self.write(Space::Memory, entry + 12, Width::Dword, 0);
        }
        self.config_write(slot, msix + 2, Width::Word, 0x8000);

        let common = self.region(slot, 1);
        let mut put = |offset: u64, width, value| {
            self.write(Space::Memory, common + offset, width, value);
        };
        put(0x14, Width::Byte, 0);
        put(0x14, Width::Byte, u64::from(READY & 3));
        for select in [0, 1] {
            put(0x08, Width::Dword, select);
            put(0x0c, Width::Dword, if select == 0 { 3 << 28 } else { 1 });
        }
        put(0x14, Width::Byte, u64::from(READY & !4));
        put(0x10, Width::Word, 0);
        let count = self.read(Space::Memory, common + 0x12, Width::Word);
        let queues = (0..count).map(|index| {
            let base = 0x2_0000 + u64::from(slot) * 0x1_0000 + index * 0x3000;
            let queue = DriverQueue::new(Gpa(base), 16);
            let mut put = |offset: u64, width, value| {
                self.write(Space::Memory, common + offset, width, value);
            };
            put(0x16, Width::Word, index);
            put(0x18, Width::Word, 16);
            for (offset, at) in [
                (0x20, queue.descriptors),
                (0x28, queue.available),
                (0x30, queue.used),
            ] {
                put(offset, Width::Dword, at.0 & 0xffff_ffff);
                put(offset + 4, Width::Dword, at.0 >> 32);
            }
            put(0x1a, Width::Word, index + 1);
            put(0x1c, Width::Word, 1);
            queue
        });
        let queues = queues.collect();
        self.write(Space::Memory, common + 0x14, Width::Byte, u64::from(READY));
        let after = self.read(Space::Memory, common + 0x14, Width::Byte);
        assert_eq!(after, u64::from(READY));
        queues
    }
}

fn message(slot: u32, vector: u32) -> Effect {
    Effect::Message(Message {
        address: MSI,
        data: 0x20 + slot * 0x10 + vector,
    })
}

#[test]
fn a_scan_finds_a_bridge_and_two_devices() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    guest.write(Space::Port, 0xcf8, Width::Dword, 0x8000_0000);
    assert_eq!(guest.read(Space::Port, 0xcf8, Width::Dword), 0x8000_0000);
    let found: Vec<_> = (0..32)
        .map(|slot| (slot, guest.config(slot, 0), guest.config(slot, 8) >> 16))
        .filter(|(_, id, _)| *id != 0xffff_ffff)
        .collect();
    let expected = [
        (0, 0x0008_1b36, 0x0600),
        (1, 0x1043_1af4, 0x0780),
        (2, 0x1044_1af4, 0x00ff),
    ];
    assert_eq!(found, expected);
    for slot in 0..3 {
        let by_ecam = guest.config_read(slot, 0, Width::Dword);
        assert_eq!(by_ecam, guest.config(slot, 0));
        assert_eq!(guest.config_read(slot, 0x0e, Width::Byte), 0, "type 0");
        assert_eq!(guest.config_read(slot, 0x100, Width::Dword), 0);
    }
    assert_eq!(guest.effects(), []);
}

#[test]
fn firmware_has_placed_the_bars() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    for (slot, base) in [(CONSOLE, 0xd000_0000), (ENTROPY, 0xd000_8000)] {
        assert_eq!(guest.config(slot, 0x10), base);
        assert_eq!(guest.config(slot, 4) & 0xffff, 2);
        assert_eq!(
            guest.read(Space::Memory, base + 0x12, Width::Word),
            u64::from(3 - slot),
            "queues of slot {slot}"
        );
    }
    let pin = guest.config_read(CONSOLE, 0x3c, Width::Word);
    assert_eq!(pin, 0x0111);
}

#[test]
fn a_bar_can_be_sized_and_moved() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    let old = guest.bar(CONSOLE);
    guest.config_write(CONSOLE, 4, Width::Word, 0);
    guest.config_write(CONSOLE, 0x10, Width::Dword, 0xffff_ffff);
    assert_eq!(guest.bar(CONSOLE), 0xffff_8000);
    guest.config_write(CONSOLE, 0x10, Width::Dword, 0xd800_0000);
    let count = |guest: &mut Guest<'_>, base| guest.read(Space::Memory, base + 0x12, Width::Word);
    assert_eq!(count(&mut guest, 0xd800_0000), 0xffff);
    guest.config_write(CONSOLE, 4, Width::Word, 2);
    assert_eq!(count(&mut guest, 0xd800_0000), 2);
    assert_eq!(count(&mut guest, old), 0xffff);
    // Onto the other device's: it has the addresses, for it comes first.
    guest.config_write(CONSOLE, 0x10, Width::Dword, 0xd000_8000);
    assert_eq!(count(&mut guest, 0xd000_8000), 2);
    // Onto RAM, or another's registers: never.
    for base in [0, 0xfee0_0000, 0xe000_0000] {
        guest.config_write(CONSOLE, 0x10, Width::Dword, base);
        let value = count(&mut guest, base);
        assert!(value == 0xffff || base == 0xe000_0000);
    }
}

#[test]
fn hvc0_prints_and_reads() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    let mut queues = guest.start(CONSOLE);
    let notify = guest.region(CONSOLE, 2);
    let bells: Vec<_> = guest.effects();
    let bell = |number, address| Effect::DoorbellAdd {
        bell: DoorbellId(number),
        address,
    };
    assert_eq!(bells, [bell(0, notify), bell(1, notify + 4)]);
    assert_eq!(guest.board.doorbell_count(), 3);

    // By doorbell, with the interrupt that Linux leaves off for output.
    ram.write(Gpa(DATA), b"Hello").unwrap();
    queues[1].set_used_event(&ram, 0x7fff).unwrap();
    queues[1].offer(&ram, &[Buffer::read(DATA, 5)]).unwrap();
    guest.board.notify(DoorbellId(1));
    assert_eq!(queues[1].take_used(&ram).unwrap(), Some((0, 0)));
    assert_eq!(guest.effects(), [Effect::ConsoleOutput]);
    let mut bytes = [0; 16];
    assert_eq!(guest.board.console_output(&mut bytes), 5);
    assert_eq!(&bytes[..5], b"Hello");
    assert_eq!(guest.board.console_output(&mut bytes), 0);
    // By plain access, right after that: told again.
    queues[1].offer(&ram, &[Buffer::read(DATA, 1)]).unwrap();
    guest.write(Space::Memory, notify + 4, Width::Word, 1);
    assert_eq!(guest.effects(), [Effect::ConsoleOutput]);
    assert_eq!(guest.effects(), []);

    assert_eq!(guest.board.console_input(b"ls\n"), 3);
    assert_eq!(guest.effects(), []);
    queues[0]
        .offer(&ram, &[Buffer::write(DATA + 64, 64)])
        .unwrap();
    guest.board.notify(DoorbellId(0));
    assert_eq!(queues[0].take_used(&ram).unwrap(), Some((0, 3)));
    assert_eq!(guest.effects(), [message(1, 1)]);
    ram.read(Gpa(DATA + 64), &mut bytes[..3]).unwrap();
    assert_eq!(&bytes[..3], b"ls\n");
}

#[test]
fn pasted_input_waits_until_the_guest_reads() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    let paste = [b'x'; 10_000];
    let taken = guest.board.console_input(&paste);
    assert!(taken < paste.len());
    assert_eq!(guest.effects(), []);
    let mut queues = guest.start(CONSOLE);
    for _ in 0..2 {
        queues[0].offer(&ram, &[Buffer::write(DATA, 4096)]).unwrap();
    }
    guest.board.notify(DoorbellId(0));
    let effects = guest.effects();
    assert!(effects.contains(&Effect::ConsoleRoom));
    assert_eq!(guest.effects(), []);
    // One buffer is left, and then as much as waits.
    let more = guest.board.console_input(&paste);
    assert_eq!(more, 2 * 4096);
}

#[test]
fn a_guest_that_floods_its_console_is_held_back_and_loses_nothing() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    let mut queues = guest.start(CONSOLE);
    let text: Vec<u8> = (0..200_000_u32).map(|byte| byte as u8).collect();
    ram.write(Gpa(DATA), &text).unwrap();
    queues[1]
        .offer(&ram, &[Buffer::read(DATA, text.len() as u32)])
        .unwrap();
    guest.board.notify(DoorbellId(1));
    assert_eq!(queues[1].take_used(&ram).unwrap(), None);
    let mut seen = Vec::new();
    let mut bytes = [0; 4096];
    let mut turns = 0;
    while guest.effects().contains(&Effect::ConsoleOutput) {
        let mut turn = 0;
        loop {
            let taken = guest.board.console_output(&mut bytes);
            if taken == 0 {
                break;
            }
            seen.extend_from_slice(&bytes[..taken]);
            turn += taken;
        }
        assert!(turn <= 16 << 10, "a turn ends though the guest has more");
        if guest.effects().contains(&Effect::WorkLeft) {
            guest.board.work();
            turns += 1;
        }
    }
    assert_eq!(turns, text.len() / (16 << 10));
    assert_eq!(seen, text);
    assert!(queues[1].take_used(&ram).unwrap().is_some());
}

#[test]
fn random_bytes_come_by_pin_without_messages() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    let mut queues = guest.start(ENTROPY);
    let msix = guest.capability(ENTROPY, 0x11, None).unwrap();
    guest.config_write(ENTROPY, msix + 2, Width::Word, 0);
    guest.effects();
    queues[0].offer(&ram, &[Buffer::write(DATA, 32)]).unwrap();
    guest.board.notify(DoorbellId(2));
    let line = |level| Effect::Line {
        gsi: Gsi(18),
        level,
    };
    assert_eq!(guest.effects(), [line(Level::High)]);
    assert_eq!(guest.effects(), []);
    let isr = guest.region(ENTROPY, 3);
    guest.config_write(ENTROPY, 4, Width::Word, 0x406);
    assert_eq!(guest.effects(), [line(Level::Low)]);
    guest.config_write(ENTROPY, 4, Width::Word, 6);
    assert_eq!(guest.effects(), [line(Level::High)]);
    assert_eq!(guest.read(Space::Memory, isr, Width::Byte), 1);
    assert_eq!(guest.effects(), [line(Level::Low)]);
    let mut bytes = [0; 32];
    ram.read(Gpa(DATA), &mut bytes).unwrap();
    assert_eq!(bytes, [0x5a; 32]);
}

#[test]
fn doorbells_follow_the_bar_and_the_driver() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    guest.start(ENTROPY);
    let bell = DoorbellId(2);
    let (old, new) = (0xd000_b000, 0xd100_3000);
    let (add, remove) = (
        |address| Effect::DoorbellAdd { bell, address },
        |address| Effect::DoorbellRemove { bell, address },
    );
    assert_eq!(guest.effects(), [add(old)]);
    guest.config_write(ENTROPY, 0x10, Width::Dword, 0xd100_0000);
    assert_eq!(guest.effects(), [remove(old), add(new)]);
    guest.config_write(ENTROPY, 4, Width::Word, 4);
    assert_eq!(guest.effects(), [remove(new)]);
    guest.config_write(ENTROPY, 4, Width::Word, 6);
    assert_eq!(guest.effects(), [add(new)]);
    // Behind another device's registers it would ring for the wrong one.
    guest.config_write(ENTROPY, 0x10, Width::Dword, 0xd000_0000);
    assert_eq!(guest.effects(), [remove(new)]);
    guest.config_write(ENTROPY, 0x10, Width::Dword, 0xd100_0000);
    assert_eq!(guest.effects(), [add(new)]);
    guest.write(Space::Memory, 0xd100_0014, Width::Byte, 0);
    assert_eq!(guest.effects(), [remove(new)]);
    guest.board.notify(bell);
    assert_eq!(guest.effects(), []);
}

#[test]
fn a_broken_driver_is_reported_once() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    let mut queues = guest.start(ENTROPY);
    guest.effects();
    queues[0].offer_head(&ram, 16).unwrap();
    guest.board.notify(DoorbellId(2));
    let effects = guest.effects();
    let faults: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Fault { slot, fault } => Some((slot.number(), fault.cause)),
            _ => None,
        })
        .collect();
    assert_eq!(faults, [(2, QueueFault::NoSuchDescriptor(16))]);
    assert!(effects.contains(&message(2, 0)), "the driver is told");
    assert_eq!(guest.effects(), []);
}

#[test]
fn the_power_button_and_s5() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    guest.write(Space::Port, 0x602, Width::Word, 0x0100);
    assert_eq!(guest.board.power_button(), ButtonOutcome::Heard);
    let sci = |level| Effect::Line { gsi: Gsi(9), level };
    assert_eq!(guest.effects(), [sci(Level::High)]);
    assert_eq!(guest.read(Space::Port, 0x600, Width::Word), 0x0100);
    guest.write(Space::Port, 0x600, Width::Word, 0x0100);
    assert_eq!(guest.effects(), [sci(Level::Low)]);
    guest.write(Space::Port, 0x604, Width::Word, 5 << 10 | 1 << 13);
    assert_eq!(guest.effects(), [Effect::PowerOff]);
    guest.write(Space::Port, 0x64, Width::Byte, 0xfe);
    assert_eq!(guest.effects(), [Effect::Reset]);
}

#[test]
fn a_reset_takes_everything_back() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    guest.start(CONSOLE);
    let mut queues = guest.start(ENTROPY);
    let fresh: Vec<_> = (0..64)
        .map(|at| Guest::new(&ram).config_read(ENTROPY, at * 4, Width::Dword))
        .collect();
    guest.write(Space::Port, 0x602, Width::Word, 0x0100);
    guest.board.power_button();
    guest.config_write(ENTROPY, 0x10, Width::Dword, 0xd100_0000);
    guest.effects();
    queues[0].offer(&ram, &[Buffer::write(DATA, 8)]).unwrap();
    guest.board.notify(DoorbellId(2));
    assert_eq!(guest.board.console_input(b"rm -rf"), 6);
    guest.board.reset().unwrap();
    let effects = guest.effects();
    let removed = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::DoorbellRemove { .. }))
        .count();
    assert_eq!(removed, 3);
    let low = Effect::Line {
        gsi: Gsi(9),
        level: Level::Low,
    };
    assert!(effects.contains(&low));
    assert_eq!(
        effects.len(),
        4,
        "no message of the guest before: {effects:?}"
    );
    let after: Vec<_> = (0..64)
        .map(|at| guest.config_read(ENTROPY, at * 4, Width::Dword))
        .collect();
    assert_eq!(after, fresh);
    assert_eq!(guest.board.console_input(&[0; 4096]), 4096);
}

#[test]
fn nothing_answers_elsewhere() {
    let ram = FakeRam::new(16 << 20);
    let mut guest = Guest::new(&ram);
    for (space, address) in [
        (Space::Port, 0x3f8),
        (Space::Port, 0xcfb),
        (Space::Port, 0x606),
        (Space::Port, 0x1_0604),
        (Space::Memory, 0xd001_0000),
        (Space::Memory, 0xe010_0000),
        (Space::Memory, 0xe000_1000),
        (Space::Memory, u64::MAX),
    ] {
        for width in [Width::Byte, Width::Word, Width::Dword, Width::Qword] {
            guest.write(space, address, width, u64::MAX);
            assert_eq!(guest.read(space, address, width), width.ones());
        }
    }
    assert_eq!(guest.effects(), []);
}
