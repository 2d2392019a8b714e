//! Drives devices through their registers, as a driver does.

use super::*;
use crate::layout::{common, status};
use crate::mock::{Buffer, DriverQueue};
use crate::{Console, Entropy, INPUT, OUTPUT, TerminalSize};
use vmm_pci::{Message, command};
use vmm_ram::Gpa;
use vmm_ram::fake::FakeRam;

const DATA: u64 = 0x1_0000;
const READY: u8 = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK | status::DRIVER_OK;

struct Bed<D> {
    ram: FakeRam,
    out: Outbox,
    virtio: VirtioPci<D>,
}

impl<D: VirtioDevice> Bed<D> {
    fn new(device: D) -> Self {
        let mut bed = Self {
            ram: FakeRam::new(1 << 20),
            out: Outbox::default(),
            virtio: VirtioPci::new(Slot::new(2).unwrap(), device).unwrap(),
        };
        bed.config_write(
            4,
            Width::Word,
            u64::from(command::MEMORY | command::BUS_MASTER),
        );
        bed
    }

    fn config_write(&mut self, offset: u16, width: Width, value: u64) {
        self.virtio
            .write_config(offset, width, value, &self.ram, &mut self.out);
    }

    fn config_read(&mut self, offset: u16, width: Width) -> u64 {
        self.virtio
            .read_config(offset, width, &self.ram, &mut self.out)
    }

    fn write(&mut self, at: u32, width: Width, value: u64) {
        self.virtio
            .write_bar(u64::from(at), width, value, &self.ram, &mut self.out);
    }

    fn read(&mut self, at: u32, width: Width) -> u64 {
        self.virtio.read_bar(u64::from(at), width, &self.ram)
    }

    fn common(&mut self, register: u64, width: Width, value: u64) {
        self.write(register as u32, width, value);
    }

    fn status(&mut self, value: u8) -> u8 {
        self.common(common::STATUS, Width::Byte, u64::from(value));
        self.virtio.status()
    }

    fn features(&mut self, features: Features) {
        for select in [0, 1] {
            self.common(common::DRIVER_FEATURE_SELECT, Width::Dword, select);
            let word = features.word(select as u32);
            self.common(common::DRIVER_FEATURE, Width::Dword, u64::from(word));
        }
    }

    fn queue(&mut self, index: u16, base: u64, size: u16) -> DriverQueue {
        let driver = DriverQueue::new(Gpa(base), size);
        self.common(common::QUEUE_SELECT, Width::Word, u64::from(index));
        self.common(common::QUEUE_SIZE, Width::Word, u64::from(size));
        for (register, place) in [
            (common::QUEUE_DESCRIPTORS, driver.descriptors),
            (common::QUEUE_AVAILABLE, driver.available),
            (common::QUEUE_USED, driver.used),
        ] {
            self.common(register, Width::Dword, place.0 & 0xffff_ffff);
            self.common(register + 4, Width::Dword, place.0 >> 32);
        }
        self.common(common::QUEUE_ENABLE, Width::Word, 1);
        driver
    }

    /// A driver's start, without MSI-X.
    fn start(&mut self) -> Vec<DriverQueue> {
        self.status(0);
        self.status(status::ACKNOWLEDGE | status::DRIVER);
        self.features(Features::OF_TRANSPORT);
        self.status(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK);
        let queues = (0..self.virtio.queue_count())
            .map(|index| self.queue(index, 0x1000 + u64::from(index) * 0x3000, 8))
            .collect();
        assert_eq!(self.status(READY), READY);
        queues
    }

    fn sent(&mut self) -> Vec<u32> {
        self.out.take().map(|Message { data, .. }| data).collect()
    }

    /// Turns MSI-X on, with an entry for each vector.
    fn messages(&mut self) {
        let mut at = 0x34;
        loop {
            at = self.config_read(at, Width::Byte) as u16;
            assert_ne!(at, 0, "there is a capability for MSI-X");
            if self.config_read(at, Width::Byte) == 0x11 {
                break;
            }
            at += 1;
        }
        self.config_write(at + 2, Width::Word, 0x8000);
        for vector in 0..u32::from(self.virtio.function().vectors()) {
            let entry = place::MSIX_TABLE + vector * 16;
            self.write(entry, Width::Dword, 0xfee0_0000);
            self.write(entry + 4, Width::Dword, 0);
            self.write(entry + 8, Width::Dword, u64::from(0x40 + vector));
            self.write(entry + 12, Width::Dword, 0);
        }
    }
}

fn entropy() -> Bed<Entropy> {
    Bed::new(Entropy::new(Box::new(|bytes| bytes.fill(0x5a))))
}

#[test]
fn capabilities_name_every_region() {
    let mut bed = Bed::new(Console::default());
    let mut at = bed.config_read(0x34, Width::Byte) as u16;
    let mut seen = Vec::new();
    while at != 0 {
        if bed.config_read(at, Width::Byte) == 9 {
            seen.push((
                bed.config_read(at + 3, Width::Byte),
                bed.config_read(at + 4, Width::Byte),
                bed.config_read(at + 8, Width::Dword),
                bed.config_read(at + 12, Width::Dword),
            ));
            let length = bed.config_read(at + 2, Width::Byte);
            let longer = matches!(seen.last(), Some((2 | 5, ..)));
            assert_eq!(length, if longer { 20 } else { 16 });
            if let Some((2, ..)) = seen.last() {
                assert_eq!(bed.config_read(at + 16, Width::Dword), 4);
            }
        }
        at = bed.config_read(at + 1, Width::Byte) as u16;
    }
    let expected = [
        (1, 0, 0, 0x38),
        (2, 0, 0x3000, 8),
        (3, 0, 0x1000, 1),
        (4, 0, 0x2000, 12),
        (5, 0, 0, 0),
    ];
    assert_eq!(seen, expected);
    assert_eq!(bed.config_read(0, Width::Dword), 0x1043_1af4);
}

#[test]
fn features_must_be_offered_and_modern() {
    for (wanted, agreed) in [
        (Features::OF_TRANSPORT, true),
        (Features::VERSION_1, true),
        (Features::INDIRECT, false),
        // The packed ring is not offered.
        (Features(1 << 34 | 1 << 32), false),
    ] {
        let mut bed = entropy();
        bed.status(status::ACKNOWLEDGE | status::DRIVER);
        bed.features(wanted);
        let after = bed.status(READY);
        assert_eq!(after & status::FEATURES_OK != 0, agreed, "{wanted:?}");
        assert_eq!(after & status::DRIVER_OK != 0, agreed, "{wanted:?}");
    }
    let mut bed = entropy();
    bed.common(common::DEVICE_FEATURE_SELECT, Width::Dword, 1);
    assert_eq!(bed.read(common::DEVICE_FEATURE as u32, Width::Dword), 1);
    bed.common(common::DEVICE_FEATURE_SELECT, Width::Dword, 2);
    assert_eq!(bed.read(common::DEVICE_FEATURE as u32, Width::Dword), 0);
}

#[test]
fn what_is_agreed_stays() {
    let mut bed = entropy();
    bed.features(Features::VERSION_1);
    bed.status(READY);
    bed.features(Features::default());
    bed.common(common::DRIVER_FEATURE_SELECT, Width::Dword, 1);
    assert_eq!(bed.read(common::DRIVER_FEATURE as u32, Width::Dword), 1);
}

#[test]
fn a_queue_that_is_not_there_has_size_zero() {
    let mut bed = entropy();
    assert_eq!(bed.read(common::QUEUE_COUNT as u32, Width::Word), 1);
    bed.common(common::QUEUE_SELECT, Width::Word, 1);
    assert_eq!(bed.read(common::QUEUE_SIZE as u32, Width::Word), 0);
    bed.common(common::QUEUE_ENABLE, Width::Word, 1);
    bed.common(common::QUEUE_DESCRIPTORS, Width::Qword, 0x1000);
    assert_eq!(bed.read(0x20, Width::Qword), 0);
}

#[test]
fn an_enabled_queue_cannot_be_moved() {
    let mut bed = entropy();
    bed.queue(0, 0x1_2345_6000, 4);
    bed.common(common::QUEUE_DESCRIPTORS, Width::Qword, 0x9000);
    bed.common(common::QUEUE_SIZE, Width::Word, 2);
    bed.common(common::QUEUE_ENABLE, Width::Word, 0);
    assert_eq!(bed.read(0x20, Width::Qword), 0x1_2345_6000);
    assert_eq!(bed.read(0x30, Width::Dword), 0x2345_8000);
    assert_eq!(bed.read(0x18, Width::Word), 4);
    assert_eq!(bed.read(0x1c, Width::Word), 1);
}

#[test]
fn registers_can_be_read_in_any_width() {
    let mut bed = entropy();
    bed.status(3);
    assert_eq!(bed.read(0x10, Width::Qword), 0x3_0001_ffff);
    assert_eq!(bed.read(0x14, Width::Byte), 3);
    assert_eq!(bed.read(0x37, Width::Qword), 0);
    assert_eq!(bed.read(0x6000, Width::Dword), 0);
}

#[test]
fn random_bytes_come_with_an_interrupt_by_pin() {
    let mut bed = entropy();
    let mut queue = bed.start().remove(0);
    queue
        .offer(
            &bed.ram,
            &[Buffer::write(DATA, 3), Buffer::write(DATA + 8, 600)],
        )
        .unwrap();
    bed.write(place::NOTIFY, Width::Word, 0);
    assert_eq!(queue.take_used(&bed.ram).unwrap(), Some((0, 512)));
    let mut bytes = [0; 9];
    bed.ram.read(Gpa(DATA), &mut bytes).unwrap();
    assert_eq!(bytes, [0x5a, 0x5a, 0x5a, 0, 0, 0, 0, 0, 0x5a]);

    assert!(bed.virtio.function().asserted_pin().is_some());
    assert_eq!(bed.read(place::ISR, Width::Byte), 1);
    assert!(bed.virtio.function().asserted_pin().is_none());
    assert_eq!(bed.read(place::ISR, Width::Byte), 0);
    assert_eq!(bed.sent(), []);
}

#[test]
fn with_messages_each_queue_has_its_vector() {
    let mut bed = entropy();
    bed.messages();
    bed.common(common::CONFIG_VECTOR, Width::Word, 3);
    assert_eq!(bed.read(0x10, Width::Word), 0xffff, "there is no vector 3");
    let mut queue = bed.start().remove(0);
    // A reset takes the vectors: the driver sets them again.
    bed.common(common::QUEUE_VECTOR, Width::Word, 1);
    assert_eq!(bed.read(0x1a, Width::Word), 1);
    queue.offer(&bed.ram, &[Buffer::write(DATA, 8)]).unwrap();
    bed.write(place::NOTIFY, Width::Dword, 0);
    assert_eq!(bed.sent(), [0x41]);
    assert_eq!(bed.read(place::ISR, Width::Byte), 0);
    assert!(bed.virtio.function().asserted_pin().is_none());

    bed.common(common::QUEUE_VECTOR, Width::Word, 0xffff);
    queue.set_used_event(&bed.ram, 1).unwrap();
    queue.offer(&bed.ram, &[Buffer::write(DATA, 8)]).unwrap();
    bed.write(place::NOTIFY, Width::Dword, 0);
    assert_eq!(bed.sent(), []);
}

#[test]
fn doorbells_are_there_while_queues_are_served() {
    let mut bed = Bed::new(Console::default());
    let bells = |bed: &Bed<Console>| [INPUT, OUTPUT].map(|queue| bed.virtio.doorbell(queue));
    assert_eq!(bells(&bed), [None; 2]);
    bed.start();
    assert_eq!(bells(&bed), [Some(0x3000), Some(0x3004)]);
    assert_eq!(bed.virtio.doorbell(QueueIndex(2)), None);
    bed.config_write(4, Width::Word, u64::from(command::MEMORY));
    assert_eq!(bells(&bed), [None; 2]);
    bed.config_write(
        4,
        Width::Word,
        u64::from(command::MEMORY | command::BUS_MASTER),
    );
    assert_eq!(bells(&bed), [Some(0x3000), Some(0x3004)]);
    bed.status(0);
    assert_eq!(bells(&bed), [None; 2]);
}

#[test]
fn without_bus_mastering_memory_is_left_alone() {
    let mut bed = entropy();
    let mut queue = bed.start().remove(0);
    bed.config_write(4, Width::Word, u64::from(command::MEMORY));
    queue.offer(&bed.ram, &[Buffer::write(DATA, 8)]).unwrap();
    let before = bed.ram.accesses();
    bed.write(place::NOTIFY, Width::Word, 0);
    assert_eq!(bed.ram.accesses(), before);
    bed.config_write(4, Width::Word, u64::from(command::BUS_MASTER));
    assert!(queue.take_used(&bed.ram).unwrap().is_some());
}

#[test]
fn a_fault_stops_the_device_until_its_reset() {
    let mut bed = entropy();
    bed.messages();
    let mut queue = bed.start().remove(0);
    bed.common(common::CONFIG_VECTOR, Width::Word, 0);
    queue.offer_head(&bed.ram, 99).unwrap();
    bed.write(place::NOTIFY, Width::Word, 0);
    assert_eq!(bed.virtio.status(), READY | status::NEEDS_RESET);
    let fault = bed.virtio.fault().unwrap();
    assert_eq!(fault.cause, QueueFault::NoSuchDescriptor(99));
    assert_eq!(
        fault.to_string(),
        "the driver broke queue 0: there is no descriptor 99"
    );
    assert_eq!(bed.sent(), [0x40], "a change of the configuration");
    assert_eq!(bed.virtio.doorbell(QueueIndex(0)), None);
    bed.ram.zero(Gpa(0x1000), 0x3000).unwrap();
    let before = bed.ram.accesses();
    bed.write(place::NOTIFY, Width::Word, 0);
    assert_eq!(bed.ram.accesses(), before);

    let mut queue = bed.start().remove(0);
    assert_eq!(bed.virtio.fault(), None);
    queue.offer(&bed.ram, &[Buffer::write(DATA, 8)]).unwrap();
    bed.write(place::NOTIFY, Width::Word, 0);
    assert_eq!(queue.take_used(&bed.ram).unwrap(), Some((0, 8)));
}

#[test]
fn misaligned_rings_are_a_fault() {
    let mut bed = entropy();
    bed.queue(0, 0x1008, 4);
    assert_eq!(bed.virtio.fault().unwrap().cause, QueueFault::Misaligned);
    assert_eq!(bed.virtio.status(), status::NEEDS_RESET);
    assert_eq!(bed.status(0), 0);
}

#[test]
fn work_left_over_is_done_later() {
    let mut bed = entropy();
    let mut queue = bed.start().remove(0);
    // Eight chains of eight descriptors each are more than one call does.
    let buffers = [Buffer::write(DATA, 1); 8];
    let head = queue.offer(&bed.ram, &buffers).unwrap();
    for _ in 1..8 {
        queue.offer_head(&bed.ram, head).unwrap();
    }
    bed.write(place::NOTIFY, Width::Word, 0);
    let mut used = 0;
    while queue.take_used(&bed.ram).unwrap().is_some() {
        used += 1;
    }
    assert_eq!(used, 2);
    for _ in 0..4 {
        assert!(bed.virtio.has_work() || used == 8);
        bed.virtio.work(&bed.ram, &mut bed.out);
        while queue.take_used(&bed.ram).unwrap().is_some() {
            used += 1;
        }
    }
    assert_eq!(used, 8);
    assert!(!bed.virtio.has_work());
}

#[test]
fn a_resize_tells_the_driver() {
    let mut bed = Bed::new(Console::default());
    bed.virtio.config_changed(&mut bed.out);
    assert!(bed.virtio.function().asserted_pin().is_none());
    bed.start();
    let generation = bed.read(common::GENERATION as u32, Width::Byte);
    bed.virtio.device_mut().resize(TerminalSize {
        columns: 100,
        rows: 30,
    });
    bed.virtio.config_changed(&mut bed.out);
    assert_eq!(bed.read(place::ISR, Width::Byte), 2);
    assert_ne!(bed.read(common::GENERATION as u32, Width::Byte), generation);
    assert_eq!(bed.read(place::DEVICE, Width::Word), 100);
}

#[test]
fn registers_can_be_reached_through_configuration_space() {
    let mut bed = entropy();
    let data = bed.virtio.pci_access as u16;
    let choose = |bed: &mut Bed<Entropy>, offset, length| {
        bed.config_write(data - 12, Width::Byte, 0);
        bed.config_write(data - 8, Width::Dword, offset);
        bed.config_write(data - 4, Width::Dword, length);
    };
    choose(&mut bed, common::STATUS, 1);
    bed.config_write(data, Width::Byte, 1);
    assert_eq!(bed.virtio.status(), 1);
    choose(&mut bed, common::QUEUE_COUNT as u64, 2);
    assert_eq!(bed.config_read(data, Width::Word), 1);
    for (offset, length) in [(0x8000, 4), (0x12, 4), (0x14, 3), (0xffff_fffc, 4), (0, 8)] {
        choose(&mut bed, offset, length);
        bed.config_write(data, Width::Dword, 0);
        assert_eq!(bed.virtio.status(), 1, "{offset:#x} {length}");
        bed.config_read(data, Width::Dword);
    }
    bed.config_write(data - 12, Width::Byte, 1);
    choose(&mut bed, common::STATUS, 1);
    bed.config_write(data, Width::Byte, 0);
    assert_eq!(bed.virtio.status(), 0);
}

#[test]
fn power_on_forgets_everything() {
    let mut bed = entropy();
    bed.messages();
    bed.start();
    bed.virtio.power_on();
    assert_eq!(bed.virtio.status(), 0);
    assert!(!bed.virtio.function().has_messages());
    assert_eq!(bed.virtio.function().command(), 0);
}
