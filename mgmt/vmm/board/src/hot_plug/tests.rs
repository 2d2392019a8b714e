//! What the methods of the DSDT do, register by register.

use super::*;

const THREE_OF_FOUR: Processors = Processors {
    possible: 4,
    present: 3,
};

impl HotPlug {
    fn get(&self, register: u16) -> u32 {
        self.read(map::HOT_PLUG + register, Width::Dword) as u32
    }

    fn put(&mut self, register: u16, value: u32) {
        self.write(map::HOT_PLUG + register, Width::Dword, value.into());
    }

    /// What PSCN does: the processors that it notifies, and how.
    fn scan(&mut self) -> Vec<(u32, u32)> {
        let mut told = Vec::new();
        loop {
            let next = self.get(NEXT);
            if next == NOBODY {
                return told;
            }
            self.put(SELECT, next);
            let state = self.get(STATE);
            self.put(STATE, state & (INSERTED | REMOVAL));
            told.push((next, state));
        }
    }

    fn eject(&mut self, number: u32) {
        self.put(SELECT, number);
        self.put(STATE, EJECT);
    }

    fn report(&mut self, number: u32, about: u32, status: u32) {
        self.put(SELECT, number);
        self.put(NEXT, about);
        self.put(STATUS, status);
    }

    fn is_present(&mut self, number: u32) -> bool {
        self.put(SELECT, number);
        self.get(STATE) & PRESENT != 0
    }
}

#[test]
fn a_processor_that_comes_is_told_once() {
    let mut plug = HotPlug::new(THREE_OF_FOUR);
    assert_eq!(plug.listening(), Listening::No);
    plug.write_event(map::GPE0 + 1, Width::Byte, 2);
    assert_eq!(plug.listening(), Listening::Yes);
    assert!(!plug.is_present(3));
    assert_eq!(plug.count(), 3);
    plug.offer(4);
    assert_eq!((plug.sci(), plug.count()), (Level::High, 4));
    plug.write_event(map::GPE0, Width::Byte, 2);
    assert_eq!(plug.sci(), Level::Low);
    assert_eq!(plug.scan(), [(3, PRESENT | INSERTED)]);
    assert_eq!(plug.scan(), []);
    assert!(plug.is_present(3));
    // More than there can be.
    plug.offer(9);
    assert_eq!((plug.count(), plug.sci()), (4, Level::Low));
}

#[test]
fn processors_that_are_wanted_back_are_given_back() {
    let mut plug = HotPlug::new(THREE_OF_FOUR);
    plug.ask_back(1);
    assert_eq!(plug.count(), 1);
    assert_eq!(
        plug.scan(),
        [(1, PRESENT | REMOVAL), (2, PRESENT | REMOVAL)]
    );
    plug.report(2, EJECTION_REQUEST, UNDER_WAY);
    assert_eq!(plug.take_outcome(), Outcome::default());
    plug.eject(2);
    plug.report(2, EJECTION_REQUEST, DONE);
    let ejected = Outcome {
        ejected: 0b100,
        kept: 0,
    };
    assert_eq!(plug.take_outcome(), ejected);
    assert!(!plug.is_present(2) && plug.is_present(1));
    // It does not want to give the other one.
    plug.report(1, EJECTION_REQUEST, 0x82);
    let kept = Outcome {
        ejected: 0,
        kept: 0b10,
    };
    assert_eq!(plug.take_outcome(), kept);
    assert!(plug.is_present(1));
    plug.offer(3);
    assert_eq!(plug.scan(), [(2, PRESENT | INSERTED)]);
}

#[test]
fn a_processor_that_nobody_wants_back_is_offered_again() {
    let mut plug = HotPlug::new(THREE_OF_FOUR);
    plug.ask_back(2);
    plug.scan();
    // Too late: the wish is taken back.
    plug.offer(3);
    plug.eject(2);
    assert_eq!(plug.take_outcome(), Outcome::default());
    assert_eq!(plug.scan(), [(2, PRESENT | INSERTED)]);
    // The first one stays in any case.
    plug.ask_back(0);
    plug.eject(0);
    assert!(plug.is_present(0));
}

#[test]
fn a_guest_that_starts_anew_has_the_processors_that_are_there() {
    let mut plug = HotPlug::new(THREE_OF_FOUR);
    plug.ask_back(2);
    plug.write_event(map::GPE0, Width::Word, 0xff00);
    plug.power_on();
    assert_eq!(plug.take_outcome().kept, 0b100);
    assert_eq!((plug.count(), plug.sci()), (3, Level::Low));
    assert_eq!(plug.listening(), Listening::No);
    assert_eq!(plug.scan(), []);
    plug.offer(4);
    assert!(plug.is_present(3), "it still can have four");
}

#[test]
fn odd_accesses_do_nothing() {
    let mut plug = HotPlug::new(Processors {
        possible: 64,
        present: 64,
    });
    assert_eq!(plug.count(), 64);
    plug.write(map::HOT_PLUG, Width::Word, 5);
    assert_eq!(plug.get(SELECT), 0);
    for number in [64, u32::MAX] {
        assert!(!plug.is_present(number));
        plug.eject(number);
    }
    assert_eq!(plug.read(map::HOT_PLUG + 8, Width::Byte), 0xff);
    assert_eq!(plug.take_outcome(), Outcome::default());
}

#[test]
fn what_is_saved_comes_back() {
    let mut plug = HotPlug::new(THREE_OF_FOUR);
    plug.write_event(map::GPE0, Width::Word, 0x0200);
    plug.offer(4);
    plug.ask_back(2);
    let mut to = StateWriter::new();
    plug.save(&mut to);
    let bytes = to.into_bytes();
    let mut other = HotPlug::new(THREE_OF_FOUR);
    other.restore(&mut StateReader::new(&bytes)).unwrap();
    assert_eq!((other.count(), other.sci()), (2, Level::High));
    assert_eq!(other.scan(), plug.scan());
    // It cannot have what a smaller board does not have.
    let mut small = HotPlug::new(Processors {
        possible: 3,
        present: 1,
    });
    let answer = small.restore(&mut StateReader::new(&bytes));
    assert_eq!(answer, Err(BadState::Value));
}
