//! A board that is made anew of its state.

use super::*;
use crate::{BadState, RestoreError};

/// A guest whose devices are in use.
fn in_use(ram: &FakeRam) -> (Guest<'_>, Vec<DriverQueue>, Vec<DriverQueue>) {
    let mut guest = Guest::new(ram);
    let console = guest.start(CONSOLE);
    let entropy = guest.start(ENTROPY);
    guest.write(Space::Port, 0x602, Width::Word, 0x0100);
    guest.write(Space::Port, 0xcf8, Width::Dword, 0x8000_1010);
    guest.effects();
    (guest, console, entropy)
}

fn parts() -> Parts {
    Parts {
        terminal: TerminalSize::default(),
        entropy: Box::new(|bytes| bytes.fill(0x5a)),
        processors: Processors {
            possible: 4,
            present: 2,
        },
    }
}

#[test]
fn a_guest_does_not_notice_that_its_board_was_made_anew() {
    let ram = FakeRam::new(16 << 20);
    let (mut guest, mut console, mut entropy) = in_use(&ram);
    entropy[0].offer(&ram, &[Buffer::write(DATA, 8)]).unwrap();
    guest.board.notify(DoorbellId(2));
    assert!(entropy[0].take_used(&ram).unwrap().is_some());
    guest.effects();
    guest.board.power_button();
    let saved = guest.board.save();
    assert!(saved.len() < 4096, "{}", saved.len());
    // What happens between the last access and the loss: more is asked of the queues, and nobody hears the doorbell.
    entropy[0].offer(&ram, &[Buffer::write(DATA, 8)]).unwrap();
    ram.write(Gpa(DATA + 64), b"still here").unwrap();
    console[1]
        .offer(&ram, &[Buffer::read(DATA + 64, 10)])
        .unwrap();
    guest.board = Board::restored(&ram, parts(), &saved).unwrap();
    assert_eq!(guest.board.save(), saved);
    let effects = guest.effects();
    let bells = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::DoorbellAdd { .. }));
    assert_eq!(bells.count(), 3);
    let sci = Effect::Line {
        gsi: Gsi(9),
        level: Level::High,
    };
    for effect in [sci, message(2, 1), message(1, 2), Effect::WorkLeft] {
        assert!(effects.contains(&effect), "{effect:?} in {effects:?}");
    }
    guest.board.work();
    guest.effects();
    let mut output = [0; 64];
    assert_eq!(guest.board.console_output(&mut output), 10);
    assert_eq!(output[..10], *b"still here");
    assert!(entropy[0].take_used(&ram).unwrap().is_some());
    assert!(console[1].take_used(&ram).unwrap().is_some());
    // And on, from where the queue had come to.
    entropy[0].set_used_event(&ram, 2).unwrap();
    entropy[0].offer(&ram, &[Buffer::write(DATA, 8)]).unwrap();
    guest.board.notify(DoorbellId(2));
    assert!(entropy[0].take_used(&ram).unwrap().is_some());
    assert!(guest.effects().contains(&message(2, 1)));
    assert_eq!(guest.read(Space::Port, 0xcf8, Width::Dword), 0x8000_1010);
    assert_eq!(guest.read(Space::Port, 0x600, Width::Dword), 0x0100_0100);
    assert!(guest.board.console_input(b"x") == 1);
}

#[test]
fn what_is_no_state_of_these_devices_is_refused() {
    let ram = FakeRam::new(16 << 20);
    let (guest, ..) = in_use(&ram);
    let saved = guest.board.save();
    for length in 0..saved.len() {
        assert!(Board::restored(&ram, parts(), &saved[..length]).is_err());
    }
    let refused = |bytes: &[u8]| match Board::restored(&ram, parts(), bytes) {
        Err(RestoreError::State(state)) => state,
        other => panic!("{other:?}"),
    };
    let mut longer = saved.clone();
    longer.push(0);
    assert_eq!(refused(&longer), BadState::Long);
    let mut other = saved.clone();
    other[6] = 1;
    assert_eq!(refused(&other), BadState::Version);
    other = saved.clone();
    // The vendor of the host bridge.
    other[8 + 6 + 42 + 5 + 2] ^= 1;
    assert_eq!(refused(&other), BadState::Devices);
}

#[test]
fn a_state_that_was_damaged_makes_a_board_or_an_error_but_no_harm() {
    let ram = FakeRam::new(1 << 20);
    let (guest, ..) = in_use(&ram);
    let saved = guest.board.save();
    for at in 0..saved.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = saved.clone();
            damaged[at] ^= flip;
            let Ok(board) = Board::restored(&ram, parts(), &damaged) else {
                continue;
            };
            let mut guest = Guest { board };
            guest.effects();
            guest.board.work();
            for bell in 0..3 {
                guest.board.notify(DoorbellId(bell));
            }
            guest.board.console_input(b"x");
            guest.effects();
        }
    }
}

#[test]
fn only_what_a_state_has_counts_as_a_change() {
    let ram = FakeRam::new(16 << 20);
    let (mut guest, _, mut entropy) = in_use(&ram);
    assert!(guest.board.take_changed());
    assert!(!guest.board.take_changed());
    let before = guest.board.save();
    entropy[0].offer(&ram, &[Buffer::write(DATA, 8)]).unwrap();
    guest.board.notify(DoorbellId(2));
    guest.effects();
    guest.config_read(CONSOLE, 0, Width::Dword);
    assert!(!guest.board.take_changed());
    assert_eq!(guest.board.save(), before);
    guest.config_write(CONSOLE, 0x3c, Width::Byte, 9);
    assert!(guest.board.take_changed());
    assert_ne!(guest.board.save(), before);
}
