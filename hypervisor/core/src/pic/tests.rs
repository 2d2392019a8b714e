use super::*;

/// A pair as PC operating systems set it up, with nothing masked.
fn initialised() -> Pic {
    let mut pic = Pic::new();
    for (port, base, third) in [(0x20, 0x30, 4), (0xa0, 0x38, 2)] {
        pic.write(port, 0x11);
        pic.write(port + 1, base);
        pic.write(port + 1, third);
        pic.write(port + 1, 1);
        pic.write(port + 1, 0);
    }
    pic
}

fn raise(pic: &mut Pic, line: u8) -> Level {
    pic.set_line(line, Level::Low);
    pic.set_line(line, Level::High)
}

#[test]
fn before_initialisation_nothing_passes() {
    let mut pic = Pic::new();
    for line in 0..16 {
        assert_eq!(raise(&mut pic, line), Level::Low);
    }
    assert_eq!(pic.read(0x21), 0xff);
}

#[test]
fn lines_have_their_vectors() {
    for line in (0..16).filter(|&line| line != 2) {
        let mut pic = initialised();
        assert_eq!(raise(&mut pic, line), Level::High, "{line}");
        assert_eq!(pic.acknowledge(), Vector(0x30 + line));
        assert_eq!(pic.output(), Level::Low);
    }
    let mut pic = initialised();
    assert_eq!(raise(&mut pic, 2), Level::Low);
    assert_eq!(raise(&mut pic, 200), Level::Low);
}

#[test]
fn service_blocks_lower_lines_until_the_end() {
    let mut pic = initialised();
    raise(&mut pic, 4);
    raise(&mut pic, 1);
    assert_eq!(pic.acknowledge(), Vector(0x31));
    assert_eq!(pic.output(), Level::Low, "4 waits for 1");
    assert_eq!(raise(&mut pic, 0), Level::High, "0 does not");
    assert_eq!(pic.acknowledge(), Vector(0x30));
    pic.write(0x20, 0x0b);
    assert_eq!(pic.read(0x20), 0b11, "in service");
    pic.write(0x20, 0x0a);
    assert_eq!(pic.read(0x20), 0b1_0000, "requested");
    assert_eq!(pic.write(0x20, 0x20), Level::Low, "0 ends");
    assert_eq!(pic.write(0x20, 0x20), Level::High, "1 ends");
    assert_eq!(pic.acknowledge(), Vector(0x34));
    assert_eq!(pic.write(0x20, 0x64), Level::Low, "named end");
    pic.write(0x20, 0x0b);
    assert_eq!(pic.read(0x20), 0);
}

#[test]
fn the_second_chip_goes_through_the_cascade() {
    let mut pic = initialised();
    raise(&mut pic, 12);
    raise(&mut pic, 5);
    assert_eq!(
        pic.acknowledge(),
        Vector(0x3c),
        "8 to 15 come before 3 to 7"
    );
    assert_eq!(
        raise(&mut pic, 8),
        Level::Low,
        "the first chip serves the cascade"
    );
    pic.write(0xa0, 0x20);
    assert_eq!(pic.write(0x20, 0x20), Level::High);
    assert_eq!(pic.acknowledge(), Vector(0x38));
    let mut nested = initialised();
    nested.write(0x20, 0x11);
    for word in [0x30, 4, 0x11, 0] {
        nested.write(0x21, word);
    }
    raise(&mut nested, 12);
    nested.acknowledge();
    assert_eq!(
        raise(&mut nested, 8),
        Level::High,
        "special fully nested mode"
    );
    assert_eq!(nested.acknowledge(), Vector(0x38));
}

#[test]
fn masks_hold_requests_back() {
    let mut pic = initialised();
    pic.write(0x21, 0b1_0000);
    assert_eq!(pic.read(0x21), 0b1_0000);
    assert_eq!(raise(&mut pic, 4), Level::Low);
    assert_eq!(pic.write(0x21, 0), Level::High);
    pic.write(0x21, 0b100);
    assert_eq!(pic.acknowledge(), Vector(0x34));
    pic.write(0x20, 0x20);
    assert_eq!(raise(&mut pic, 9), Level::Low, "the cascade is masked");
}

#[test]
fn a_request_that_is_gone_is_spurious() {
    let mut pic = initialised();
    raise(&mut pic, 4);
    pic.write(0x21, 0xff);
    assert_eq!(pic.acknowledge(), Vector(0x37));
    pic.write(0x20, 0x0b);
    assert_eq!(pic.read(0x20), 0, "not in service");
    pic.write(0x21, 0);
    pic.acknowledge();
    pic.write(0x20, 0x20);
    pic.write(0x4d1, 2);
    pic.set_line(9, Level::High);
    // The cascade's edge was seen, and then the level-triggered line falls.
    pic.set_line(9, Level::Low);
    assert_eq!(pic.acknowledge(), Vector(0x3f));
    pic.write(0xa0, 0x0b);
    assert_eq!(pic.read(0xa0), 0);
}

#[test]
fn level_triggered_lines_follow_their_device() {
    let mut pic = initialised();
    pic.write(0x4d0, 0xff);
    pic.write(0x4d1, 0xff);
    assert_eq!((pic.read(0x4d0), pic.read(0x4d1)), (0xf8, 0xde));
    pic.set_line(11, Level::High);
    assert_eq!(pic.acknowledge(), Vector(0x3b));
    pic.write(0xa0, 0x20);
    assert_eq!(pic.write(0x20, 0x20), Level::High, "still asserted");
    assert_eq!(pic.acknowledge(), Vector(0x3b));
    pic.set_line(11, Level::Low);
    pic.write(0xa0, 0x20);
    assert_eq!(pic.write(0x20, 0x20), Level::Low);
}

#[test]
fn automatic_ends_leave_nothing_in_service() {
    let mut pic = Pic::new();
    pic.write(0x20, 0x13);
    pic.write(0x21, 0x40);
    pic.write(0x21, 3);
    pic.write(0x21, 0);
    raise(&mut pic, 3);
    raise(&mut pic, 4);
    assert_eq!(pic.acknowledge(), Vector(0x43));
    assert_eq!(pic.output(), Level::High);
    pic.write(0x20, 0x80);
    assert_eq!(pic.acknowledge(), Vector(0x44));
    raise(&mut pic, 4);
    raise(&mut pic, 5);
    assert_eq!(pic.acknowledge(), Vector(0x45), "rotated: 5 is first now");
}

#[test]
fn priorities_rotate() {
    let mut pic = initialised();
    raise(&mut pic, 0);
    assert_eq!(pic.acknowledge(), Vector(0x30));
    pic.write(0x20, 0xa0);
    raise(&mut pic, 0);
    raise(&mut pic, 7);
    assert_eq!(
        pic.acknowledge(),
        Vector(0x37),
        "0 is last after its rotation"
    );
    pic.write(0x20, 0x20);
    pic.write(0x20, 0xc3);
    raise(&mut pic, 3);
    raise(&mut pic, 4);
    pic.acknowledge();
    pic.write(0x20, 0x0b);
    assert_eq!(pic.read(0x20), 1 << 4, "3 was set to be the last");
}

#[test]
fn the_special_mask_lets_lower_lines_pass() {
    let mut pic = initialised();
    raise(&mut pic, 1);
    pic.acknowledge();
    assert_eq!(raise(&mut pic, 5), Level::Low);
    pic.write(0x20, 0x68);
    assert_eq!(pic.write(0x21, 0b10), Level::High);
    assert_eq!(pic.acknowledge(), Vector(0x35));
    pic.write(0x20, 0x20);
    pic.write(0x20, 0x0b);
    assert_eq!(pic.read(0x20), 0b10, "the unspecific end ended 5");
}

#[test]
fn polling_acknowledges() {
    let mut pic = initialised();
    raise(&mut pic, 6);
    pic.write(0x20, 0x0c);
    assert_eq!(pic.read(0x20), 0x86);
    assert_eq!(pic.output(), Level::Low);
    pic.write(0x20, 0x0c);
    assert_eq!(pic.read(0x20), 0);
    assert_eq!(pic.read(0x20), 0, "polls once: these are the requests");
    pic.write(0x20, 0x0b);
    assert_eq!(pic.read(0x20), 1 << 6);
}

#[test]
fn initialisation_forgets_edges() {
    let mut pic = initialised();
    raise(&mut pic, 4);
    pic.write(0x20, 0x11);
    pic.write(0x21, 0x50);
    pic.write(0x21, 4);
    assert_eq!(pic.write(0x21, 1), Level::Low);
    assert_eq!(pic.set_line(4, Level::High), Level::Low, "no new edge");
    assert_eq!(raise(&mut pic, 4), Level::High);
    assert_eq!(pic.acknowledge(), Vector(0x54));
}

#[test]
fn saved_states_are_checked() {
    let mut pic = initialised();
    raise(&mut pic, 12);
    let state = pic.save();
    let mut copy = Pic::new();
    copy.restore(&state).unwrap();
    assert_eq!(copy, pic);
    assert_eq!(copy.acknowledge(), Vector(0x3c));
    let mut bad = [state; 4];
    bad[0].first.first_line = 8;
    bad[1].second.vector_base = 0x39;
    bad[2].first.level_triggered = 1;
    bad[3].second.level_triggered = 2;
    bad[3].second.requests |= 2;
    for state in bad {
        assert!(copy.restore(&state).is_err());
    }
}

#[test]
fn no_sequence_of_accesses_goes_wrong() {
    let mut pic = Pic::new();
    let mut seed = 12345u64;
    for _ in 0..200_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let value = (seed >> 40) as u8;
        let port = PORTS[(seed >> 33) as usize % 6];
        match seed >> 60 {
            0..6 => {
                pic.write(port, value);
            }
            6..9 => {
                pic.read(port);
            }
            9..14 => {
                pic.set_line(value & 15, Level::high_if(value & 16 != 0));
            }
            _ => {
                pic.acknowledge();
            }
        }
        let state = pic.save();
        assert_eq!(Pic::new().restore(&state), Ok(()), "{state:?}");
    }
}
