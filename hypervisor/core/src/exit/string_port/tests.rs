//! INS and OUTS through the exit loop.

use core::sync::atomic::Ordering::SeqCst;

use bulkhead_abi::DEBUG_PORT;
use bulkhead_abi::io::{DIRECTION_READ, DIRECTION_WRITE, STATE_PENDING, Space};

use super::{BATCH, POST_PORT};
use crate::doorbell::{Doorbell, DoorbellTable};
use crate::event_page::EventPort;
use crate::exit::Leave;
use crate::fakes::Bench;
use crate::host::SharedPage;
use crate::id::Vector;
use crate::local_apic::Trigger;
use crate::shared_vcpu::Hazard;
use crate::vcpu::{Direction, Exit, Gpr, PortAccess, PortForm};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x18_0000;
const REP_OUTSB: &[u8] = &[0xf3, 0x6e];
const REP_INSB: &[u8] = &[0xf3, 0x6c];

fn exit(port: u16, size: u8, direction: Direction) -> Exit {
    Exit::Port(PortAccess {
        port,
        size,
        direction,
        form: PortForm::String,
    })
}

/// Lets the guest run `code` with `count` in RCX until its instruction is done.
fn run(bench: &mut Bench, code: &[u8], exit: Exit, count: u64) -> Leave {
    bench.code(CODE, code);
    let Exit::Port(access) = exit else {
        panic!("not a port exit")
    };
    let registers = [
        (Gpr::Rcx, count),
        (Gpr::Rdx, u64::from(access.port)),
        (Gpr::Rsi, DATA),
        (Gpr::Rdi, DATA),
    ];
    bench.exit(&registers, exit)
}

fn registers(bench: &Bench) -> [u64; 4] {
    let hw = &bench.vcpu.hw;
    [
        hw.rip - CODE,
        hw.get(Gpr::Rcx),
        hw.get(Gpr::Rsi).wrapping_sub(DATA),
        hw.get(Gpr::Rdi).wrapping_sub(DATA),
    ]
}

#[test]
fn a_string_goes_to_the_console() {
    let mut bench = Bench::guest();
    bench.poke(DATA, b"hello\nx");
    let write = exit(DEBUG_PORT, 1, Direction::Write);
    // The line's end asks for the console: the instruction is interrupted, and goes on.
    assert_eq!(run(&mut bench, REP_OUTSB, write, 7), Leave::Yield);
    assert_eq!(registers(&bench), [0, 1, 6, 0]);
    assert_eq!(bench.host.lines[0].1, "hello");
    assert_eq!(bench.exit(&[], write), Leave::Interrupted);
    assert_eq!(registers(&bench), [2, 0, 7, 0]);
}

#[test]
fn long_strings_leave_room_for_interrupts() {
    let mut bench = Bench::guest();
    let write = exit(POST_PORT, 1, Direction::Write);
    let count = u64::from(BATCH) + 5;
    run(&mut bench, REP_OUTSB, write, count);
    assert_eq!(registers(&bench), [0, 5, u64::from(BATCH), 0]);
    bench.exit(&[], write);
    assert_eq!(registers(&bench), [2, 0, count, 0]);
}

#[test]
fn an_interrupt_shadow_ends_with_the_first_iteration() {
    let mut bench = Bench::guest();
    bench.enable_x2apic();
    bench.code(CODE, REP_OUTSB);
    let (vcpu, write) = (&mut bench.vcpu, exit(POST_PORT, 1, Direction::Write));
    for (register, value) in [
        (Gpr::Rcx, 5),
        (Gpr::Rdx, u64::from(POST_PORT)),
        (Gpr::Rsi, DATA),
    ] {
        vcpu.hw.set(register, value);
    }
    let shared = vcpu.shared.clone();
    vcpu.hw.after(
        move |hw| {
            hw.shadow = true;
            let _ = shared.mailbox.post(Vector(0x51), Trigger::Edge);
        },
        write,
    );
    bench.run();
    assert_eq!(bench.vcpu.hw.interrupts(), [0x51]);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rcx), 4, "after one iteration");
    assert_eq!(bench.vcpu.hw.rip, CODE);
}

#[test]
fn the_hypervisors_own_devices_are_read() {
    let mut bench = Bench::guest();
    // The mask of the first 8259A, written and read back.
    bench.poke(DATA, &[0x5a]);
    run(&mut bench, &[0x6e], exit(0x21, 1, Direction::Write), 9);
    assert_eq!(registers(&bench), [1, 9, 1, 0]);
    bench.poke(DATA, &[0; 8]);
    run(&mut bench, REP_INSB, exit(0x21, 1, Direction::Read), 3);
    assert_eq!(registers(&bench), [2, 0, 0, 3]);
    assert_eq!(bench.peek(DATA), 0x5a_5a5a);
}

#[test]
fn nobodys_ports_read_as_ones() {
    let mut bench = Bench::guest();
    bench.poke(DATA, &[0; 8]);
    let read = exit(0x1234, 2, Direction::Read);
    run(&mut bench, &[0x66, 0xf3, 0x6d], read, 3);
    assert_eq!(bench.peek(DATA), 0xffff_ffff_ffff);
    assert_eq!(registers(&bench), [3, 0, 0, 6]);
}

#[test]
fn a_reset_by_a_string_restarts_the_partition() {
    let mut bench = Bench::guest();
    bench.poke(DATA, &[6]);
    let write = exit(0xcf9, 1, Direction::Write);
    assert_eq!(run(&mut bench, &[0x6e], write, 0), Leave::Stopped);
    assert!(bench.partition.take_restart_wish());
}

/// Unmaps the page of DATA + 0x1000 by 4 KiB tables below the fake guest's own.
fn split_page_tables(bench: &mut Bench) {
    // A level 2 and a level 1 table for the first GiB.
    let (level2, level1) = (0x20_0000_u64, 0x20_1000_u64);
    let mut entries = Vec::new();
    for index in 0..512_u64 {
        let page = index << 12;
        let present = u64::from(page != DATA + 0x1000);
        entries.extend((page | 0x22 | present).to_le_bytes());
    }
    bench.poke(level1, &entries);
    let mut entries = (level1 | 0x23).to_le_bytes().to_vec();
    for index in 1..512_u64 {
        entries.extend((index << 21 | 0xa3).to_le_bytes());
    }
    bench.poke(level2, &entries);
    let level4 = bench.vcpu.hw.system.cr3;
    let level3 = bench.peek(level4) & !0xfff;
    bench.poke(level3, &(level2 | 0x23).to_le_bytes());
}

#[test]
fn a_fault_stops_a_string_at_its_iteration() {
    let mut bench = Bench::guest();
    split_page_tables(&mut bench);
    bench.code(CODE, REP_INSB);
    let registers = [(Gpr::Rcx, 8), (Gpr::Rdx, 0x21), (Gpr::Rdi, DATA + 0xffd)];
    bench.exit(&registers, exit(0x21, 1, Direction::Read));
    let fault = bench.vcpu.hw.exception().unwrap();
    // Not present, a write, by the supervisor.
    assert_eq!((fault.vector, fault.error_code), (14, Some(2)));
    let hw = &bench.vcpu.hw;
    assert_eq!(hw.system.cr2, DATA + 0x1000);
    assert_eq!((hw.rip, hw.get(Gpr::Rcx)), (CODE, 5));
    assert_eq!(hw.get(Gpr::Rdi), DATA + 0x1000);
    // An operand over the border: the address of the missing page, and the first one is not written.
    bench.poke(DATA + 0xff8, &[0; 8]);
    bench.code(CODE, &[0x6d]);
    let registers = [(Gpr::Rdx, 0x1234), (Gpr::Rdi, DATA + 0xffe)];
    bench.exit(&registers, exit(0x1234, 4, Direction::Read));
    assert_eq!(bench.vcpu.hw.system.cr2, DATA + 0x1000);
    assert_eq!(bench.peek(DATA + 0xff8), 0);
    // OUTS reads.
    bench.vcpu.hw.system.cpl = 0;
    bench.code(CODE, &[0x6e]);
    let registers = [(Gpr::Rdx, 0x21), (Gpr::Rsi, DATA + 0x1000)];
    bench.exit(&registers, exit(0x21, 1, Direction::Write));
    let fault = bench.vcpu.hw.exception().unwrap();
    assert_eq!((fault.vector, fault.error_code), (14, Some(0)));
}

#[test]
fn an_address_out_of_the_canonical_range_is_a_protection_fault() {
    let mut bench = Bench::guest();
    bench.code(CODE, &[0x6e]);
    let registers = [(Gpr::Rdx, 0x21), (Gpr::Rsi, 0x8000_0000_0000)];
    bench.exit(&registers, exit(0x21, 1, Direction::Write));
    let fault = bench.vcpu.hw.exception().unwrap();
    assert_eq!((fault.vector, fault.error_code), (13, Some(0)));
    assert_eq!(bench.vcpu.hw.rip, CODE);
}

#[test]
fn code_that_was_rewritten_runs_anew() {
    let mut bench = Bench::guest();
    let read = exit(0x21, 1, Direction::Read);
    assert_eq!(run(&mut bench, REP_OUTSB, read, 3), Leave::Interrupted);
    assert_eq!(registers(&bench), [0, 3, 0, 0]);
}

/// Answers the request in slot 0 after checking what it asks.
fn answer(bench: &mut Bench, requests: SharedPage, head: (u64, u8), port: u64, data: u64) {
    let (direction, size) = head;
    let state = requests[0].load(SeqCst);
    let space = Space::Port as u64;
    let expected = u64::from(STATE_PENDING) | space << 32 | direction << 40 | u64::from(size) << 48;
    assert_eq!((state, requests[1].load(SeqCst)), (expected, port));
    requests[2].store(data, SeqCst);
    bench.vcpu.shared.raise(Hazard::IO_DONE);
}

#[test]
fn the_management_partition_serves_every_iteration_once() {
    let mut bench = Bench::managed(&[0]);
    let (requests, _) = bench.serve();
    let read = exit(0x700, 2, Direction::Read);
    let insw = [0x66, 0xf3, 0x6d];
    bench.poke(DATA, &[0; 8]);
    assert_eq!(run(&mut bench, &insw, read, 2), Leave::WaitIo);
    assert_eq!(registers(&bench), [0, 2, 0, 0]);
    let head = (u64::from(DIRECTION_READ), 2);
    answer(&mut bench, requests, head, 0x700, 0xdead_1122);
    // The second iteration asks at once.
    assert_eq!(bench.run(), Leave::WaitIo);
    assert_eq!(registers(&bench), [0, 1, 0, 2]);
    answer(&mut bench, requests, head, 0x700, 0x3344);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(registers(&bench), [3, 0, 0, 4]);
    assert_eq!(bench.peek(DATA), 0x3344_1122);
    assert!(bench.vcpu.io_log.is_empty());
}

#[test]
fn written_strings_reach_the_management_partition() {
    let mut bench = Bench::managed(&[0]);
    let (requests, _) = bench.serve();
    bench.poke(DATA, &[1, 2]);
    let write = exit(0x701, 1, Direction::Write);
    assert_eq!(run(&mut bench, REP_OUTSB, write, 2), Leave::WaitIo);
    let head = (u64::from(DIRECTION_WRITE), 1);
    for byte in [1, 2] {
        assert_eq!(requests[2].load(SeqCst), byte);
        answer(&mut bench, requests, head, 0x701, 0);
        let expected = if byte == 2 {
            Leave::Interrupted
        } else {
            Leave::WaitIo
        };
        assert_eq!(bench.run(), expected);
    }
    assert_eq!(registers(&bench), [2, 0, 2, 0]);
}

#[test]
fn a_string_whose_manager_is_lost_reads_ones() {
    let mut bench = Bench::managed(&[0]);
    bench.serve();
    bench.poke(DATA, &[0; 8]);
    let read = exit(0x700, 1, Direction::Read);
    assert_eq!(run(&mut bench, REP_INSB, read, 2), Leave::WaitIo);
    bench.partition.io.lock().requests = None;
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.peek(DATA), 0xffff);
    assert_eq!(registers(&bench), [2, 0, 0, 2]);
}

#[test]
fn doorbells_ring_for_strings() {
    let mut bench = Bench::managed(&[0]);
    let (_, events) = bench.serve();
    let bells = DoorbellTable::default();
    let bells = bells.with(Doorbell {
        space: Space::Port,
        address: 0x702,
        size: 1,
        data: None,
        port: EventPort::new(101).unwrap(),
    });
    bench.vcpu.doorbells = std::sync::Arc::new(bells.unwrap());
    let write = exit(0x702, 1, Direction::Write);
    run(&mut bench, REP_OUTSB, write, 3);
    assert_eq!(registers(&bench), [2, 0, 3, 0]);
    assert_eq!(events[1].load(SeqCst), 1 << (101 - 64));
}
