use super::*;

fn ioapic() -> IoApic {
    IoApic::new(ExtendedDestination::Off)
}

fn set(apic: &mut IoApic, pin: u8, entry: u64) -> Vec<Message> {
    let mut sent = Vec::new();
    for (half, value) in [(1, (entry >> 32) as u32), (0, entry as u32)] {
        apic.write(SELECT, u32::from(0x10 + 2 * pin + half), |_| {});
        apic.write(WINDOW, value, |message| sent.push(message));
    }
    sent
}

fn get(apic: &mut IoApic, pin: u8) -> u64 {
    apic.write(SELECT, u32::from(0x10 + 2 * pin), |_| {});
    let low = apic.read(WINDOW);
    apic.write(SELECT, u32::from(0x11 + 2 * pin), |_| {});
    u64::from(apic.read(WINDOW)) << 32 | u64::from(low)
}

fn line(apic: &mut IoApic, pin: usize, level: Level) -> Vec<u8> {
    let mut sent = Vec::new();
    apic.set_line(pin, level, |message| sent.push(message.vector.0));
    sent
}

fn end(apic: &mut IoApic, vector: u8) -> Vec<u8> {
    let mut sent = Vec::new();
    apic.end(Vector(vector), |message| sent.push(message.vector.0));
    sent
}

#[test]
fn registers_read_as_after_reset() {
    let mut apic = ioapic();
    assert_eq!(apic.read(SELECT), 0);
    apic.write(SELECT, 1, |_| {});
    assert_eq!(apic.read(WINDOW), 0x0017_0020);
    apic.write(SELECT, 0, |_| {});
    apic.write(WINDOW, 0xff00_0000, |_| {});
    assert_eq!(apic.read(WINDOW), 0x0f00_0000);
    for pin in 0..24 {
        assert_eq!(get(&mut apic, pin), MASKED);
    }
    apic.write(SELECT, 0x40, |_| {});
    apic.write(WINDOW, 1, |_| {});
    assert_eq!(apic.read(WINDOW), 0);
    assert_eq!(apic.read(0x20), 0);
}

#[test]
fn edges_fire_once_each() {
    let mut apic = ioapic();
    set(&mut apic, 4, 0x31);
    assert_eq!(line(&mut apic, 4, Level::High), [0x31]);
    assert_eq!(line(&mut apic, 4, Level::High), []);
    assert_eq!(line(&mut apic, 4, Level::Low), []);
    assert_eq!(line(&mut apic, 4, Level::High), [0x31]);
    assert_eq!(get(&mut apic, 4), 0x31, "no remote IRR");
}

#[test]
fn masked_edges_are_lost() {
    let mut apic = ioapic();
    set(&mut apic, 4, 0x31 | MASKED);
    assert_eq!(line(&mut apic, 4, Level::High), []);
    assert_eq!(set(&mut apic, 4, 0x31), []);
}

#[test]
fn levels_fire_until_the_line_falls() {
    let mut apic = ioapic();
    set(&mut apic, 9, 0x59 | LEVEL);
    assert_eq!(line(&mut apic, 9, Level::High), [0x59]);
    assert_eq!(get(&mut apic, 9), 0x59 | LEVEL | REMOTE_IRR);
    assert_eq!(line(&mut apic, 9, Level::Low), []);
    assert_eq!(line(&mut apic, 9, Level::High), [], "waits for the EOI");
    assert_eq!(end(&mut apic, 0x58), [], "another vector's");
    assert_eq!(end(&mut apic, 0x59), [0x59], "still high");
    assert_eq!(line(&mut apic, 9, Level::Low), []);
    assert_eq!(end(&mut apic, 0x59), []);
    assert_eq!(get(&mut apic, 9), 0x59 | LEVEL);
}

#[test]
fn a_masked_level_fires_when_unmasked() {
    let mut apic = ioapic();
    set(&mut apic, 9, 0x59 | LEVEL | MASKED);
    assert_eq!(line(&mut apic, 9, Level::High), []);
    let sent = set(&mut apic, 9, 0x59 | LEVEL);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].trigger, Trigger::Level);
}

#[test]
fn the_eoi_register_ends_like_a_broadcast() {
    let mut apic = ioapic();
    set(&mut apic, 9, 0x59 | LEVEL);
    set(&mut apic, 10, 0x59 | LEVEL);
    line(&mut apic, 9, Level::High);
    line(&mut apic, 10, Level::High);
    let mut sent = 0;
    apic.write(EOI, 0x59, |_| sent += 1);
    assert_eq!(sent, 2, "entries that share a vector fire both");
}

#[test]
fn switching_to_edge_and_back_clears_the_remote_irr() {
    let mut apic = ioapic();
    set(&mut apic, 9, 0x59 | LEVEL);
    line(&mut apic, 9, Level::High);
    line(&mut apic, 9, Level::Low);
    set(&mut apic, 9, 0x59 | MASKED);
    set(&mut apic, 9, 0x59 | LEVEL);
    assert_eq!(get(&mut apic, 9), 0x59 | LEVEL);
    set(&mut apic, 9, 0x59 | LEVEL | REMOTE_IRR | DELIVERY_STATUS);
    assert_eq!(get(&mut apic, 9), 0x59 | LEVEL, "read-only bits");
}

#[test]
fn messages_carry_the_entry() {
    let mut apic = ioapic();
    set(&mut apic, 2, 0x05 << 56 | 0x0930);
    let mut sent = Vec::new();
    apic.set_line(2, Level::High, |message| sent.push(message));
    assert_eq!(
        sent,
        [Message {
            destination: Destination::narrow(5, DestinationMode::Logical),
            delivery: DeliveryMode::LowestPriority,
            vector: Vector(0x30),
            trigger: Trigger::Edge,
        }]
    );
    set(&mut apic, 3, 0x400 | LEVEL);
    sent.clear();
    apic.set_line(3, Level::High, |message| sent.push(message));
    assert_eq!(sent[0].delivery, DeliveryMode::Nmi);
    assert_eq!(sent[0].trigger, Trigger::Edge, "NMIs are edges");
    set(&mut apic, 5, 0x640);
    assert_eq!(
        line(&mut apic, 5, Level::High),
        [],
        "start-up is no pin's message"
    );
}

#[test]
fn extended_destinations_reach_high_ids() {
    let mut apic: IoApic = IoApic::new(ExtendedDestination::On);
    set(&mut apic, 2, 0x05 << 56 | 1 << 49 | 0x30);
    let mut sent = Vec::new();
    apic.set_line(2, Level::High, |message| sent.push(message.destination));
    assert_eq!(sent, [Destination::wide(0x105, DestinationMode::Physical)]);
}

#[test]
fn pins_that_do_not_exist_are_ignored() {
    let mut apic = ioapic();
    assert_eq!(line(&mut apic, 24, Level::High), []);
    assert_eq!(line(&mut apic, usize::MAX, Level::High), []);
    let mut wide: IoApic<64> = IoApic::new(ExtendedDestination::Off);
    wide.write(SELECT, 0x10 + 2 * 63, |_| {});
    wide.write(WINDOW, 0x44, |_| {});
    let mut sent = 0;
    wide.set_line(63, Level::High, |_| sent += 1);
    assert_eq!(sent, 1);
}

#[test]
fn saved_states_are_checked() {
    let mut apic = ioapic();
    set(&mut apic, 9, 0x59 | LEVEL);
    line(&mut apic, 9, Level::High);
    let state = apic.save();
    let mut copy = ioapic();
    copy.restore(&state).unwrap();
    assert_eq!(end(&mut copy, 0x59), [0x59]);
    let mut bad = [state; 4];
    bad[0].lines |= 1 << 24;
    bad[1].entries[0] |= REMOTE_IRR;
    bad[2].entries[0] |= 1 << 20;
    bad[3].id = 16;
    for state in bad {
        let before = copy;
        assert!(copy.restore(&state).is_err());
        assert_eq!(copy, before);
    }
    copy.reset();
    assert_eq!(get(&mut copy, 9), MASKED);
    assert_eq!(copy.save().lines, 1 << 9, "devices still drive their lines");
}
