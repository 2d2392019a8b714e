//! Devices go on elsewhere as if nothing had happened.

use super::*;
use crate::fakes::fuzz_rounds;
use crate::id::{Gsi, Vector};
use crate::ioapic::IoApic;
use crate::level::Level;
use crate::local_apic::ExtendedDestination;
use crate::paging::fakes::Random;
use crate::pc_board::{BoardConfig, BoardState, PINS, PcBoard};
use crate::pic::{self, Pic};
use crate::pit::{self, Fired, Pit};
use crate::pm_timer::{CounterWidth, PmTimer};
use crate::rtc::{self, Rtc};
use crate::time::{Hertz, Instant, Ticks};
use crate::uart::{Register, Sent, Uart, Wire};

const START: Instant = Instant(1 << 40);
/// The clock of the other place is so much behind.
const SHIFT: u64 = (1 << 40) - 77;

/// A device that a test drives.
trait Driven {
    type State: Coded + PartialEq + Debug;
    /// Another one, as after power-up.
    fn fresh(&self, now: Instant) -> Self;
    /// Does what this number says; what is seen of it.
    fn act(&mut self, what: u64, now: Instant) -> u64;
    fn save(&mut self, now: Instant) -> Self::State;
    fn restore(&mut self, state: &Self::State, now: Instant) -> Result<(), StateError>;
    fn deadline(&self) -> Instant {
        Instant::NEVER
    }
}

fn shifted(at: Instant) -> Instant {
    Instant(at.0 - SHIFT)
}

/// Drives a device, and now and then a copy of it that was made of its bytes, with another clock, beside it.
fn compare<D: Driven>(mut device: D, step: u64) {
    let mut random = Random(7);
    let mut now = START;
    for round in 0..fuzz_rounds(400) {
        let state = device.save(now);
        let mut copy = device.fresh(shifted(now));
        copy.restore(&through_bytes(&state), shifted(now)).unwrap();
        assert_eq!(copy.save(shifted(now)), state, "round {round}");
        for turn in 0..60 {
            let width = random.below(20);
            now = now + Ticks(random.below(1 << width) * step);
            let what = random.next();
            assert_eq!(
                copy.act(what, shifted(now)),
                device.act(what, now),
                "round {round}, turn {turn}: {what:#x}"
            );
            // What is overdue is due now.
            let (deadline, expected) = (
                copy.deadline().max(shifted(now)),
                device.deadline().max(now),
            );
            if expected == Instant::NEVER {
                assert_eq!(deadline, Instant::NEVER, "round {round}, turn {turn}");
            } else {
                // A deadline is rounded up to a tick from where the count began.
                let shifted = shifted(expected);
                assert!(
                    deadline.0.abs_diff(shifted.0) <= 2,
                    "round {round}, turn {turn}: {deadline:?} and not {shifted:?}"
                );
            }
        }
        assert_eq!(copy.save(shifted(now)), device.save(now), "round {round}");
    }
}

fn port(ports: &[u16], what: u64) -> u16 {
    ports[(what >> 8) as usize % ports.len()]
}

fn level(what: u64) -> Level {
    Level::high_if(what & 1 != 0)
}

impl Driven for Pic {
    type State = pic::PicState;

    fn fresh(&self, _: Instant) -> Self {
        Pic::new()
    }

    fn act(&mut self, what: u64, _: Instant) -> u64 {
        let port = port(&pic::PORTS, what);
        let seen = match what >> 60 {
            0..4 => u64::from(self.read(port)),
            4..8 => u64::from(self.acknowledge().0),
            8..12 => self.set_line((what >> 16) as u8 & 15, level(what)) as u64,
            _ => self.write(port, what as u8) as u64,
        };
        seen | (self.output() as u64) << 32
    }

    fn save(&mut self, _: Instant) -> Self::State {
        Pic::save(self)
    }

    fn restore(&mut self, state: &Self::State, _: Instant) -> Result<(), StateError> {
        Pic::restore(self, state)
    }
}

impl Driven for IoApic<PINS> {
    type State = crate::ioapic::IoApicState<PINS>;

    fn fresh(&self, _: Instant) -> Self {
        IoApic::new(ExtendedDestination::On)
    }

    fn act(&mut self, what: u64, _: Instant) -> u64 {
        let mut messages = 0;
        let mut note = |message: crate::local_apic::Message| {
            messages = messages * 31 + u64::from(message.vector.0) + 1;
        };
        let value = (what >> 16) as u32;
        match what >> 60 {
            0..3 => return u64::from(self.read((what & 0x10) as u16)),
            3..6 => self.write(0, 0x10 + value % 48, note),
            6..10 => self.write(0x10, value & 0xffff_83ff, note),
            10..12 => self.end(Vector(value as u8), &mut note),
            _ => self.set_line((what >> 8) as usize % PINS, level(what), note),
        }
        messages
    }

    fn save(&mut self, _: Instant) -> Self::State {
        IoApic::save(self)
    }

    fn restore(&mut self, state: &Self::State, _: Instant) -> Result<(), StateError> {
        IoApic::restore(self, state)
    }
}

/// A rate of which each count of the device is so many ticks.
fn multiple(rate: Hertz, shift: u32) -> Hertz {
    Hertz::new(rate.get() << shift).unwrap()
}

impl Driven for Pit {
    type State = pit::PitState;

    fn fresh(&self, now: Instant) -> Self {
        Pit::new(multiple(pit::RATE, 10), now)
    }

    fn act(&mut self, what: u64, now: Instant) -> u64 {
        let port = port(&pit::PORTS, what);
        match what >> 61 {
            0..3 => u64::from(self.read(port, now)),
            3 => u64::from(self.expire(now) == Fired::Yes),
            _ => {
                self.write(port, what as u8, now);
                0
            }
        }
    }

    fn save(&mut self, now: Instant) -> Self::State {
        Pit::save(self, now)
    }

    fn restore(&mut self, state: &Self::State, now: Instant) -> Result<(), StateError> {
        Pit::restore(self, state, now)
    }

    fn deadline(&self) -> Instant {
        Pit::deadline(self)
    }
}

/// 2^15 ticks for each period of the clock's oscillator.
const CLOCK_TSC: Hertz = Hertz::new(1 << 30).unwrap();

impl Driven for Rtc {
    type State = rtc::RtcState;

    fn fresh(&self, now: Instant) -> Self {
        Rtc::new(0, CLOCK_TSC, now)
    }

    fn act(&mut self, what: u64, now: Instant) -> u64 {
        // Mostly the registers.
        let index = (what >> 8) as u8 & if what >> 40 & 3 == 0 { 0x7f } else { 0xf };
        match what >> 61 {
            0..3 => {
                self.write(0x70, index, now);
                u64::from(self.read(0x71, now))
            }
            3 => self.expire(now) as u64,
            _ => {
                self.write(0x70, index, now);
                self.write(0x71, what as u8, now) as u64
            }
        }
    }

    fn save(&mut self, now: Instant) -> Self::State {
        Rtc::save(self, now)
    }

    fn restore(&mut self, state: &Self::State, now: Instant) -> Result<(), StateError> {
        Rtc::restore(self, state, now)
    }

    fn deadline(&self) -> Instant {
        Rtc::deadline(self)
    }
}

/// A port, and what is at the other end.
struct Line {
    uart: Uart,
    wire: Other,
}

/// Takes some bytes, and gives some, as a count says that is a part of the state.
#[derive(Clone, Copy)]
struct Other {
    room: u8,
    waiting: u8,
    sent: u64,
}

impl Wire for Other {
    fn send(&mut self, byte: u8) -> Sent {
        if self.room == 0 {
            return Sent::Busy;
        }
        self.room -= 1;
        self.sent = self.sent.wrapping_mul(31).wrapping_add(u64::from(byte));
        Sent::Yes
    }

    fn receive(&mut self) -> Option<u8> {
        self.waiting = self.waiting.checked_sub(1)?;
        Some(self.waiting ^ 0x5a)
    }
}

impl Driven for Line {
    type State = (crate::uart::UartState, (u64, [u8; 2]));

    fn fresh(&self, _: Instant) -> Self {
        Line {
            uart: Uart::new(Hertz::new(1_000_000_007).unwrap()),
            wire: self.wire,
        }
    }

    fn act(&mut self, what: u64, now: Instant) -> u64 {
        let register = Register((what >> 8) as u8 & 7);
        // What waits for the wire is tried again at once after a restore, and sooner or later by the original.
        self.uart.service(now, &mut self.wire);
        let seen = match what >> 61 {
            0..3 => u64::from(self.uart.read(register, now, &mut self.wire)),
            3 => {
                self.wire.room = what as u8 & 3;
                self.wire.waiting = (what >> 8) as u8 & 15;
                0
            }
            _ => {
                let value = what as u8;
                self.uart.write(register, value, now, &mut self.wire);
                0
            }
        };
        seen | (self.uart.output() as u64) << 32 | self.wire.sent << 40
    }

    fn save(&mut self, now: Instant) -> Self::State {
        let Other {
            room,
            waiting,
            sent,
        } = self.wire;
        (self.uart.save(now), (sent, [room, waiting]))
    }

    fn restore(&mut self, state: &Self::State, now: Instant) -> Result<(), StateError> {
        let (uart, (sent, [room, waiting])) = *state;
        self.wire = Other {
            room,
            waiting,
            sent,
        };
        self.uart.restore(&uart, now)
    }
}

#[test]
fn the_8259a_pair_goes_on_elsewhere() {
    compare(Pic::new(), 1);
}

#[test]
fn the_io_apic_goes_on_elsewhere() {
    compare(IoApic::new(ExtendedDestination::On), 1);
}

#[test]
fn the_8254_goes_on_elsewhere() {
    compare(Pit::new(multiple(pit::RATE, 10), START), 1 << 10);
}

#[test]
fn the_clock_goes_on_elsewhere() {
    compare(Rtc::new(1_800_000_000, CLOCK_TSC, START), 1 << 15);
}

#[test]
fn the_serial_port_goes_on_elsewhere() {
    let wire = Other {
        room: 3,
        waiting: 5,
        sent: 0,
    };
    let uart = Uart::new(Hertz::new(1_000_000_007).unwrap());
    compare(Line { uart, wire }, 1000);
}

#[test]
fn the_acpi_timer_goes_on_elsewhere() {
    let tsc = multiple(crate::pm_timer::RATE, 8);
    let timer = PmTimer::new(tsc, CounterWidth::Bits32, START);
    let mut now = START;
    for step in 0..100_u64 {
        now = now + Ticks((step * step) << 8);
        let mut copy = PmTimer::new(tsc, CounterWidth::Bits32, Instant(3));
        copy.restore(through_bytes(&timer.read(now)), shifted(now));
        for later in [0, 255, 256, 1 << 20, 1 << 44] {
            let later = now + Ticks(later);
            assert_eq!(copy.read(shifted(later)), timer.read(later));
        }
    }
}

const CONFIG: BoardConfig = BoardConfig {
    tsc: Hertz::new(2_999_999_999).unwrap(),
    seconds: 1_800_000_000,
    extended: ExtendedDestination::On,
    pm_timer_port: 0x608,
};

/// A board on which everything was used.
fn busy_board() -> (PcBoard, Instant) {
    let mut board = PcBoard::new(&CONFIG, START);
    let mut random = Random(11);
    let mut now = START;
    let ports: Vec<u16> = [pic::PORTS.as_slice(), &pit::PORTS, &rtc::PORTS].concat();
    for _ in 0..2000 {
        now = now + Ticks(random.below(1 << 22));
        let value = random.next();
        let _ = board.write_port(port(&ports, value), 1, value as u32 & 0xff, now, |_| {});
        let _ = board.set_line(Gsi((value >> 32) as u32 % 24), level(value >> 40), |_| {});
        board.write_ioapic(0, 0x10 + (value >> 48) as u32 % 48, |_| {});
        board.write_ioapic(0x10, (value >> 16) as u32, |_| {});
        board.expire(now, |_| {});
    }
    (board, now)
}

fn sections(state: &BoardState) -> Vec<u8> {
    let mut writer = Writer::new();
    state.save(&mut writer);
    writer.finish().unwrap()
}

fn load(bytes: &[u8]) -> Result<BoardState, BadState> {
    let mut sections = Sections::of(bytes)?;
    let state = BoardState::load(&mut sections)?;
    sections.end()?;
    Ok(state)
}

#[test]
fn a_board_comes_back_from_its_bytes() {
    let (mut board, now) = busy_board();
    let bytes = sections(&board.save(now));
    assert!(bytes.len() < 1024, "{}", bytes.len());
    let elsewhere = shifted(now);
    let mut copy = PcBoard::new(&CONFIG, Instant(5));
    copy.restore(&load(&bytes).unwrap(), elsewhere).unwrap();
    assert_eq!(sections(&copy.save(elsewhere)), bytes);
    assert_eq!(copy.ext_int(), board.ext_int());
}

#[test]
fn a_damaged_board_is_refused_or_harmless() {
    let (mut board, now) = busy_board();
    let bytes = sections(&board.save(now));
    for length in 0..bytes.len() {
        assert!(load(&bytes[..length]).is_err());
    }
    let mut refused = 0;
    for at in 0..bytes.len() {
        for flip in [0x01, 0x08, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            assert!(load(&damaged).is_err(), "the checksum lets byte {at} pass");
            let Ok(state) = load(&super::sealed(damaged)) else {
                refused += 1;
                continue;
            };
            let mut copy = PcBoard::new(&CONFIG, now);
            match copy.restore(&state, now) {
                Ok(()) => use_it(&mut copy, now),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

/// All that a guest can do to a board, over a while.
fn use_it(board: &mut PcBoard, mut now: Instant) {
    for _ in 0..3 {
        now = now + Ticks(1 << 33);
        board.expire(now, |_| {});
        for port in [pic::PORTS.as_slice(), &pit::PORTS, &rtc::PORTS, &[0x608]].concat() {
            let _ = board.read_port(port, 1, now, |_| {});
        }
        for pin in 0..24 {
            let _ = board.set_line(Gsi(pin), Level::High, |_| {});
            let _ = board.set_line(Gsi(pin), Level::Low, |_| {});
        }
        let _ = board.acknowledge();
        board.service_serial(now, &mut crate::console_page::Unconnected, |_| {});
        let _ = (board.deadline(), board.serial_deadline());
    }
    board.save(now);
}
