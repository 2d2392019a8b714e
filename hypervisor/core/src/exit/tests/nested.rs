//! Faults in the nested translation that no device answers.

use crate::addr::{Gpa, Hpa, HpaRange};
use crate::exit::Leave;
use crate::fakes::{Bench, GUEST_BYTES, MANAGER_BASE, Walked};
use crate::fault::StopCause;
use crate::nested_space::Content;
use crate::vcpu::{Access, Exit, Gpr, NestedFault};

fn fault(gpa: u64, access: Access) -> NestedFault {
    NestedFault {
        gpa: Gpa::new(gpa),
        access,
        in_walk: false,
    }
}

fn walk(bench: &Bench, gpa: u64) -> Option<Walked> {
    bench.world.nested.walk(bench.partition.root, Gpa::new(gpa))
}

fn device(start: u64, bytes: u64) -> Option<Walked> {
    Some(Walked {
        start,
        bytes,
        writable: true,
        executable: false,
    })
}

#[test]
fn device_windows_are_mapped_when_they_are_touched() {
    let mut bench = Bench::manager();
    let rip = bench.vcpu.hw.rip;
    assert_eq!(walk(&bench, 0x8012_3456), None);
    let leave = bench.exit(&[], Exit::NestedFault(fault(0x8012_3456, Access::Read)));
    assert_eq!(leave, Leave::Interrupted);
    assert_eq!(walk(&bench, 0x8012_3456), device(0x8000_0000, 2 << 20));
    assert_eq!(bench.vcpu.hw.rip, rip, "the access is made again");
    // Again, as from another vCPU at the same time.
    bench.exit(&[], Exit::NestedFault(fault(0x8000_0000, Access::Write)));
    // Beside a page that is not given, and in a window smaller than a large page.
    for gpa in [0x8040_2000, 0x8040_4000, 0xe000_5000] {
        bench.exit(&[], Exit::NestedFault(fault(gpa, Access::Write)));
        assert_eq!(walk(&bench, gpa), device(gpa, 4096));
    }
    assert_eq!(walk(&bench, 0x8040_3000), None);
}

#[test]
fn a_window_around_something_else_is_mapped_page_by_page() {
    let mut bench = Bench::manager();
    let page = HpaRange::new(Hpa::new(0x8020_0000), 4096).unwrap();
    let mapped = bench
        .partition
        .space
        .lock()
        .map(Gpa::new(0x8020_0000), page, Content::ReadOnly);
    mapped.unwrap();
    bench.exit(&[], Exit::NestedFault(fault(0x8020_1000, Access::Read)));
    assert_eq!(walk(&bench, 0x8020_1000), device(0x8020_1000, 4096));
    // A write to what is mapped without that right would fault for ever.
    let leave = bench.exit(&[], Exit::NestedFault(fault(0x8020_0000, Access::Write)));
    assert_eq!(leave, Leave::Stopped);
    assert_eq!(
        bench.partition.crash_record().cause,
        StopCause::ReadOnly as u32
    );
}

#[test]
fn code_in_device_memory_stops_the_partition() {
    let mut bench = Bench::manager();
    let leave = bench.exit(&[], Exit::NestedFault(fault(0x8012_3000, Access::Fetch)));
    assert_eq!(leave, Leave::Stopped);
    let record = bench.partition.crash_record();
    assert_eq!(record.cause, StopCause::NothingMapped as u32);
    assert_eq!(record.gpa, 0x8012_3000);
}

#[test]
fn a_hole_stops_the_partition_with_a_record_of_it() {
    for fault in [
        fault(0x5000_0123, Access::Write),
        fault(GUEST_BYTES, Access::Read),
        fault(MANAGER_BASE, Access::Read),
        fault(u64::MAX, Access::Write),
        fault(0x8012_3000, Access::Fetch),
        NestedFault {
            in_walk: true,
            ..fault(0x9000_0000, Access::Read)
        },
    ] {
        let mut bench = Bench::guest();
        let registers = [(Gpr::Rsi, 0x55)];
        assert_eq!(
            bench.exit(&registers, Exit::NestedFault(fault)),
            Leave::Stopped
        );
        let record = bench.partition.crash_record();
        assert_eq!(record.cause, StopCause::NothingMapped as u32);
        assert_eq!(record.gpa, fault.gpa.as_u64());
        assert_eq!((record.vcpu, record.rip), (0, 0x10_0000));
        assert_eq!(record.registers[Gpr::Rsi as usize], 0x55);
        assert_eq!(record.rsp, bench.vcpu.hw.get(Gpr::Rsp));
    }
}

#[test]
fn a_fault_on_memory_that_is_there_is_tried_again() {
    let mut bench = Bench::guest();
    let leave = bench.exit(&[], Exit::NestedFault(fault(0x2000, Access::Write)));
    assert_eq!(leave, Leave::Interrupted);
    assert!(bench.vcpu.hw.completed.is_empty());
}

#[test]
fn page_tables_in_a_served_guests_holes_are_not_a_device() {
    let mut bench = Bench::managed(&[0]);
    bench.serve();
    let in_walk = NestedFault {
        in_walk: true,
        ..fault(0xfd00_0000, Access::Read)
    };
    assert_eq!(bench.exit(&[], Exit::NestedFault(in_walk)), Leave::Stopped);
}
