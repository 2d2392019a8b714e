use super::*;
use crate::local_apic::Trigger;
use crate::time::Ticks;

const TSC: u64 = 1_000_000_000;
const START: Instant = Instant(1_000);
const PM_TIMER: u16 = 0x608;

fn board() -> PcBoard {
    PcBoard::new(
        &BoardConfig {
            tsc: Hertz::new(TSC).unwrap(),
            seconds: 1_000_000_000,
            extended: ExtendedDestination::Off,
            pm_timer_port: PM_TIMER,
        },
        START,
    )
}

/// Collects vectors; 0 stands for the 8259A's output.
fn collect(sent: &mut Vec<u8>) -> impl FnMut(Signal) {
    |signal| {
        sent.push(match signal {
            Signal::Message(message) => message.vector.0,
            Signal::ExtInt => 0,
        });
    }
}

fn out(board: &mut PcBoard, port: u16, value: u8) -> Vec<u8> {
    let mut sent = Vec::new();
    board
        .write_port(port, 1, value.into(), START, collect(&mut sent))
        .unwrap();
    sent
}

fn pin(board: &mut PcBoard, pin: u32, entry: u32) {
    board.write_ioapic(0, 0x10 + 2 * pin, |_| {});
    board.write_ioapic(0x10, entry, |_| {});
}

fn with_pic() -> PcBoard {
    let mut board = board();
    for (port, value) in [
        (0x20, 0x11),
        (0x21, 0x30),
        (0x21, 4),
        (0x21, 1),
        (0xa0, 0x11),
        (0xa1, 0x38),
        (0xa1, 2),
        (0xa1, 1),
        (0x21, 0),
        (0xa1, 0),
    ] {
        out(&mut board, port, value);
    }
    board
}

#[test]
fn the_timer_reaches_both_controllers() {
    let mut board = with_pic();
    pin(&mut board, 2, 0x50);
    for (port, value) in [(0x43, 0x34), (0x40, 0xa9), (0x40, 0x04)] {
        assert_eq!(out(&mut board, port, value), []);
    }
    let mut sent = Vec::new();
    for _ in 0..3 {
        let due = board.deadline();
        board.expire(due - Ticks(2), |signal| panic!("{signal:?} is early"));
        board.expire(due, collect(&mut sent));
        assert_eq!(board.acknowledge(), Some(Vector(0x30)));
        assert_eq!(board.acknowledge(), None);
        out(&mut board, 0x20, 0x20);
    }
    assert_eq!(sent, [0x50, 0, 0x50, 0, 0x50, 0]);
    let period = 1193 * TSC / 1_193_182;
    assert!(board.deadline().since(START).0.abs_diff(4 * period) < 10_000);
}

#[test]
fn lines_reach_both_controllers() {
    let mut board = with_pic();
    pin(&mut board, 11, 0x8061);
    pin(&mut board, 20, 0x8071);
    out(&mut board, 0x4d0 + 1, 1 << 3);
    let mut sent = Vec::new();
    assert_eq!(
        board.set_line(Gsi(11), Level::High, collect(&mut sent)),
        Some(())
    );
    assert_eq!(
        board.set_line(Gsi(20), Level::High, collect(&mut sent)),
        Some(())
    );
    assert_eq!(
        board.set_line(Gsi(24), Level::High, collect(&mut sent)),
        None
    );
    assert_eq!(sent, [0x61, 0, 0x71]);
    sent.clear();
    board.set_line(Gsi(20), Level::Low, collect(&mut sent));
    board.end_of_interrupt(Vector(0x71), collect(&mut sent));
    board.end_of_interrupt(Vector(0x61), |signal| match signal {
        Signal::Message(message) => assert_eq!(message.trigger, Trigger::Level),
        Signal::ExtInt => panic!("the output is high already"),
    });
    assert_eq!(sent, []);
    assert_eq!(board.acknowledge(), Some(Vector(0x3b)));
}

#[test]
fn the_end_of_one_interrupt_signals_the_next() {
    let mut board = with_pic();
    let mut sent = Vec::new();
    for line in [4, 5] {
        board.set_line(Gsi(line), Level::High, collect(&mut sent));
    }
    assert_eq!(sent, [0], "the output rises once");
    assert_eq!(board.acknowledge(), Some(Vector(0x34)));
    assert_eq!(board.ext_int(), Level::Low);
    assert_eq!(out(&mut board, 0x20, 0x20), [0]);
    assert_eq!(board.acknowledge(), Some(Vector(0x35)));
}

#[test]
fn the_clock_interrupts_on_line_8() {
    let mut board = with_pic();
    pin(&mut board, 8, 0x58);
    out(&mut board, 0x70, 0x0b);
    out(&mut board, 0x71, 0x12);
    let due = board.deadline();
    assert!(due.since(START).0.abs_diff(TSC) < 100_000, "{due:?}");
    let mut sent = Vec::new();
    board.expire(due, collect(&mut sent));
    assert_eq!(sent, [0x58, 0]);
    assert_eq!(board.acknowledge(), Some(Vector(0x38)));
    out(&mut board, 0x70, 0x0c);
    assert_eq!(board.read_port(0x71, 1, due, |_| {}), Some(0xd0));
    assert!(board.deadline() > due);
}

#[test]
fn wide_accesses_are_split_and_others_are_refused() {
    let mut board = board();
    board.write_port(0x20, 2, 0x3011, START, |_| {}).unwrap();
    board.write_port(0x4d0, 2, 0xffff, START, |_| {}).unwrap();
    assert_eq!(board.read_port(0x4d0, 2, START, |_| {}), Some(0xdef8));
    assert_eq!(board.read_port(0x61, 4, START, |_| {}), Some(0xffff_ff20));
    assert_eq!(board.read_port(0x80, 1, START, |_| {}), None);
    assert_eq!(board.write_port(0x80, 1, 0, START, |_| {}), None);
    assert_eq!(board.read_port(0x62, 4, START, |_| {}), None);
}

#[test]
fn ports_that_it_surely_does_not_have_it_does_not_have() {
    let mut board = board();
    let mut others = 0;
    for port in 0..=u16::MAX {
        if !board.may_have(port) {
            assert_eq!(board.read_port(port, 1, START, |_| {}), None);
            assert_eq!(board.write_port(port, 1, 0, START, |_| {}), None);
            others += 1;
        }
    }
    assert!(others > 60_000);
}

#[test]
fn the_acpi_timer_is_at_its_port() {
    let mut board = board();
    let later = START + Ticks(TSC * 10);
    let count = board.read_port(PM_TIMER, 4, later, |_| {}).unwrap();
    assert!(count.abs_diff(35_795_450) <= 1);
    assert_eq!(
        board.read_port(PM_TIMER + 1, 1, later, |_| {}).unwrap() as u8,
        (count >> 8) as u8
    );
    assert_eq!(board.write_port(PM_TIMER, 4, 0, later, |_| {}), Some(()));
    assert_eq!(board.read_port(PM_TIMER + 4, 4, later, |_| {}), None);
}

#[test]
fn a_saved_board_goes_on_elsewhere() {
    let mut board = with_pic();
    pin(&mut board, 2, 0x50);
    for (port, value) in [(0x43, 0x34), (0x40, 0xa9), (0x40, 0x04)] {
        out(&mut board, port, value);
    }
    let at = START + Ticks(100_000);
    let state = board.save(at);
    let mut copy = super::tests::board();
    let elsewhere = Instant(5);
    copy.restore(&state, elsewhere).unwrap();
    let (left, expected) = (
        copy.deadline().since(elsewhere).0,
        board.deadline().since(at).0,
    );
    assert!(left.abs_diff(expected) < 2000, "{left} {expected}");
    let mut bad = state;
    bad.rtc.fraction = u16::MAX;
    let before = copy;
    assert!(copy.restore(&bad, elsewhere).is_err());
    assert_eq!(copy, before);
    copy.reset(elsewhere);
    assert_eq!(copy.deadline(), Instant::NEVER);
}
