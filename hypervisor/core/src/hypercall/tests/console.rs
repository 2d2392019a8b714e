//! Consoles.

use super::*;
use crate::id::PartitionId;
use crate::local_apic::Identity;
use crate::vcpu::{Direction, PortAccess, PortForm};
use bulkhead_abi::console::{INPUT, INPUT_HEAD, INPUT_TAIL, OUTPUT, OUTPUT_BYTES, OUTPUT_HEAD};
use std::sync::Arc;

/// The page of events.
const EVENTS: u64 = PAGE + 0x1000;
const PORT: u64 = 100;

fn guest(bench: &Bench) -> Arc<crate::partition::Partition> {
    bench.host.machine.partition(PartitionId(1)).unwrap()
}

/// An access of the guest to COM1.
fn com1(bench: &mut Bench, register: u16, write: Option<u8>) -> u8 {
    let guest = guest(bench);
    let access = PortAccess {
        port: 0x3f8 + register,
        size: 1,
        direction: match write {
            Some(_) => Direction::Write,
            None => Direction::Read,
        },
        form: PortForm::Single,
    };
    let value = write.unwrap_or(0).into();
    let mut devices = guest.devices.lock();
    match devices.port(access, value, &guest, &mut bench.host) {
        crate::platform_devices::PortAnswer::Done { value, .. } => value as u8,
        other => panic!("{other:?}"),
    }
}

fn connected() -> Bench {
    let mut bench = Bench::manager();
    assert_eq!(call(&mut bench, EventPage, [EVENTS, 0x40, 0, 0]), Ok(0));
    assert_eq!(call(&mut bench, ConsolePage, [GUEST, PAGE, PORT, 0]), Ok(0));
    bench
}

fn event(bench: &mut Bench) -> bool {
    let raised = bench.peek(EVENTS + PORT / 64 * 8) >> (PORT % 64) & 1 != 0;
    bench.poke(EVENTS, &[0; 4096]);
    raised
}

#[test]
fn a_page_is_registered_by_valid_arguments_only() {
    let mut bench = Bench::manager();
    for (arguments, status) in [
        ([0, PAGE, PORT, 0], Status::BadArgument),
        ([7, PAGE, PORT, 0], Status::NotFound),
        ([GUEST, PAGE, 63, 0], Status::BadArgument),
        ([GUEST, PAGE + 8, PORT, 0], Status::BadAddress),
        ([GUEST, u64::MAX - 0xfff, PORT, 0], Status::BadAddress),
    ] {
        assert_eq!(call(&mut bench, ConsolePage, arguments), Err(status));
    }
    assert_eq!(
        call(&mut bench, ConsoleInput, [0, 0, 0, 0]),
        Err(Status::BadArgument)
    );
    assert_eq!(call(&mut bench, ConsoleInput, [GUEST, 0, 0, 0]), Ok(0));
    bench.world.memory.borrow_mut().shares_left = Some(0);
    assert_eq!(
        call(&mut bench, ConsolePage, [GUEST, PAGE, PORT, 0]),
        Err(Status::NoResource)
    );
}

#[test]
fn output_reaches_the_page_and_is_announced_when_the_timer_says_so() {
    let mut bench = connected();
    for byte in *b"ok\n" {
        assert_eq!(com1(&mut bench, 5, None), 0x60);
        com1(&mut bench, 0, Some(byte));
    }
    assert_eq!(bench.peek(PAGE + OUTPUT_HEAD as u64), 3);
    assert_eq!(
        bench.peek(PAGE + OUTPUT as u64),
        u64::from_le_bytes(*b"ok\n\0\0\0\0\0")
    );
    assert!(!event(&mut bench));
    // The owner of the guest's first vCPU looks at the shared timers.
    let guest = guest(&bench);
    let deadline = guest
        .device_deadline
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(deadline, bench.world.clock.get() + 10_000_000);
    bench.world.clock.set(deadline);
    let _ = guest.devices.lock().expire(&guest, &mut bench.host);
    assert!(event(&mut bench));
}

#[test]
fn the_last_words_of_a_guest_are_announced_when_it_stops() {
    let mut bench = connected();
    com1(&mut bench, 0, Some(b'!'));
    assert!(!event(&mut bench));
    let guest = guest(&bench);
    crate::lifecycle::ended(&guest, &mut bench.host);
    assert!(event(&mut bench));
}

#[test]
fn a_full_ring_holds_the_guest_until_management_takes_something() {
    let mut bench = connected();
    for _ in 0..OUTPUT_BYTES {
        com1(&mut bench, 0, Some(b'.'));
    }
    assert_eq!(com1(&mut bench, 5, None), 0x60);
    com1(&mut bench, 0, Some(b'x'));
    assert_eq!(com1(&mut bench, 5, None), 0, "busy");
    assert!(event(&mut bench));
    bench.poke(PAGE + 64, &100u64.to_le_bytes());
    bench.world.clock.set(bench.world.clock.get() + 1_000_000);
    let guest = guest(&bench);
    let _ = guest.devices.lock().expire(&guest, &mut bench.host);
    assert_eq!(
        bench.peek(PAGE + OUTPUT_HEAD as u64),
        OUTPUT_BYTES as u64 + 1
    );
    assert_eq!(com1(&mut bench, 5, None), 0x60);
}

#[test]
fn input_interrupts_the_guest() {
    let mut bench = connected();
    let guest = guest(&bench);
    // Pin 4 of the I/O APIC: vector 0x44 to the first vCPU.
    let first = guest.vcpus[0].clone();
    first.set_identity(Some(Identity {
        id: first.apic_id,
        mode: crate::local_apic::IdentityMode::X2Apic,
    }));
    for (offset, value) in [(0, 0x18), (0x10, 0x44)] {
        let direction = Direction::Write;
        let mut devices = guest.devices.lock();
        let _ = devices.ioapic_access(offset, direction, value, &guest, &bench.host);
    }
    com1(&mut bench, 4, Some(8));
    com1(&mut bench, 1, Some(1));
    first.mailbox.clear();
    bench.poke(PAGE + INPUT as u64, b"A");
    bench.poke(PAGE + INPUT_HEAD as u64, &1u64.to_le_bytes());
    assert_eq!(call(&mut bench, ConsoleInput, [GUEST, 0, 0, 0]), Ok(0));
    assert!(!first.mailbox.is_empty());
    assert_eq!(com1(&mut bench, 5, None), 0x61);
    assert_eq!(com1(&mut bench, 0, None), b'A');
    assert_eq!(bench.peek(PAGE + INPUT_TAIL as u64), 1);
}

#[test]
fn a_console_without_a_page_drops_its_output() {
    let mut bench = connected();
    assert_eq!(call(&mut bench, ConsolePage, [GUEST, 0, 0, 0]), Ok(0));
    for _ in 0..3 * OUTPUT_BYTES {
        com1(&mut bench, 0, Some(b'.'));
        assert_eq!(com1(&mut bench, 5, None), 0x60);
    }
    assert_eq!(bench.peek(PAGE + OUTPUT_HEAD as u64), 0);
}

#[test]
fn bytes_that_waited_for_a_page_that_is_gone_do_not_hold_the_guest() {
    let mut bench = connected();
    for _ in 0..OUTPUT_BYTES + 5 {
        com1(&mut bench, 0, Some(b'.'));
    }
    crate::lifecycle::forget_routes(&bench.host);
    assert_eq!(com1(&mut bench, 5, None), 0x60);
}
