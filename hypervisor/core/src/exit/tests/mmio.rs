//! Instructions that meet a device's memory.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bulkhead_abi::io::Space;

use crate::addr::Gpa;
use crate::doorbell::{Doorbell, DoorbellTable};
use crate::event_page::EventPort;
use crate::exit::Leave;
use crate::fakes::Bench;
use crate::fault::StopCause;
use crate::host::SharedPage;
use crate::shared_vcpu::Hazard;
use crate::vcpu::{Access, Exit, Gpr, NestedFault};

const CODE: u64 = 0x18_0000;
const DEVICE: u64 = 0xfd00_0000;

fn fault(gpa: u64, access: Access) -> Exit {
    Exit::NestedFault(NestedFault {
        gpa: Gpa::new(gpa),
        access,
        in_walk: false,
    })
}

/// A guest that management serves, with `code` next; RBX points to the device.
fn served(code: &[u8]) -> (Bench, SharedPage, SharedPage) {
    let mut bench = Bench::managed(&[0]);
    let (requests, events) = bench.serve();
    bench.code(CODE, code);
    bench.vcpu.hw.set(Gpr::Rbx, DEVICE);
    (bench, requests, events)
}

/// What is asked: space and direction and size, address, data.
fn asked(requests: SharedPage) -> (u64, u64, u64) {
    let word = |index: usize| requests[index].load(SeqCst);
    (word(0) >> 32, word(1), word(2))
}

/// Management answers.
fn answer(bench: &mut Bench, requests: SharedPage, data: u64) -> Leave {
    requests[2].store(data, SeqCst);
    requests[0].store(0, SeqCst);
    bench.vcpu.shared.raise(Hazard::IO_DONE);
    bench.run()
}

const READ: u64 = 1;
const WRITE: u64 = 1 | 1 << 8;
const fn size(bytes: u64) -> u64 {
    bytes << 16
}

#[test]
fn a_read_of_a_device_waits_for_its_answer() {
    // mov eax, [rbx+8]
    let (mut bench, requests, _) = served(&[0x8b, 0x43, 0x08]);
    bench.vcpu.hw.set(Gpr::Rax, u64::MAX);
    assert_eq!(
        bench.exit(&[], fault(DEVICE + 8, Access::Read)),
        Leave::WaitIo
    );
    assert_eq!(asked(requests), (READ | size(4), DEVICE + 8, 0));
    assert_eq!(bench.vcpu.hw.rip, CODE);
    assert_eq!(
        answer(&mut bench, requests, 0xffff_ffff_1234_5678),
        Leave::Interrupted
    );
    assert_eq!(bench.vcpu.hw.get(Gpr::Rax), 0x1234_5678);
    assert_eq!(bench.vcpu.hw.rip, CODE + 3);
}

#[test]
fn a_read_modify_write_asks_twice() {
    // or dword [rbx], 0x10
    let (mut bench, requests, _) = served(&[0x83, 0x0b, 0x10]);
    assert_eq!(bench.exit(&[], fault(DEVICE, Access::Write)), Leave::WaitIo);
    assert_eq!(asked(requests), (READ | size(4), DEVICE, 0));
    assert_eq!(answer(&mut bench, requests, 3), Leave::WaitIo);
    assert_eq!(asked(requests), (WRITE | size(4), DEVICE, 0x13));
    assert_eq!(bench.vcpu.hw.rip, CODE);
    assert_eq!(answer(&mut bench, requests, 0), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.rip, CODE + 3);
    assert!(bench.vcpu.io_log.is_empty());
}

#[test]
fn a_repeated_move_asks_once_for_each_element() {
    // rep movsb from memory to the device
    let (mut bench, requests, _) = served(&[0xf3, 0xa4]);
    bench.poke(0x19_0000, b"abc");
    let registers = [(Gpr::Rsi, 0x19_0000), (Gpr::Rdi, DEVICE), (Gpr::Rcx, 3)];
    let mut leave = bench.exit(&registers, fault(DEVICE, Access::Write));
    for (index, byte) in (0..).zip(b"abc") {
        assert_eq!(leave, Leave::WaitIo);
        let expected = (WRITE | size(1), DEVICE + index, u64::from(*byte));
        assert_eq!(asked(requests), expected);
        // The guest exits again for the next one.
        if index < 2 {
            bench.vcpu.hw.then(fault(DEVICE + index + 1, Access::Write));
        }
        leave = answer(&mut bench, requests, 0);
    }
    assert_eq!(leave, Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rcx), 0);
    assert_eq!(bench.vcpu.hw.rip, CODE + 2);
}

#[test]
fn an_access_across_a_page_border_is_made_in_sizes_that_devices_know() {
    // mov [rbx], rax with seven bytes in the first page
    let (mut bench, requests, _) = served(&[0x48, 0x89, 0x03]);
    // The guest's page tables have pages of 1 GiB.
    let at = 0xffff_fff9;
    let registers = [(Gpr::Rbx, at), (Gpr::Rax, 0x8877_6655_4433_2211)];
    let mut leave = bench.exit(&registers, fault(at, Access::Write));
    for (offset, bytes, data) in [
        (0, 4, 0x4433_2211),
        (4, 2, 0x6655),
        (6, 1, 0x77),
        (7, 1, 0x88),
    ] {
        assert_eq!(leave, Leave::WaitIo);
        assert_eq!(asked(requests), (WRITE | size(bytes), at + offset, data));
        leave = answer(&mut bench, requests, 0);
    }
    assert_eq!(leave, Leave::Interrupted);
}

#[test]
fn a_doorbell_in_memory_rings_without_waiting() {
    // mov [rbx], eax
    let (mut bench, requests, events) = served(&[0x89, 0x03]);
    let bell = Doorbell {
        space: Space::Memory,
        address: DEVICE,
        size: 4,
        data: None,
        port: EventPort::new(70).unwrap(),
    };
    bench.vcpu.doorbells = Arc::new(DoorbellTable::default().with(bell).unwrap());
    assert_eq!(
        bench.exit(&[], fault(DEVICE, Access::Write)),
        Leave::Interrupted
    );
    assert_eq!(events[1].load(SeqCst), 1 << 6);
    assert_eq!(requests[0].load(SeqCst), 0);
    assert_eq!(bench.vcpu.hw.rip, CODE + 2);
}

#[test]
fn guests_live_on_without_management_and_read_ones() {
    // mov eax, [rbx]
    let (mut bench, requests, _) = served(&[0x8b, 0x03]);
    assert_eq!(bench.exit(&[], fault(DEVICE, Access::Read)), Leave::WaitIo);
    bench.partition.io.lock().abandon();
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rax), 0xffff_ffff);
    // An instruction that begins after the loss.
    bench.code(CODE, &[0x83, 0x0b, 0x10]);
    assert_eq!(
        bench.exit(&[], fault(DEVICE, Access::Write)),
        Leave::Interrupted
    );
    assert_eq!(bench.vcpu.hw.rip, CODE + 3);
    let _ = requests;
}

#[test]
fn an_instruction_of_a_virtual_system_is_emulated_to_its_end_after_a_restart_of_management() {
    let mut bench = Bench::made();
    bench.serve();
    // or dword [rbx], 0x10: a read, then a write.
    bench.code(CODE, &[0x83, 0x0b, 0x10]);
    bench.vcpu.hw.rip = CODE;
    bench.vcpu.hw.set(Gpr::Rbx, DEVICE);
    assert_eq!(bench.exit(&[], fault(DEVICE, Access::Write)), Leave::WaitIo);
    bench.partition.io.lock().abandon();
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::WaitIo);
    let (requests, _) = bench.serve();
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::WaitIo);
    assert_eq!(requests[1].load(SeqCst), DEVICE);
    requests[2].store(3, SeqCst);
    bench.vcpu.shared.raise(Hazard::IO_DONE);
    assert_eq!(bench.run(), Leave::WaitIo);
    assert_eq!(requests[2].load(SeqCst), 0x13, "the write of what was read");
    bench.partition.io.lock().abandon();
    let (requests, _) = bench.serve();
    bench.vcpu.shared.raise(Hazard::IO_LOST);
    assert_eq!(bench.run(), Leave::WaitIo);
    assert_eq!(requests[2].load(SeqCst), 0x13, "again");
    bench.vcpu.shared.raise(Hazard::IO_DONE);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.rip, CODE + 3);
}

#[test]
fn the_local_apic_is_reached_through_its_page() {
    let mut bench = Bench::guest();
    let apic = 0xfee0_0000;
    // mov [rbx], eax: the task priority.
    bench.code(CODE, &[0x89, 0x03]);
    let registers = [(Gpr::Rbx, apic + 0x80), (Gpr::Rax, 0x45)];
    assert_eq!(
        bench.exit(&registers, fault(apic + 0x80, Access::Write)),
        Leave::Interrupted
    );
    assert_eq!(bench.vcpu.apic.tpr(), 0x45);
    assert_eq!(bench.vcpu.hw.cr8, 4);
    // movzx ecx, byte [rbx+0x30]: one byte of the version.
    bench.code(CODE, &[0x0f, 0xb6, 0x4b, 0x30]);
    bench.vcpu.hw.set(Gpr::Rbx, apic);
    bench.exit(&[], fault(apic + 0x30, Access::Read));
    assert_eq!(bench.vcpu.hw.get(Gpr::Rcx), 0x14);
    // A self-IPI by the ICR: mov dword [rbx+0x300], 0x40066
    bench.vcpu.hw.enable_interrupts();
    bench.code(CODE, &[0xc7, 0x83, 0, 3, 0, 0, 0x66, 0, 4, 0]);
    bench.exit(&[], fault(apic + 0x300, Access::Write));
    assert_eq!(bench.vcpu.hw.interrupts(), [0x66]);
}

#[test]
fn the_io_apic_is_reached_through_its_page() {
    let mut bench = Bench::guest();
    let ioapic = 0xfec0_0000;
    bench.vcpu.hw.set(Gpr::Rbx, ioapic);
    // mov dword [rbx], 1; mov eax, [rbx+0x10]: the version, with 24 pins.
    bench.code(CODE, &[0xc7, 0x03, 1, 0, 0, 0]);
    bench.exit(&[], fault(ioapic, Access::Write));
    bench.code(CODE, &[0x8b, 0x43, 0x10]);
    bench.exit(&[], fault(ioapic + 0x10, Access::Read));
    assert_eq!(bench.vcpu.hw.get(Gpr::Rax) >> 16 & 0xff, 23);
}

#[test]
fn a_page_fault_of_the_emulated_instruction_is_the_guests() {
    // push [rbx] with a stack that is not mapped.
    let (mut bench, requests, _) = served(&[0xff, 0x33]);
    let stack = 0x7f00_0000_0000;
    let registers = [(Gpr::Rsp, stack)];
    assert_eq!(
        bench.exit(&registers, fault(DEVICE, Access::Read)),
        Leave::WaitIo
    );
    assert_eq!(answer(&mut bench, requests, 1), Leave::Interrupted);
    let exception = bench.vcpu.hw.exception().unwrap();
    assert_eq!((exception.vector, exception.error_code), (14, Some(2)));
    assert_eq!(bench.vcpu.hw.system.cr2, stack - 8);
    assert_eq!(bench.vcpu.hw.rip, CODE);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rsp), stack);
}

#[test]
fn an_instruction_that_is_not_known_stops_the_partition() {
    // fld dword [rbx]
    let (mut bench, _, _) = served(&[0xd9, 0x03]);
    assert_eq!(bench.exit(&[], fault(DEVICE, Access::Read)), Leave::Stopped);
    let record = bench.partition.crash_record();
    assert_eq!(record.cause, StopCause::CannotEmulate as u32);
}
