use super::*;
use crate::fake::{FakeDevice, FakeMemory};
use crate::{MsixEntry, Transport, VirtioError};
use std::rc::Rc;

const VERSION_1: u64 = 1 << 32;
const EVENT_INDEX: u64 = 1 << 29;

fn queue(
    offered: u64,
) -> (
    Rc<FakeDevice>,
    Transport<crate::fake::FakeRegisters>,
    Queue<FakeMemory>,
) {
    let device = FakeDevice::new(offered, 1, &[]);
    let transport = device.transport();
    let features = transport.negotiate(Features::default()).unwrap();
    let queue = transport
        .queue(&device.platform(), 0, 64, MsixEntry(3), features)
        .unwrap();
    transport.run();
    (device, transport, queue)
}

fn segment(address: u64, access: Access) -> Segment {
    Segment {
        address: 0x10_0000 + address,
        length: 16,
        access,
    }
}

#[test]
fn features_are_agreed_and_the_device_runs() {
    let (device, _, _) = queue(VERSION_1 | 1 << 33 | 1 << 28);
    assert_eq!(device.agreed(), VERSION_1 | 1 << 33);
    assert!(device.runs());
    assert_eq!(device.vector(0), 3);
}

#[test]
fn bad_devices_are_refused() {
    let negotiate = |device: &Rc<FakeDevice>| device.transport().negotiate(Features::default());
    let device = FakeDevice::new(0, 1, &[]);
    assert_eq!(negotiate(&device), Err(VirtioError::Legacy));
    let device = FakeDevice::new(VERSION_1, 1, &[]);
    device.refuse_features();
    assert_eq!(negotiate(&device), Err(VirtioError::FeaturesRefused));
    let missing =
        device
            .transport()
            .queue(&device.platform(), 1, 64, MsixEntry(0), Features::default());
    assert_eq!(missing.err(), Some(VirtioError::NoQueue(1)));
    assert_eq!(
        device.transport().require_config(4),
        Err(VirtioError::NoStructure("device configuration"))
    );
}

#[test]
fn chains_go_round_many_times_and_keep_their_cookies() {
    for offered in [VERSION_1, VERSION_1 | EVENT_INDEX] {
        let (device, transport, mut queue) = queue(offered);
        for round in 0..70_000u32 {
            let cookie = round as u16;
            let address = u64::from(round % 1000);
            let chain = [
                segment(address, Access::Read),
                segment(0x8000, Access::Write),
            ];
            queue.add(&chain, cookie).unwrap();
            transport.publish(&mut queue);
            let chain = device.pop(0).unwrap();
            assert_eq!(device.read(&chain).len(), 16);
            assert_eq!(device.room(&chain), 16);
            device.push(0, chain, round);
            let used = queue.take().unwrap();
            let expected = Used {
                cookie,
                written: round,
            };
            assert_eq!(used, Some(expected));
        }
        assert_eq!(queue.take(), Ok(None));
    }
}

#[test]
fn a_full_queue_refuses_and_keeps_its_state() {
    let (device, transport, mut queue) = queue(VERSION_1);
    for cookie in 0..16 {
        queue.add(&[segment(0, Access::Read)], cookie).unwrap();
    }
    let one = [segment(0, Access::Read)];
    assert_eq!(queue.add(&one, 99), Err(VirtioError::Full));
    assert_eq!(queue.add(&[], 99), Err(VirtioError::BadRange));
    transport.publish(&mut queue);
    assert_eq!(device.notified(0), 1);
    // Out of order: the device may finish later buffers first.
    let (first, second) = (device.pop(0).unwrap(), device.pop(0).unwrap());
    device.push(0, second, 0);
    device.push(0, first, 0);
    assert_eq!(queue.take().unwrap().map(|used| used.cookie), Some(1));
    assert_eq!(queue.add(&[one[0], one[0]], 99), Err(VirtioError::Full));
    assert_eq!(queue.take().unwrap().map(|used| used.cookie), Some(0));
    assert_eq!(queue.add(&[one[0], one[0]], 99), Ok(()));
}

#[test]
fn a_device_that_returns_what_it_does_not_have_is_found_out() {
    let (device, transport, mut queue) = queue(VERSION_1);
    queue.add(&[segment(0, Access::Read)], 7).unwrap();
    transport.publish(&mut queue);
    device.push_raw(0, 5, 0);
    assert_eq!(queue.take(), Err(VirtioError::BadUsed(5)));
    let (device, _, mut queue) = self::queue(VERSION_1);
    device.push_raw(0, 0x1_0000, 0);
    assert_eq!(queue.take(), Err(VirtioError::BadUsed(0x1_0000)));
    // The same buffer twice.
    let (device, transport, mut queue) = self::queue(VERSION_1);
    queue.add(&[segment(0, Access::Read)], 7).unwrap();
    transport.publish(&mut queue);
    let chain = device.pop(0).unwrap();
    device.push(0, chain, 0);
    device.push_raw(0, 0, 0);
    assert!(queue.take().is_ok());
    assert_eq!(queue.take(), Err(VirtioError::BadUsed(0)));
}

#[test]
fn notifications_follow_the_event_index() {
    let (device, transport, mut queue) = queue(VERSION_1 | EVENT_INDEX);
    let mut publish = |count: u16| {
        for _ in 0..count {
            queue.add(&[segment(0, Access::Read)], 0).unwrap();
        }
        transport.publish(&mut queue);
    };
    publish(1);
    assert_eq!(device.notified(0), 1);
    // The device has not looked since: it needs no second notification.
    publish(2);
    publish(0);
    assert_eq!(device.notified(0), 1);
    while device.pop(0).is_some() {}
    publish(1);
    assert_eq!(device.notified(0), 2);
}

#[test]
fn only_an_armed_queue_interrupts() {
    let (device, transport, mut queue) = queue(VERSION_1 | EVENT_INDEX);
    for _ in 0..3 {
        queue.add(&[segment(0, Access::Read)], 0).unwrap();
    }
    transport.publish(&mut queue);
    let next = || device.pop(0).unwrap();
    assert!(!queue.arm());
    device.push(0, next(), 0);
    assert_eq!(device.interrupts(0), 1);
    // Not armed again: the driver has not looked.
    device.push(0, next(), 0);
    assert_eq!(device.interrupts(0), 1);
    queue.take().unwrap();
    assert!(queue.arm(), "one is there, which will not interrupt");
    queue.take().unwrap();
    assert!(!queue.arm());
    device.push(0, next(), 0);
    assert_eq!(device.interrupts(0), 2);
}
