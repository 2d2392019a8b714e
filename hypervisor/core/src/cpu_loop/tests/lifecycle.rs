//! Partitions that stop, crash and start again, as the CPUs that run them see it.

use super::*;
use crate::fault::StopCause;
use crate::guest_tsc::GuestTsc;
use crate::id::{CpuId, Vector};
use crate::local_apic::Trigger;
use crate::shared_vcpu::Hazard;
use crate::vcpu::{Exit, Gpr, Vcpu};
use crate::vcpu_record::Activity;
use bulkhead_abi::host::PartitionState;
use bulkhead_abi::hypercall::{Number, StopReason};

/// The guest stops itself for this reason.
fn stop_itself(vcpu: &mut Scripted, reason: StopReason) {
    vcpu.after(
        move |vcpu| {
            vcpu.set(Gpr::Rax, Number::Stop as u64);
            vcpu.set(Gpr::Rdi, reason as u64);
        },
        Exit::Hypercall,
    );
}

#[test]
fn a_guest_that_asks_for_a_restart_runs_again() {
    let (_, partition, mut cpu) = single();
    let resets = cpu.hw(0).resets.len();
    for restart in 1..4 {
        stop_itself(cpu.hw(0), StopReason::Restart);
        cpu.pass();
        cpu.pass();
        let entries = cpu.hw(0).entries;
        cpu.pass();
        assert_eq!(cpu.hw(0).entries, entries + 1, "it runs");
        assert_eq!(cpu.hw(0).resets.len(), resets + restart);
        assert_eq!(partition.restarts() as usize, restart);
        assert_eq!(partition.state(), PartitionState::Running);
        assert!(partition.is_active());
    }
    assert!(!cpu.host.reported("has stopped"), "{:?}", cpu.host.reports);
}

#[test]
fn a_guest_that_is_done_comes_to_rest_and_can_be_started_again() {
    let (_, partition, mut cpu) = single();
    stop_itself(cpu.hw(0), StopReason::Done);
    cpu.settle();
    assert_eq!(partition.state(), PartitionState::Stopped);
    assert!(!partition.is_active());
    assert!(cpu.host.reported("partition p0 has stopped"));
    let entries = cpu.hw(0).entries;
    cpu.settle();
    assert_eq!(cpu.hw(0).entries, entries);
    let _ = life::start(&partition, &mut cpu.host).unwrap();
    cpu.pass();
    assert_eq!(cpu.hw(0).entries, entries + 1);
}

#[test]
fn a_restart_leaves_nothing_of_the_guests_former_life() {
    let (_, partition, mut cpu) = single();
    let record = cpu.record(0);
    record.hw.set_xcr0(7);
    record.set_guest_tsc(GuestTsc::with_offset(77), crate::time::Instant(0));
    cpu.hw(0).after(
        move |vcpu| {
            vcpu.set(Gpr::Rax, Number::Stop as u64);
            vcpu.set(Gpr::Rdi, StopReason::Restart as u64);
            let _ = partition.vcpus[0].mailbox.post_nmi();
        },
        Exit::Hypercall,
    );
    cpu.pass();
    cpu.pass();
    let record = cpu.record(0);
    assert_eq!(record.hw.tsc, GuestTsc::HOST);
    assert_eq!(record.apic.guest_tsc(), GuestTsc::HOST);
    assert_eq!(record.hw.xcr0, 1);
    assert!(record.hw.delivered.is_empty(), "the NMI is gone");
}

#[test]
fn a_halted_vcpu_of_another_cpu_hears_that_its_partition_stops() {
    for reason in [StopReason::Done, StopReason::Failed, StopReason::Restart] {
        let (_, partition, mut first, mut second) = pair();
        stop_itself(first.hw(0), reason);
        first.pass();
        assert_eq!(first.host.take_kicks(), [CpuId(1)], "{reason:?}");
        assert!(partition.is_active(), "the second has not retired yet");
        second.kicked();
        second.settle();
        let runs = reason == StopReason::Restart;
        assert_eq!(partition.is_active(), runs);
        assert_eq!(partition.state() == PartitionState::Running, runs);
    }
}

#[test]
fn of_two_vcpus_that_fail_at_once_the_first_is_recorded_and_both_retire() {
    let (_, partition, mut first, mut second) = pair();
    second.record(0).activity = Activity::Running;
    second.hw(0).then(Exit::TripleFault);
    let _ = second
        .record(0)
        .shared
        .mailbox
        .post(Vector(0x40), Trigger::Edge);
    first.hw(0).then(Exit::Unknown);
    second.pass();
    assert!(partition.is_active());
    first.pass();
    assert!(!partition.is_active());
    assert_eq!(partition.state(), PartitionState::Crashed);
    let record = partition.crash_record();
    assert_eq!(
        (record.vcpu, record.cause),
        (1, StopCause::TripleFault as u32)
    );
    assert!(first.host.reported("crashed on vCPU 1: triple fault"));
    // What was raised for the stop wakes them once more, and changes nothing.
    first.settle();
    second.settle();
    assert!(!partition.is_active());
}

#[test]
fn a_stop_that_is_announced_late_does_not_end_the_next_life() {
    let (_, partition, mut cpu) = single();
    stop_itself(cpu.hw(0), StopReason::Restart);
    cpu.pass();
    // Another CPU had decided to stop the former life, and raises the hazard only now.
    partition.vcpus[0].raise(Hazard::STOP);
    cpu.pass();
    let entries = cpu.hw(0).entries;
    cpu.pass();
    assert_eq!(cpu.hw(0).entries, entries + 1);
    assert!(partition.is_active());
}

#[test]
fn a_stop_and_a_start_in_a_row_are_both_seen() {
    let (_, partition, mut cpu) = single();
    assert!(partition.stop(PartitionState::Stopped));
    cpu.settle();
    let _ = life::start(&partition, &mut cpu.host).unwrap();
    assert!(partition.stop(PartitionState::Stopped));
    cpu.settle();
    assert!(!partition.is_active(), "it was counted in and out again");
    let entries = cpu.hw(0).entries;
    let _ = life::start(&partition, &mut cpu.host).unwrap();
    cpu.pass();
    assert_eq!(cpu.hw(0).entries, entries + 1);
}

#[test]
fn a_start_is_refused_until_the_last_vcpu_has_retired() {
    let (_, partition, mut first, mut second) = pair();
    assert!(life::start(&partition, &mut first.host).is_err(), "it runs");
    assert!(partition.stop(PartitionState::Stopped));
    first.settle();
    assert!(life::start(&partition, &mut first.host).is_err());
    second.settle();
    assert!(life::start(&partition, &mut first.host).is_ok());
}

#[test]
fn an_application_processor_that_has_not_seen_its_reset_is_started_all_the_same() {
    let (_, partition, mut first, mut second) = pair();
    stop_itself(first.hw(0), StopReason::Restart);
    first.pass();
    second.kicked();
    second.settle();
    assert_eq!(partition.state(), PartitionState::Running);
    // The first vCPU is faster than the second one's CPU.
    for command in [0xc500_u64, 0xc608] {
        first.hw(0).after(
            move |vcpu| {
                vcpu.set(Gpr::Rcx, 0x1b);
                vcpu.set(Gpr::Rax, 0xfee0_0d00);
                vcpu.set(Gpr::Rdx, 0);
            },
            Exit::MsrWrite,
        );
        first.hw(0).after(
            move |vcpu| {
                vcpu.set(Gpr::Rcx, 0x830);
                vcpu.set(Gpr::Rax, command);
                vcpu.set(Gpr::Rdx, 1);
            },
            Exit::MsrWrite,
        );
    }
    // The reset comes before the script.
    first.pass();
    assert!(first.hw(0).script.is_empty());
    second.pass();
    assert_eq!(second.record(0).activity, Activity::Running);
    assert_eq!(second.hw(0).system.cs_base, 0x8000);
}

#[test]
fn management_that_crashes_is_brought_back_and_its_guests_live_on() {
    let mut world = World::new(1);
    let manager = world.manager(&[0]);
    let guest = world.guest(&[0]);
    let mut cpu = Cpu::new(&world, 0);
    start(&world, &manager, &mut cpu);
    start(&world, &guest, &mut cpu);
    // Each run uses a slice up, so that they take turns.
    cpu.host.tick.set(SLICE.0);
    for _ in 0..4 {
        cpu.pass();
    }
    let resets = [cpu.hw(0).resets.len(), cpu.hw(1).resets.len()];
    cpu.hw(0).then(Exit::TripleFault);
    for _ in 0..4 {
        cpu.pass();
    }
    assert_eq!(cpu.host.quiesced, 1);
    assert_eq!(manager.state(), PartitionState::Running);
    assert_eq!(manager.restarts(), 1);
    assert!(
        cpu.host
            .reported("partition p0 is started again (restart 1)")
    );
    assert_eq!(cpu.hw(0).resets.len(), resets[0] + 1);
    assert_eq!(guest.state(), PartitionState::Running);
    assert_eq!(cpu.hw(1).resets.len(), resets[1]);
}

#[test]
fn management_that_fails_for_ever_is_given_up() {
    let mut world = World::new(1);
    let manager = world.manager(&[0]);
    let mut cpu = Cpu::new(&world, 0);
    start(&world, &manager, &mut cpu);
    cpu.pass();
    for _ in 0..150 {
        cpu.hw(0).script.clear();
        cpu.hw(0).then(Exit::TripleFault);
        cpu.pass();
    }
    assert_eq!(manager.restarts(), 100);
    assert_eq!(manager.state(), PartitionState::Crashed);
    assert!(
        cpu.host
            .reported("the management partition has stopped and stays so")
    );
}

#[test]
fn the_machine_ends_with_its_last_guest_where_it_was_told_so() {
    let mut world = World::ending(1, crate::machine::WhenDone::PowerOff);
    let guests = [world.guest(&[0]), world.guest(&[0])];
    let mut cpu = Cpu::new(&world, 0);
    for guest in &guests {
        start(&world, guest, &mut cpu);
    }
    cpu.pass();
    cpu.pass();
    stop_itself(cpu.hw(0), StopReason::Done);
    for _ in 0..4 {
        cpu.pass();
    }
    stop_itself(cpu.hw(1), StopReason::Failed);
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..4 {
            cpu.pass();
        }
    }));
    let ended = end.unwrap_err();
    assert_eq!(
        ended.downcast_ref(),
        Some(&crate::fakes::Ended(crate::host::MachineEnd::PowerOff))
    );
}

#[test]
fn a_stop_by_management_is_not_undone_by_the_guests_wish_to_restart() {
    let (_, partition, mut cpu) = single();
    stop_itself(cpu.hw(0), StopReason::Restart);
    // Management is faster: the guest's wish comes when it counts as stopped already.
    assert!(partition.stop(PartitionState::Stopped));
    partition.vcpus[0].take();
    cpu.settle();
    assert_eq!(partition.state(), PartitionState::Stopped);
    assert!(!partition.is_active());
    assert_eq!(partition.restarts(), 0);
}

#[test]
fn a_crash_report_holds_the_registers_and_the_code() {
    let (world, partition, mut cpu) = single();
    cpu.hw(0).after(
        |vcpu| {
            vcpu.set(Gpr::R9, 0x1234);
            vcpu.system.cr2 = 0x5678;
        },
        Exit::InvalidState,
    );
    cpu.pass();
    let record = partition.crash_record();
    assert_eq!(record.cause, StopCause::InvalidState as u32);
    assert_eq!(record.rip, 0x10_0000);
    assert_eq!(record.registers[9], 0x1234);
    assert_eq!(record.control[1], 0x5678);
    assert_eq!(record.control[0], 0x8001_0033);
    assert_eq!(record.gpa, u64::MAX);
    assert_eq!(record.exit_code, 0xc0de);
    assert_eq!(
        record.code[..3],
        [0x90, 0x90, 0xf4],
        "through the guest's page tables"
    );
    assert_eq!(record.code_bytes, 15);
    assert_eq!(record.tsc, world.clock.get());
}

#[test]
fn a_stop_between_the_halves_of_a_start_is_not_lost() {
    let (_, partition, mut cpu) = single();
    assert!(partition.stop(PartitionState::Stopped));
    cpu.settle();
    let entries = cpu.hw(0).entries;
    life::prepare(&partition, &mut cpu.host).unwrap();
    assert!(partition.stop(PartitionState::Stopped));
    cpu.settle();
    assert!(partition.is_active(), "the start goes on");
    let _ = life::release(&partition, &cpu.host);
    cpu.settle();
    assert_eq!(cpu.hw(0).entries, entries);
    assert!(!partition.is_active());
}
