//! Calls that fill in pages.

use super::*;
use crate::exit::Leave;
use crate::id::PartitionId;
use crate::vcpu::Exit;

#[test]
fn pages_that_are_not_the_callers_are_refused() {
    let mut bench = Bench::manager();
    for page in BAD_PAGES {
        for (number, arguments) in [
            (HostInfo, [page, 0, 0, 0]),
            (PartitionInfo, [GUEST, page, 0, 0]),
            (VcpuUsage, [GUEST, page, 0, 0]),
            (CrashRecord, [GUEST, page, 0, 0]),
            (EventPage, [page, 0x40, 0, 0]),
            (IoPage, [GUEST, page, 100, 0]),
        ] {
            let result = call(&mut bench, number, arguments);
            assert_eq!(result, Err(Status::BadAddress), "{number:?} {page:#x}");
        }
    }
}

#[test]
fn partitions_that_are_none_are_told_so() {
    let mut bench = Bench::manager();
    for id in [2, 0x1_0001, u64::MAX] {
        for (number, arguments) in [
            (PartitionInfo, [id, PAGE, 0, 0]),
            (VcpuUsage, [id, PAGE, 0, 0]),
            (CrashRecord, [id, PAGE, 0, 0]),
            (IoPage, [id, PAGE, 100, 0]),
            (IoComplete, [id, 0, 0, 0]),
            (DoorbellAdd, [id, 0, 100, 0]),
            (DoorbellRemove, [id, 0, 100, 0]),
            (MessageSend, [id, 0xfee0_0000, 0x40, 0]),
            (LineSet, [id, 1, 1, 0]),
            (PartitionControl, [id, 0, 0, 0]),
            (LifecyclePort, [id, 100, 0, 0]),
        ] {
            let result = call(&mut bench, number, arguments);
            assert_eq!(result, Err(Status::NotFound), "{number:?} {id:#x}");
        }
    }
}

#[test]
fn records_tell_of_the_machine_and_its_partitions() {
    let mut bench = Bench::manager();
    assert_eq!(call(&mut bench, PartitionCount, [0; 4]), Ok(2));
    assert_eq!(call(&mut bench, HostInfo, [PAGE, 0, 0, 0]), Ok(0));
    assert_eq!(bench.peek(PAGE), u64::from(bulkhead_abi::VERSION) | 2 << 32);
    assert_eq!(call(&mut bench, PartitionInfo, [GUEST, PAGE, 0, 0]), Ok(0));
    assert_eq!(bench.peek(PAGE), 1 | 2 << 32, "id 1, stopped");
    assert_eq!(bench.peek(PAGE + 8), 2, "two vCPUs, never started again");
    assert_eq!(bench.peek(PAGE + 16), GUEST_BYTES);
    assert_eq!(
        bench.peek(PAGE + 40),
        u64::from_le_bytes(*b"p1\0\0\0\0\0\0")
    );
    assert_eq!(bench.peek(PAGE + 144), 0b11, "a vCPU on each of two CPUs");
    assert_eq!(call(&mut bench, CrashRecord, [0, PAGE, 0, 0]), Ok(0));
    assert_eq!(bench.peek(PAGE), 0, "no crash");
}

#[test]
fn each_vcpu_has_its_own_usage_and_the_partition_the_sum() {
    let mut bench = Bench::manager();
    let guest = bench.host.machine.partition(PartitionId(1)).unwrap();
    for (number, vcpu) in (1..).zip(&guest.vcpus) {
        vcpu.set_usage(number, 100 * number);
    }
    assert_eq!(call(&mut bench, VcpuUsage, [GUEST, PAGE, 0, 0]), Ok(2));
    let words = [0, 8, 16, 24].map(|offset| bench.peek(PAGE + offset));
    assert_eq!(words, [1, 100, 2, 200]);
    assert_eq!(call(&mut bench, PartitionInfo, [GUEST, PAGE, 0, 0]), Ok(0));
    assert_eq!([bench.peek(PAGE + 24), bench.peek(PAGE + 32)], [3, 300]);
}

#[test]
fn a_crash_can_be_read() {
    let mut bench = Bench::manager();
    let record = bulkhead_abi::crash::CrashRecord {
        cause: 2,
        vcpu: 1,
        ..Default::default()
    };
    let guest = bench
        .host
        .machine
        .partition(crate::id::PartitionId(1))
        .unwrap();
    guest.run();
    assert!(guest.crash(record));
    assert_eq!(call(&mut bench, CrashRecord, [GUEST, PAGE, 0, 0]), Ok(0));
    assert_eq!(bench.peek(PAGE), 2 | 1 << 32);
}

#[test]
fn the_log_is_read_line_by_line() {
    let mut bench = Bench::manager();
    bench.host.log = vec![String::from("one"), String::from("three")];
    assert_eq!(call(&mut bench, LogRead, [0, PAGE, 0, 0]), Ok(3 | 1 << 16));
    assert_eq!(
        call(&mut bench, LogRead, [1, PAGE + 1, 0, 0]),
        Ok(5 | 2 << 16)
    );
    assert_eq!(bench.peek(PAGE), u64::from_le_bytes(*b"othree\0\0"));
    assert_eq!(call(&mut bench, LogRead, [2, PAGE, 0, 0]), Ok(2 << 16));
    let far = u64::MAX;
    assert_eq!(call(&mut bench, LogRead, [far, PAGE, 0, 0]), Ok(far << 16));
    for bad in [0x1000, MANAGER_BASE + GUEST_BYTES - 2, u64::MAX] {
        assert_eq!(
            call(&mut bench, LogRead, [0, bad, 0, 0]),
            Err(Status::BadAddress)
        );
    }
}

#[test]
fn a_guest_that_reports_its_failure_leaves_a_record() {
    let mut bench = Bench::guest();
    bench.vcpu.hw.set(crate::vcpu::Gpr::Rax, Stop as u64);
    bench.vcpu.hw.set(crate::vcpu::Gpr::Rdi, 1);
    assert_eq!(bench.exit(&[], Exit::Hypercall), Leave::Stopped);
    let record = bench.partition.crash_record();
    assert_eq!(record.cause, crate::fault::StopCause::GuestReport as u32);
    let mut bench = Bench::guest();
    assert_eq!(
        call(&mut bench, Stop, [3, 0, 0, 0]),
        Err(Status::BadArgument)
    );
}
