use super::*;
use crate::fake::{FakeCard, FakePlatform, FakeRegisters};
use std::rc::Rc;

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

fn start_with(
    card: &Rc<FakeCard>,
    length: usize,
    bytes: usize,
    notice: Notice,
) -> Result<Card<FakePlatform>, E1000Error> {
    let registers = FakeRegisters {
        card: card.clone(),
        length,
    };
    let platform = FakePlatform {
        card: card.clone(),
        bytes,
    };
    Card::start(registers, Model::Em82540, &platform, notice)
}

fn started(notice: Notice) -> (Rc<FakeCard>, Card<FakePlatform>) {
    let fake = FakeCard::new(MAC);
    let card = start_with(&fake, 0x2_0000, usize::MAX, notice).unwrap();
    (fake, card)
}

#[test]
fn the_card_is_reset_and_says_its_address() {
    let (fake, card) = started(Notice::Interrupts);
    assert_eq!(fake.resets.get(), 1);
    assert_eq!(card.mac(), MAC);
    assert_ne!(fake.word(CTRL) & CTRL_SET_LINK_UP, 0);
}

#[test]
fn a_card_that_does_not_load_its_address_is_given_it() {
    let fake = FakeCard::new([0; 6]);
    fake.set(ADDRESS_HIGH, 0);
    fake.eeprom.set(Some([0x5452, 0x1200, 0x5634]));
    let card = start_with(&fake, 0x2_0000, usize::MAX, Notice::None).unwrap();
    assert_eq!(card.mac(), MAC);
    assert_eq!(fake.word(ADDRESS_LOW), 0x1200_5452);
    assert_eq!(fake.word(ADDRESS_HIGH), 0x8000_5634);
    fake.eeprom.set(Some([0; 3]));
    fake.set(ADDRESS_HIGH, 0);
    let blank = start_with(&fake, 0x2_0000, usize::MAX, Notice::None).err();
    assert_eq!(blank, Some(E1000Error::NoAddress));
}

#[test]
fn frames_come_in_and_descriptors_go_round() {
    let (fake, mut card) = started(Notice::Interrupts);
    for round in 0..1000_u32 {
        assert_eq!(card.receive(), Ok(None));
        let frame = vec![round as u8; 60 + round as usize];
        let before = fake.interrupts.get();
        assert!(fake.deliver_frame(&frame));
        assert_eq!(fake.interrupts.get(), before + 1);
        assert_eq!(card.receive(), Ok(Some(frame)));
    }
}

#[test]
fn all_but_one_descriptor_are_the_cards() {
    let (fake, mut card) = started(Notice::None);
    let mut delivered = 0_u8;
    while fake.deliver_frame(&[delivered; 60]) {
        delivered += 1;
    }
    assert_eq!(u16::from(delivered), ENTRIES - 1);
    for number in 0..delivered {
        assert_eq!(card.receive(), Ok(Some(vec![number; 60])));
    }
    assert_eq!(card.receive(), Ok(None));
    assert!(fake.deliver_frame(&[1; 60]));
}

#[test]
fn damaged_frames_and_those_of_several_buffers_are_dropped() {
    let (fake, mut card) = started(Notice::None);
    assert!(fake.deliver(&[1; 60], 60, 3, 1));
    for _ in 0..3 {
        assert!(fake.deliver(&[2; 2048], 2048, 1, 0));
    }
    assert!(fake.deliver(&[2; 10], 10, 3, 0));
    assert!(fake.deliver_frame(&[3; 60]));
    assert_eq!(card.receive(), Ok(Some(vec![3; 60])));
    assert_eq!(card.receive(), Ok(None));
}

#[test]
fn a_length_beyond_the_buffer_is_cut() {
    let (fake, mut card) = started(Notice::None);
    assert!(fake.deliver(&[1; 60], u16::MAX, 3, 0));
    assert_eq!(card.receive().unwrap().unwrap().len(), 2048);
}

#[test]
fn frames_go_out_in_order() {
    let (fake, mut card) = started(Notice::Interrupts);
    for round in 0..300_u16 {
        let frame = vec![round as u8; 42 + usize::from(round)];
        assert!(card.can_transmit());
        card.transmit(&frame).unwrap();
        assert_eq!(fake.send(), Some(frame));
    }
    assert_eq!(fake.interrupts.get(), 0, "nobody waits for room");
    assert_eq!(card.transmit(&[0; MAX_FRAME + 1]), Err(E1000Error::TooLong));
}

#[test]
fn transmission_waits_for_room_and_is_told_of_it() {
    let (fake, mut card) = started(Notice::Interrupts);
    for _ in 0..ENTRIES - 1 {
        assert!(card.can_transmit());
        card.transmit(&[7; 60]).unwrap();
    }
    assert!(!card.can_transmit());
    assert_eq!(card.transmit(&[7; 60]), Err(E1000Error::Full));
    assert!(fake.send().is_some());
    assert_eq!(fake.interrupts.get(), 1);
    assert!(card.can_transmit());
    assert!(fake.send().is_some());
    assert_eq!(fake.interrupts.get(), 1, "room is not waited for any more");
}

#[test]
fn a_card_that_is_looked_at_raises_no_interrupts() {
    let (fake, mut card) = started(Notice::None);
    for _ in 0..ENTRIES - 1 {
        card.transmit(&[7; 60]).unwrap();
    }
    assert!(!card.can_transmit());
    assert!(fake.send().is_some() && fake.deliver_frame(&[1; 60]));
    assert_eq!(fake.interrupts.get(), 0);
    assert!(card.can_transmit());
}

#[test]
fn a_card_that_has_gone_is_noticed() {
    let (fake, mut card) = started(Notice::None);
    fake.gone.set(true);
    assert_eq!(card.receive(), Err(E1000Error::Gone));
}

#[test]
fn a_card_that_cannot_be_used_is_refused() {
    let start = |fake: &Rc<FakeCard>, length, bytes| {
        start_with(fake, length, bytes, Notice::Interrupts).err()
    };
    let fake = FakeCard::new(MAC);
    let short = start(&fake, 0x1000, usize::MAX);
    assert_eq!(short, Some(E1000Error::FewRegisters));
    assert_eq!(start(&fake, 0x2_0000, 64 << 10), Some(E1000Error::NoMemory));
    fake.set(ADDRESS_HIGH, 0);
    assert_eq!(
        start(&fake, 0x2_0000, usize::MAX),
        Some(E1000Error::NoAddress)
    );
    fake.hangs.set(true);
    assert_eq!(
        start(&fake, 0x2_0000, usize::MAX),
        Some(E1000Error::ResetHangs)
    );
    fake.gone.set(true);
    assert_eq!(
        start(&fake, 0x2_0000, usize::MAX),
        Some(E1000Error::ResetHangs)
    );
}
