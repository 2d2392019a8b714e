//! Ports: the hypervisor's own, doorbells, and requests to the management partition.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bulkhead_abi::io::{STATE_PENDING, Space};

use crate::doorbell::{Doorbell, DoorbellTable};
use crate::event_page::EventPort;
use crate::exit::Leave;
use crate::fakes::Bench;
use crate::id::CpuId;
use crate::shared_vcpu::Hazard;
use crate::vcpu::{Direction, Exit, Gpr, PortAccess, PortForm};

fn access(port: u16, size: u8, direction: Direction) -> Exit {
    Exit::Port(PortAccess {
        port,
        size,
        direction,
        form: PortForm::Single,
    })
}

#[test]
fn without_anybody_there_reads_give_ones_of_their_size() {
    let mut bench = Bench::guest();
    for (size, expected) in [
        (1, 0x1111_1111_1111_11ff),
        (2, 0x1111_1111_1111_ffff),
        (4, 0xffff_ffff),
    ] {
        let rip = bench.vcpu.hw.rip;
        let registers = [(Gpr::Rax, 0x1111_1111_1111_1111)];
        let leave = bench.exit(&registers, access(0x2f8, size, Direction::Read));
        assert_eq!(leave, Leave::Interrupted);
        assert_eq!(bench.vcpu.hw.get(Gpr::Rax), expected);
        assert_eq!(bench.vcpu.hw.rip, rip + 2);
    }
    let _ = bench.exit(&[(Gpr::Rax, 7)], access(0x2f8, 4, Direction::Write));
    assert_eq!(bench.vcpu.hw.get(Gpr::Rax), 7);
    let _ = bench.exit(&[], access(0x80, 1, Direction::Write));
}

#[test]
fn a_request_is_filled_in_announced_and_completed() {
    let mut bench = Bench::managed(&[0]);
    let (requests, events) = bench.serve();
    let manager = bench.host.machine.management().unwrap().clone();
    let rip = bench.vcpu.hw.rip;
    let leave = bench.exit(
        &[(Gpr::Rax, 0x1234_5678)],
        access(0x2f8, 2, Direction::Write),
    );
    assert_eq!(leave, Leave::WaitIo);
    assert_eq!(
        bench.vcpu.hw.rip,
        rip + 2,
        "the instruction is done but for its answer"
    );
    let head = u64::from(STATE_PENDING) | 1 << 40 | 2 << 48;
    assert_eq!(requests[0].load(SeqCst), head);
    assert_eq!(requests[1].load(SeqCst), 0x2f8);
    assert_eq!(
        requests[2].load(SeqCst),
        0x5678,
        "the bytes that were written"
    );
    assert_eq!(events[1].load(SeqCst), 1 << (100 - 64));
    assert_eq!(events[0].load(SeqCst), 1 << 1);
    assert!(!manager.vcpus[0].mailbox.is_empty());
    assert_eq!(bench.host.take_kicks(), [CpuId(1)]);
    // Spurious looks do not end the wait.
    bench.vcpu.shared.raise(Hazard::FLUSH);
    assert_eq!(bench.run(), Leave::WaitIo);
    bench.vcpu.shared.raise(Hazard::IO_DONE);
    let registers = [(Gpr::Rax, 0xaaaa_aaaa_aaaa_aaaa)];
    assert_eq!(
        bench.exit(&registers, access(0x2f8, 1, Direction::Read)),
        Leave::WaitIo
    );
    requests[2].store(0xffff_ff42, SeqCst);
    bench.vcpu.shared.raise(Hazard::IO_DONE);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rax), 0xaaaa_aaaa_aaaa_aa42);
}

#[test]
fn requests_of_several_vcpus_have_slots_and_events_of_their_own() {
    let mut bench = Bench::managed(&[1, 1, 0]);
    let (requests, events) = bench.serve();
    bench.vcpu = bench.world.record(&bench.partition, 2);
    bench.cpu = crate::fakes::FakeCpu::default();
    crate::vcpu::Vcpu::activate(&mut bench.vcpu.hw, &mut bench.cpu, bench.partition.root, 1);
    bench.vcpu.shared.take();
    bench.vcpu.duty = crate::vcpu_record::Duty::On;
    bench.vcpu.activity = crate::vcpu_record::Activity::Running;
    assert_eq!(
        bench.exit(&[], access(0x60, 1, Direction::Read)),
        Leave::WaitIo
    );
    assert_eq!(requests[0].load(SeqCst), 0);
    assert_eq!(requests[16].load(SeqCst) as u32, STATE_PENDING);
    assert_eq!(requests[17].load(SeqCst), 0x60);
    assert_eq!(events[1].load(SeqCst), 1 << (102 - 64));
}

#[test]
fn when_management_is_lost_a_pending_read_gives_ones() {
    let mut bench = Bench::managed(&[0]);
    bench.serve();
    let registers = [(Gpr::Rax, 0)];
    assert_eq!(
        bench.exit(&registers, access(0x2f8, 1, Direction::Read)),
        Leave::WaitIo
    );
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::WaitIo, "its page is still registered");
    bench.partition.io.lock().abandon();
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rax), 0xff);
}

#[test]
fn a_virtual_system_waits_for_a_management_partition_that_starts_again() {
    let mut bench = Bench::made();
    let (old, _) = bench.serve();
    let registers = [(Gpr::Rax, 0x1234_5678)];
    assert_eq!(
        bench.exit(&registers, access(0xcfc, 2, Direction::Write)),
        Leave::WaitIo
    );
    bench.partition.io.lock().abandon();
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::WaitIo, "nobody answers in its place");
    old[0].store(0, SeqCst);
    let (new, events) = bench.serve();
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::WaitIo);
    let head = u64::from(STATE_PENDING) | 1 << 40 | 2 << 48;
    assert_eq!(new[0].load(SeqCst), head, "it is asked again");
    assert_eq!((new[1].load(SeqCst), new[2].load(SeqCst)), (0xcfc, 0x5678));
    assert_eq!(events[1].load(SeqCst), 1 << (100 - 64));
    assert_eq!(old[0].load(SeqCst), 0);
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::WaitIo, "once");
    bench.vcpu.shared.raise(Hazard::IO_DONE);
    assert_eq!(bench.run(), Leave::Interrupted);
    // A read that begins while nobody is there.
    bench.partition.io.lock().abandon();
    assert_eq!(
        bench.exit(&[(Gpr::Rax, 0)], access(0xcfc, 4, Direction::Read)),
        Leave::WaitIo
    );
    bench.vcpu.shared.raise(Hazard::FLUSH);
    assert_eq!(bench.run(), Leave::WaitIo);
    let (new, _) = bench.serve();
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::WaitIo);
    new[2].store(42, SeqCst);
    bench.vcpu.shared.raise(Hazard::IO_DONE);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rax), 42);
}

#[test]
fn a_stopped_system_asks_nobody_again() {
    let mut bench = Bench::made();
    bench.serve();
    let read = access(0xcfc, 4, Direction::Read);
    assert_eq!(bench.exit(&[], read), Leave::WaitIo);
    bench.partition.io.lock().abandon();
    bench.vcpu.duty = crate::vcpu_record::Duty::Off;
    let (new, _) = bench.serve();
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::Stopped);
    assert_eq!(new[0].load(SeqCst), 0);
}

#[test]
fn a_doorbell_rings_without_waiting() {
    let mut bench = Bench::managed(&[0]);
    let (requests, events) = bench.serve();
    let bell = Doorbell {
        space: Space::Port,
        address: 0xc000,
        size: 2,
        data: Some(3),
        port: EventPort::new(200).unwrap(),
    };
    let table = DoorbellTable::default().with(bell).unwrap();
    bench.partition.io.lock().doorbells = Arc::new(table);
    let ring = access(0xc000, 2, Direction::Write);
    assert_eq!(
        bench.exit(&[(Gpr::Rax, 3)], ring),
        Leave::WaitIo,
        "not before the vCPU has heard of it"
    );
    bench.vcpu.shared.raise(Hazard::DOORBELLS | Hazard::IO_DONE);
    assert_eq!(
        bench.exit(&[(Gpr::Rax, 0x1_0003)], ring),
        Leave::Interrupted
    );
    assert_eq!(events[3].load(SeqCst), 1 << (200 - 192));
    // Other data, sizes, ports and directions do not ring.
    requests[0].store(0, SeqCst);
    assert_eq!(bench.exit(&[(Gpr::Rax, 4)], ring), Leave::WaitIo);
}

#[test]
fn a_doorbell_leaves_the_cpu_to_who_rings_it_for_a_while() {
    let mut bench = Bench::crowded();
    let (_, events) = bench.serve();
    let bell = Doorbell {
        space: Space::Port,
        address: 0xc000,
        size: 2,
        data: None,
        port: EventPort::new(200).unwrap(),
    };
    let table = DoorbellTable::default().with(bell).unwrap();
    bench.partition.io.lock().doorbells = Arc::new(table);
    bench.vcpu.shared.raise(Hazard::DOORBELLS);
    let ring = access(0xc000, 2, Direction::Write);
    assert_eq!(bench.exit(&[], ring), Leave::Interrupted, "no yield");
    assert_eq!(events[3].load(SeqCst), 1 << (200 - 192));
    // The fake's TSC counts nanoseconds.
    let late = bench.host.armed.0 - bench.host.clock.get();
    assert!((1..=62_000).contains(&late), "{late}");
}

#[test]
fn an_answered_request_does_not_cost_a_pass_of_the_run_loop_for_whom_it_woke() {
    let mut bench = Bench::crowded();
    let (requests, _) = bench.serve();
    let read = access(0x2f8, 1, Direction::Read);
    assert_eq!(bench.exit(&[], read), Leave::WaitIo);
    requests[2].store(0x42, SeqCst);
    bench.vcpu.shared.raise(Hazard::IO_DONE);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rax) as u8, 0x42);
}

#[test]
fn the_reset_ports_restart_the_partition() {
    for (port, value) in [(0xcf9, 6), (0x64, 0xfe)] {
        let mut bench = Bench::guest();
        let leave = bench.exit(&[(Gpr::Rax, value)], access(port, 1, Direction::Write));
        assert_eq!(leave, Leave::Stopped);
        assert!(bench.partition.take_restart_wish());
    }
}
