use super::*;
use crate::fake::{DeviceChain, FakeDevice, FakePlatform};
use std::rc::Rc;

const FEATURES: u64 = 1 << 32 | 1 << 29 | 1 << 1;
/// Port 1's queues.
const RECEIVE: usize = 4;
const TRANSMIT: usize = 5;

fn console() -> (Rc<FakeDevice>, Console<FakePlatform>) {
    // Size, then the number of ports.
    let device = FakeDevice::new(FEATURES, 6, &[0, 0, 0, 0, 2, 0, 0, 0]);
    let console =
        Console::start(device.transport(), &device.platform(), MsixEntry(0), "port").unwrap();
    (device, console)
}

fn said(device: &FakeDevice) -> Option<Message> {
    let chain = device.pop(3)?;
    let message = Message::parse(&device.read(&chain));
    device.push(3, chain, 0);
    message
}

fn say(device: &FakeDevice, port: u32, event: Event, value: u16, name: &str) {
    let message = Message { port, event, value };
    let bytes = [&message.bytes(), name.as_bytes()].concat();
    fill(device, 2, &bytes);
}

fn fill(device: &FakeDevice, queue: usize, bytes: &[u8]) {
    let chain: DeviceChain = device.pop(queue).unwrap();
    device.write(&chain, bytes);
    device.push(queue, chain, bytes.len() as u32);
}

fn opened() -> (Rc<FakeDevice>, Console<FakePlatform>) {
    let (device, mut console) = console();
    let platform = device.platform();
    assert_eq!(said(&device).unwrap().event, Event::DeviceReady);
    say(&device, 1, Event::PortAdd, 1, "");
    assert_eq!(console.poll(&platform), Ok(None));
    assert_eq!(said(&device).unwrap().event, Event::PortReady);
    say(&device, 1, Event::PortName, 1, "port\0");
    say(&device, 1, Event::PortOpen, 1, "");
    assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Opened)));
    let open = said(&device).unwrap();
    assert_eq!((open.port, open.event, open.value), (1, Event::PortOpen, 1));
    assert!(console.is_open());
    (device, console)
}

#[test]
fn the_named_port_is_found_and_carries_bytes() {
    let (device, mut console) = opened();
    let platform = device.platform();
    for round in 0..40 {
        fill(&device, RECEIVE, &[round; 100]);
        let data = PortEvent::Data(vec![round; 100]);
        assert_eq!(console.poll(&platform), Ok(Some(data)));
        assert_eq!(console.poll(&platform), Ok(None));
    }
    assert_eq!(console.send(b"answer"), Ok(6));
    let chain = device.pop(TRANSMIT).unwrap();
    assert_eq!(device.read(&chain), b"answer");
}

#[test]
fn the_host_may_come_and_go() {
    let (device, mut console) = opened();
    let platform = device.platform();
    say(&device, 1, Event::PortOpen, 0, "");
    // Said twice: one event.
    say(&device, 1, Event::PortOpen, 0, "");
    assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Closed)));
    assert_eq!(console.poll(&platform), Ok(None));
    assert_eq!(console.send(b"nobody hears"), Ok(0));
    say(&device, 1, Event::PortOpen, 1, "");
    assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Opened)));
    // The closing between was lost.
    say(&device, 1, Event::PortOpen, 1, "");
    assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Closed)));
    assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Opened)));
    assert_eq!(console.poll(&platform), Ok(None));
    say(&device, 1, Event::PortRemove, 1, "");
    assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Closed)));
    assert!(!console.is_open());
}

#[test]
fn other_ports_and_rubbish_are_left_alone() {
    let (device, mut console) = console();
    let platform = device.platform();
    say(&device, 0, Event::PortName, 1, "other");
    say(&device, 77, Event::PortName, 1, "port");
    say(&device, 1, Event::PortOpen, 1, "");
    fill(&device, 2, &[1, 2, 3]);
    assert_eq!(console.poll(&platform), Ok(None));
    assert!(!console.is_open());
}

#[test]
fn a_client_that_does_not_read_fills_the_queue_and_no_more() {
    let (device, mut console) = opened();
    let bytes = vec![1; 100_000];
    assert_eq!(console.send(&bytes), Ok(16 * DATA_STRIDE));
    assert_eq!(console.send(&bytes), Ok(0));
    let before = device.interrupts(TRANSMIT);
    let chain = device.pop(TRANSMIT).unwrap();
    device.push(TRANSMIT, chain, 0);
    assert_eq!(device.interrupts(TRANSMIT), before + 1);
    assert_eq!(console.send(&bytes), Ok(DATA_STRIDE));
}

#[test]
fn nothing_is_sent_past_news_of_the_client() {
    let (device, mut console) = opened();
    let platform = device.platform();
    say(&device, 1, Event::PortOpen, 0, "");
    say(&device, 1, Event::PortOpen, 1, "");
    assert_eq!(console.send(b"for the one who has gone"), Ok(0));
    assert!(device.pop(TRANSMIT).is_none());
    assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Closed)));
    assert_eq!(console.send(b"and so is this"), Ok(0));
    assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Opened)));
    assert_eq!(console.send(b"news"), Ok(4));
    let chain = device.pop(TRANSMIT).unwrap();
    assert_eq!(device.read(&chain), b"news");
}

#[test]
fn buffers_that_the_device_forgets_at_a_close_are_used_again() {
    let (device, mut console) = opened();
    let platform = device.platform();
    for round in 0..100 {
        // One is sent, one is in the middle of being sent and forgotten, one is discarded and returned.
        assert_eq!(console.send(&[round; 3 * DATA_STRIDE]), Ok(3 * DATA_STRIDE));
        let sent = device.pop(TRANSMIT).unwrap();
        device.push(TRANSMIT, sent, 0);
        let forgotten = device.pop(TRANSMIT).unwrap();
        drop(forgotten);
        let discarded = device.pop(TRANSMIT).unwrap();
        device.push(TRANSMIT, discarded, 0);
        say(&device, 1, Event::PortOpen, 0, "");
        say(&device, 1, Event::PortOpen, 1, "");
        assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Closed)));
        assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Opened)));
        assert_eq!(console.send(&[round]), Ok(1), "round {round}");
        let chain = device.pop(TRANSMIT).unwrap();
        assert_eq!(device.read(&chain), [round]);
        device.push(TRANSMIT, chain, 0);
    }
    let all = DATA_STRIDE * usize::from(DATA_BUFFERS);
    assert_eq!(console.send(&vec![1; all]), Ok(all));
}

#[test]
fn buffers_that_the_device_still_returns_after_a_close_are_not_taken_for_lost() {
    let (device, mut console) = opened();
    let platform = device.platform();
    assert_eq!(console.send(b"slow"), Ok(4));
    let slow = device.pop(TRANSMIT).unwrap();
    say(&device, 1, Event::PortOpen, 0, "");
    say(&device, 1, Event::PortOpen, 1, "");
    assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Closed)));
    assert_eq!(console.poll(&platform), Ok(Some(PortEvent::Opened)));
    device.push(TRANSMIT, slow, 0);
    let all = DATA_STRIDE * usize::from(DATA_BUFFERS);
    assert_eq!(console.send(&vec![1; all]), Ok(all));
    assert_eq!(console.send(b"full"), Ok(0));
}
