//! Events, I/O pages and doorbells.

use super::*;
use crate::exit::Leave;
use crate::id::{PartitionId, Vector};
use crate::shared_vcpu::Hazard;
use crate::vcpu::{Direction, Exit, Gpr, PortAccess, PortForm};
use bulkhead_abi::io::{STATE_FREE, STATE_PENDING};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

fn guest(bench: &Bench) -> Arc<crate::partition::Partition> {
    bench.host.machine.partition(PartitionId(1)).unwrap()
}

#[test]
fn an_event_page_is_registered_and_taken_back() {
    let mut bench = Bench::manager();
    for vector in [0, 15, 256, u64::MAX] {
        let result = call(&mut bench, EventPage, [PAGE, vector, 0, 0]);
        assert_eq!(result, Err(Status::BadArgument));
    }
    bench.world.memory.borrow_mut().shares_left = Some(0);
    let result = call(&mut bench, EventPage, [PAGE, 0x40, 0, 0]);
    assert_eq!(result, Err(Status::NoResource));
    bench.world.memory.borrow_mut().shares_left = None;
    assert_eq!(call(&mut bench, EventPage, [PAGE, 0x40, 0, 0]), Ok(0));
    let page = bench.partition.io.lock().events.unwrap();
    let port = crate::event_page::EventPort::new(77).unwrap();
    assert_eq!(page.raise(port), Some(Vector(0x40)));
    assert_eq!(bench.peek(PAGE + 8), 1 << 13, "the caller sees it");
    assert_eq!(call(&mut bench, EventPage, [0, 0, 0, 0]), Ok(0));
    assert!(bench.partition.io.lock().events.is_none());
}

#[test]
fn ports_must_fit_the_page_for_every_slot() {
    let mut bench = Bench::manager();
    for port in [0, 63, 4095, 4096, u64::MAX] {
        let result = call(&mut bench, IoPage, [GUEST, PAGE, port, 0]);
        assert_eq!(result, Err(Status::BadArgument), "{port}");
    }
    assert_eq!(call(&mut bench, IoPage, [GUEST, PAGE, 4094, 0]), Ok(0));
    assert_eq!(
        call(&mut bench, IoPage, [0, PAGE, 100, 0]),
        Err(Status::BadArgument),
        "itself"
    );
    for port in [0, 63, 4096] {
        let result = call(&mut bench, LifecyclePort, [GUEST, port, 0, 0]);
        assert_eq!(result, Err(Status::BadArgument));
    }
    assert_eq!(call(&mut bench, LifecyclePort, [GUEST, 64, 0, 0]), Ok(0));
    assert_eq!(
        call(&mut bench, LifecyclePort, [0, 64, 0, 0]),
        Err(Status::BadArgument)
    );
}

#[test]
fn a_request_is_completed_once() {
    let mut bench = Bench::manager();
    assert_eq!(
        call(&mut bench, IoComplete, [GUEST, 0, 0, 0]),
        Err(Status::BadState)
    );
    assert_eq!(call(&mut bench, IoPage, [GUEST, PAGE, 100, 0]), Ok(0));
    let shared = guest(&bench).vcpus[1].clone();
    shared.take();
    assert_eq!(
        call(&mut bench, IoComplete, [GUEST, 1, 0, 0]),
        Err(Status::BadState)
    );
    for slot in [2, 64, u64::MAX] {
        assert_eq!(
            call(&mut bench, IoComplete, [GUEST, slot, 0, 0]),
            Err(Status::NotFound)
        );
    }
    let head = u64::from(STATE_PENDING) | 4 << 48;
    bench.poke(PAGE + 64, &head.to_le_bytes());
    bench.host.take_kicks();
    assert_eq!(call(&mut bench, IoComplete, [GUEST, 1, 0, 0]), Ok(0));
    assert_eq!(shared.take(), Hazard::IO_DONE);
    assert_eq!(bench.host.take_kicks(), [crate::id::CpuId(1)]);
    assert_eq!(bench.peek(PAGE + 64) as u32, STATE_FREE);
    assert_eq!(
        call(&mut bench, IoComplete, [GUEST, 1, 0, 0]),
        Err(Status::BadState)
    );
    assert_eq!(
        call(&mut bench, IoComplete, [0, 0, 0, 0]),
        Err(Status::BadArgument)
    );
}

#[test]
fn a_vcpu_that_waits_in_a_page_that_is_taken_back_goes_on_with_ones() {
    let mut bench = Bench::managed(&[0]);
    let (page, _) = bench.serve();
    let read = Exit::Port(PortAccess {
        port: 0x2f8,
        size: 4,
        direction: Direction::Read,
        form: PortForm::Single,
    });
    assert_eq!(bench.exit(&[(Gpr::Rax, 0)], read), Leave::WaitIo);
    // What the manager's call does.
    bench.partition.io.lock().requests = None;
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rax), 0xffff_ffff);
    assert_eq!(
        page[0].load(SeqCst) as u32,
        STATE_PENDING,
        "the page is not ours any more"
    );
}

#[test]
fn doorbells_are_checked_added_and_removed() {
    let mut bench = Bench::manager();
    let packed = |port: u64, size: u64, space: u64, matches: u64| {
        port | size << 16 | space << 24 | matches << 32
    };
    let good = packed(100, 4, 1, 1);
    for bad in [
        packed(63, 4, 1, 0),
        packed(4096, 4, 1, 0),
        packed(100, 3, 1, 0),
        packed(100, 16, 1, 0),
        packed(100, 4, 2, 0),
        packed(100, 4, 0xff, 0),
        packed(100, 4, 1, 2),
        u64::MAX,
    ] {
        for number in [DoorbellAdd, DoorbellRemove] {
            let result = call(&mut bench, number, [GUEST, 0x1000, bad, 0]);
            assert_eq!(result, Err(Status::BadArgument), "{bad:#x}");
        }
    }
    let port_space = packed(100, 2, 0, 0);
    let result = call(&mut bench, DoorbellAdd, [GUEST, 0x1_0000, port_space, 0]);
    assert_eq!(result, Err(Status::BadArgument), "no such port");
    assert_eq!(
        call(&mut bench, DoorbellAdd, [GUEST, 0x1000, good, 7]),
        Ok(0)
    );
    assert_eq!(
        call(&mut bench, DoorbellAdd, [GUEST, 0x1000, good, 7]),
        Err(Status::Busy)
    );
    assert_eq!(
        call(&mut bench, DoorbellAdd, [GUEST, 0x1000, good, 8]),
        Ok(0)
    );
    for vcpu in &guest(&bench).vcpus {
        assert!(vcpu.take().contains(Hazard::DOORBELLS));
    }
    assert_eq!(
        call(&mut bench, DoorbellRemove, [GUEST, 0x1000, good, 9]),
        Err(Status::NotFound)
    );
    assert_eq!(
        call(&mut bench, DoorbellRemove, [GUEST, 0x1000, good, 7]),
        Ok(0)
    );
    assert_eq!(
        call(&mut bench, DoorbellRemove, [GUEST, 0x1000, good, 8]),
        Ok(0)
    );
    assert!(guest(&bench).io.lock().doorbells.is_empty());
    for address in 0..512 {
        assert_eq!(
            call(&mut bench, DoorbellAdd, [GUEST, address, port_space, 0]),
            Ok(0)
        );
    }
    let result = call(&mut bench, DoorbellAdd, [GUEST, 0x2000, port_space, 0]);
    assert_eq!(result, Err(Status::NoResource));
    assert_eq!(
        call(&mut bench, DoorbellAdd, [0, 0, good, 0]),
        Err(Status::BadArgument)
    );
}
