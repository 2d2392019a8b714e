use std::collections::VecDeque;

use super::*;

const TSC: u64 = 1_000_000_000;
const NOW: Instant = Instant(5_000);
const RBR: Register = Register(0);
const IER: Register = Register(1);
const IIR: Register = Register(2);
const LCR: Register = Register(3);
const MCR: Register = Register(4);
const LSR: Register = Register(5);
const MSR: Register = Register(6);
const SCR: Register = Register(7);

/// A wire that takes `room` bytes.
#[derive(Default)]
struct Fake {
    sent: Vec<u8>,
    room: usize,
    waiting: VecDeque<u8>,
}

impl Wire for Fake {
    fn send(&mut self, byte: u8) -> Sent {
        if self.sent.len() >= self.room {
            return Sent::Busy;
        }
        self.sent.push(byte);
        Sent::Yes
    }

    fn receive(&mut self) -> Option<u8> {
        self.waiting.pop_front()
    }
}

struct Port {
    uart: Uart,
    wire: Fake,
    now: Instant,
}

impl Port {
    fn new() -> Self {
        Self {
            uart: Uart::new(Hertz::new(TSC).unwrap()),
            wire: Fake {
                room: 10_000,
                ..Fake::default()
            },
            now: NOW,
        }
    }

    /// Ready as Linux' driver leaves it, with these interrupts.
    fn ready(interrupts: u8) -> Self {
        let mut port = Self::new();
        port.write(LCR, 0x83);
        port.write(RBR, 1);
        port.write(IER, 0);
        port.write(LCR, 3);
        port.write(IIR, 0x81);
        port.write(MCR, 0xb);
        port.write(IER, interrupts);
        port.read(MSR);
        port
    }

    fn read(&mut self, register: Register) -> u8 {
        self.uart.read(register, self.now, &mut self.wire)
    }

    fn write(&mut self, register: Register, value: u8) {
        self.uart.write(register, value, self.now, &mut self.wire);
    }

    fn service(&mut self) {
        self.uart.service(self.now, &mut self.wire);
    }

    fn high(&self) -> bool {
        self.uart.output().is_high()
    }
}

#[test]
fn linux_finds_a_16550a() {
    // The steps of Linux' autoconfig, with what it wants to see.
    let mut port = Port::new();
    port.write(IER, 0);
    assert_eq!(port.read(IER) & 0xf, 0);
    port.write(IER, 0xf);
    assert_eq!(port.read(IER), 0xf);
    port.write(IER, 0);
    port.write(MCR, 0x10 | 0xa);
    assert_eq!(port.read(MSR) & 0xf0, 0x90, "loopback");
    port.write(MCR, 0);
    port.write(LCR, 0xbf);
    port.write(Register(2), 0);
    port.write(LCR, 0);
    port.write(Register(2), 1);
    assert_eq!(port.read(IIR) >> 6, 3, "16550A");
    // No enhanced registers, no 64 bytes, no fifth interrupt.
    port.write(LCR, 0x80);
    assert_ne!(port.read(IIR), 0);
    port.write(LCR, 0);
    port.write(Register(2), 0x21);
    assert_eq!(port.read(IIR) & 0x20, 0);
    port.write(IER, 0x40);
    assert_eq!(port.read(IER), 0);
    port.write(SCR, 0xa5);
    assert_eq!(port.read(SCR), 0xa5);
}

#[test]
fn linux_trusts_the_transmitters_interrupt() {
    let mut port = Port::ready(0);
    for _ in 0..2 {
        port.write(IER, 2);
        assert!(port.high());
        assert_eq!(port.read(IIR), 0xc2);
        assert!(!port.high(), "naming it ends it");
        assert_eq!(port.read(IIR), 0xc1);
        port.write(IER, 0);
    }
}

#[test]
fn bytes_go_out_at_once_and_the_line_rises_once_for_many() {
    let mut port = Port::ready(2);
    port.read(IIR);
    for byte in *b"0123456789abcdef" {
        assert_eq!(port.read(LSR), 0x60);
        port.write(RBR, byte);
        assert!(port.high());
    }
    assert_eq!(port.wire.sent, b"0123456789abcdef");
    assert_eq!(port.uart.deadline(), Instant::NEVER);
}

#[test]
fn a_wire_that_takes_nothing_keeps_the_transmitter_busy_and_loses_nothing() {
    let mut port = Port::ready(2);
    port.read(IIR);
    port.wire.room = 0;
    for byte in 0..16 {
        port.write(RBR, byte);
    }
    assert!(!port.high());
    assert_eq!(port.read(LSR), 0);
    let retry = port.uart.deadline();
    assert_eq!(retry, port.now + Ticks(TSC / RETRY_RATE));
    port.now = retry;
    port.wire.room = 10;
    port.service();
    assert_eq!(port.wire.sent.len(), 10);
    assert!(!port.high() && port.uart.deadline() > port.now);
    port.wire.room = 100;
    assert_eq!(port.read(LSR), 0x60, "a guest that polls does not wait");
    assert_eq!(port.wire.sent, (0..16).collect::<Vec<_>>());
    assert!(port.high());
    assert_eq!(port.uart.deadline(), Instant::NEVER);
}

#[test]
fn received_bytes_interrupt_at_the_trigger_level_or_after_four_characters() {
    let mut port = Port::ready(1);
    port.wire.waiting.extend(*b"abc");
    port.service();
    assert!(!port.high(), "three of eight");
    // Ten bits at 115200 bits a second, four times.
    let timeout = port.uart.deadline();
    assert_eq!(timeout.since(port.now).0, 4 * 10 * TSC / 115_200);
    port.now = timeout;
    port.service();
    assert!(port.high());
    assert_eq!(port.read(IIR), 0xcc);
    assert_eq!(port.read(RBR), b'a');
    assert!(!port.high(), "a read begins the time anew");
    assert!(port.uart.deadline() > port.now);
    port.wire.waiting.extend(*b"defghij");
    port.service();
    assert_eq!(port.read(IIR), 0xc4);
    assert_eq!(port.read(LSR), 0x61);
    let read: Vec<u8> = (0..9).map(|_| port.read(RBR)).collect();
    assert_eq!(read, b"bcdefghij");
    assert_eq!(port.read(LSR), 0x60);
    assert!(!port.high());
    assert_eq!(port.uart.deadline(), Instant::NEVER);
}

#[test]
fn the_receiver_takes_no_more_than_it_holds() {
    let mut port = Port::ready(1);
    port.wire.waiting.extend(0..40);
    port.service();
    assert_eq!(port.wire.waiting.len(), 24);
    let read: Vec<u8> = (0..40).map(|_| port.read(RBR)).collect();
    assert_eq!(read, (0..40).collect::<Vec<_>>());
    assert_eq!(port.read(LSR), 0x60, "no overrun");
}

#[test]
fn a_port_without_fifos_holds_one_byte() {
    let mut port = Port::ready(1);
    port.write(IIR, 0);
    assert_eq!(port.read(IIR), 1);
    port.wire.waiting.extend(*b"xy");
    port.service();
    assert!(port.high());
    assert_eq!((port.read(RBR), port.read(RBR)), (b'x', b'y'));
    assert_eq!(port.uart.deadline(), Instant::NEVER, "no timeout");
}

#[test]
fn a_loop_gives_back_bytes_and_overruns() {
    let mut port = Port::ready(5);
    port.write(MCR, 0x1b);
    assert!(!port.high(), "a loop is cut off from the interrupt line");
    for byte in 0..17 {
        port.write(RBR, byte);
    }
    assert!(port.wire.sent.is_empty());
    assert_eq!(port.read(IIR), 0xc6, "line status comes first");
    assert_eq!(port.read(LSR), 0x63);
    assert_eq!(port.read(LSR), 0x61, "told once");
    let read: Vec<u8> = (0..16).map(|_| port.read(RBR)).collect();
    assert_eq!(read, (0..16).collect::<Vec<_>>());
    port.write(IIR, 0);
    port.write(RBR, 1);
    port.write(RBR, 2);
    assert_eq!((port.read(LSR) & 3, port.read(RBR)), (3, 2));
}

#[test]
fn changes_of_the_modem_lines_interrupt() {
    let mut port = Port::ready(8);
    assert_eq!(port.read(MSR), 0xb0);
    port.write(MCR, 0x1f);
    assert_eq!(port.read(MSR), 0xf0, "all up; the bell has to end to count");
    port.write(MCR, 0x0b);
    assert!(port.high());
    assert_eq!(port.read(IIR), 0xc0);
    assert_eq!(port.read(MSR), 0xb4);
    assert!(!port.high());
}

#[test]
fn a_saved_port_goes_on_elsewhere() {
    let mut port = Port::ready(3);
    port.wire.waiting.extend(*b"ab");
    port.service();
    port.wire.room = 0;
    port.write(RBR, 7);
    let state = port.uart.save(port.now);
    let mut copy = Port::new();
    copy.now = Instant(77);
    copy.uart.restore(&state, copy.now).unwrap();
    assert_eq!(copy.uart.save(copy.now), state);
    copy.service();
    assert_eq!(copy.wire.sent, [7]);
    assert!(copy.uart.deadline() > copy.now);
    assert_eq!((copy.read(RBR), copy.read(RBR)), (b'a', b'b'));

    let before = copy.uart;
    for damage in [
        |state: &mut UartState| state.interrupt_enable = 0x10,
        |state: &mut UartState| state.fifo_control = 0x02,
        |state: &mut UartState| state.modem_control = 0x20,
        |state: &mut UartState| state.received.1 = 17,
        |state: &mut UartState| {
            state.fifo_control = 0;
            state.received.1 = 2;
        },
        |state: &mut UartState| state.empty_due = true,
        |state: &mut UartState| {
            state.received.1 = 0;
            state.timeout_due = true;
        },
        |state: &mut UartState| state.modem_changes = 0x10,
        |state: &mut UartState| state.line_errors = 0x20,
    ] {
        let mut bad = state;
        damage(&mut bad);
        assert!(copy.uart.restore(&bad, NOW).is_err(), "{bad:?}");
        assert_eq!(copy.uart, before);
    }
}

#[test]
fn any_accesses_leave_a_state_that_can_be_saved() {
    let mut port = Port::new();
    let mut seed = 0x1234_5678_u32;
    for step in 0..200_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let value = (seed >> 16) as u8;
        let register = Register((seed >> 24) as u8 & 7);
        match seed >> 28 & 7 {
            0..=2 => port.write(register, value),
            3 => {
                port.read(register);
            }
            4 => port.wire.waiting.push_back(value),
            5 => port.wire.room = port.wire.sent.len() + usize::from(value & 3),
            _ => {
                port.now = port
                    .uart
                    .deadline()
                    .min(port.now + Ticks(1 << 20))
                    .max(port.now);
                port.service();
                assert!(port.uart.deadline() > port.now, "step {step}");
            }
        }
        let mut copy = Uart::new(Hertz::new(TSC).unwrap());
        copy.restore(&port.uart.save(port.now), port.now).unwrap();
        port.wire.sent.truncate(1000);
    }
}
