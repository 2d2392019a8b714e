use super::*;
use crate::fake::{FakeDevice, FakePlatform};
use std::rc::Rc;

const FEATURES: u64 = 1 << 32 | 1 << 29 | 1 << 5;
const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

fn net() -> (Rc<FakeDevice>, Net<FakePlatform>) {
    let device = FakeDevice::new(FEATURES, 2, &MAC);
    let entries = [MsixEntry(0), MsixEntry(1)];
    let net = Net::start(device.transport(), &device.platform(), entries).unwrap();
    (device, net)
}

#[test]
fn frames_go_out_with_an_empty_header() {
    let (device, mut net) = net();
    assert_eq!(net.mac(), MAC);
    net.transmit(&[7; 60]).unwrap();
    let chain = device.pop(1).unwrap();
    let bytes = device.read(&chain);
    assert_eq!(bytes[..12], [0; 12]);
    assert_eq!(bytes[12..], [7; 60]);
    assert_eq!(
        net.transmit(&[0; MAX_FRAME + 1]),
        Err(VirtioError::BadRange)
    );
}

#[test]
fn transmission_waits_for_room_and_is_told_of_it() {
    let (device, mut net) = net();
    for _ in 0..16 {
        assert_eq!(net.can_transmit(), Ok(true));
        net.transmit(&[0; 60]).unwrap();
    }
    assert_eq!(net.can_transmit(), Ok(false));
    assert_eq!(net.transmit(&[0; 60]), Err(VirtioError::Full));
    let before = device.interrupts(1);
    let chain = device.pop(1).unwrap();
    device.push(1, chain, 0);
    assert_eq!(device.interrupts(1), before + 1);
    assert_eq!(net.can_transmit(), Ok(true));
}

#[test]
fn frames_come_in_and_buffers_go_round() {
    let (device, mut net) = net();
    for round in 0..100u8 {
        assert_eq!(net.receive(), Ok(None));
        let before = device.interrupts(0);
        let chain = device.pop(0).unwrap();
        let frame = [vec![0; 12], vec![round; 64]].concat();
        device.write(&chain, &frame);
        device.push(0, chain, frame.len() as u32);
        assert_eq!(device.interrupts(0), before + 1);
        assert_eq!(net.receive(), Ok(Some(vec![round; 64])));
    }
}

#[test]
fn a_length_beyond_the_buffer_is_cut() {
    let (device, mut net) = net();
    let chain = device.pop(0).unwrap();
    device.push(0, chain, u32::MAX);
    assert_eq!(net.receive().unwrap().unwrap().len(), STRIDE - HEADER);
    let chain = device.pop(0).unwrap();
    device.push(0, chain, 3);
    assert_eq!(net.receive(), Ok(Some(vec![])));
}

#[test]
fn a_card_without_an_address_is_refused() {
    let device = FakeDevice::new(1 << 32, 2, &MAC);
    let entries = [MsixEntry(0), MsixEntry(1)];
    let net = Net::start(device.transport(), &device.platform(), entries);
    assert_eq!(net.err(), Some(VirtioError::NoStructure("MAC address")));
}
