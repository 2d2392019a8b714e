//! How partitions that management makes start, pause, reset and outlive their management.

use super::*;

#[test]
fn a_partition_starts_in_the_state_that_management_gave() {
    let mut rig = Rig::new();
    let id = rig.create(&request(4 * MIB, 2)).unwrap();
    rig.clear(id);
    let start = rig.control(id, PartitionAction::Start);
    assert_eq!(start, Err(Status::BadState), "no boot state");
    let impossible = BootState {
        cr4: 0,
        ..long_mode()
    };
    rig.write(impossible.as_bytes());
    let answer = rig.call(Number::BootState, [id, PAGE, 0, 0]);
    assert_eq!(answer, Err(Status::BadArgument));
    rig.write(long_mode().as_bytes());
    let answer = rig.call(Number::BootState, [id, PAGE + 1, 0, 0]);
    assert_eq!(answer, Err(Status::BadAddress));
    assert_eq!(rig.call(Number::BootState, [id, PAGE, 0, 0]), Ok(0));
    assert!(
        !rig.partition(id).is_active(),
        "refused starts leave nothing"
    );
    for round in 1..4 {
        rig.control(id, PartitionAction::Start).unwrap();
        rig.pass();
        let slot = rig.slot(0, id);
        let hw = rig.cpus[0].hw(slot);
        assert_eq!(hw.resets.len(), round);
        assert_eq!(hw.get(Gpr::Rsi), 0x9000);
        assert_eq!((hw.rip, hw.system.efer), (0x10_0000, 0xd00));
        let second = rig.slot(1, id);
        let activity = rig.cpus[1].record(second).activity;
        assert_eq!(activity, Activity::WaitForStartUp);
        rig.control(id, PartitionAction::Stop).unwrap();
        rig.pass();
        assert_eq!(rig.info(id).unwrap().restarts, round as u32 - 1);
    }
}

#[test]
fn a_paused_partition_stays_out_of_guest_mode_while_its_time_goes_on() {
    let mut rig = Rig::new();
    let id = rig.run(4 * MIB, 1);
    let cpu = usize::from(rig.partition(id).vcpus[0].owner().0);
    let slot = rig.slot(cpu, id);
    assert_eq!(rig.info(id).unwrap().settled, 0);
    assert_eq!(
        rig.control(id, PartitionAction::Resume),
        Err(Status::BadState)
    );
    rig.control(id, PartitionAction::Pause).unwrap();
    let partition = rig.partition(id);
    rig.cpus[cpu].pass();
    rig.pass();
    assert_eq!(rig.info(id).unwrap().state, PartitionState::Paused as u32);
    assert_eq!(rig.info(id).unwrap().settled, 1);
    let entries = rig.cpus[cpu].hw(slot).entries;
    let _ = partition.vcpus[0]
        .mailbox
        .post(crate::id::Vector(0x40), Trigger::Edge);
    rig.cpus[cpu].record(slot).work |= crate::vcpu_record::Work::EVENT;
    rig.pass();
    assert_eq!(rig.cpus[cpu].hw(slot).entries, entries);
    assert_eq!(
        rig.control(id, PartitionAction::Pause),
        Err(Status::BadState)
    );
    assert_eq!(
        rig.control(id, PartitionAction::Start),
        Err(Status::BadState)
    );
    rig.control(id, PartitionAction::Resume).unwrap();
    rig.pass();
    assert!(rig.cpus[cpu].hw(slot).entries > entries);
    assert_eq!(rig.info(id).unwrap().state, PartitionState::Running as u32);
    assert_eq!(
        rig.cpus[cpu].hw(slot).resets.len(),
        1,
        "it goes on where it was"
    );
    // A pause that is over before the vCPU has seen it changes nothing; a stop ends a pause.
    assert!(partition.pause() && partition.resume());
    rig.pass();
    assert!(!partition.is_settled());
    rig.control(id, PartitionAction::Pause).unwrap();
    rig.pass();
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    assert_eq!(rig.info(id).unwrap().settled, 1);
    assert_eq!(partition.state(), PartitionState::Stopped);
    drop(partition);
    rig.destroy_soon(id);
}

#[test]
fn a_pause_is_settled_only_when_the_last_vcpu_has_left() {
    let mut rig = Rig::new();
    let id = rig.run(4 * MIB, 2);
    rig.control(id, PartitionAction::Pause).unwrap();
    for _ in 0..4 {
        rig.cpus[0].pass();
    }
    assert_eq!(
        rig.info(id).unwrap().settled,
        0,
        "the other CPU has not looked"
    );
    for _ in 0..4 {
        rig.cpus[1].pass();
    }
    assert_eq!(rig.info(id).unwrap().settled, 1);
    // A start that is paused before its vCPUs have seen it.
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    let partition = rig.partition(id);
    let entries = |rig: &mut Rig| {
        let slot = rig.slot(0, id);
        rig.cpus[0].hw(slot).entries
    };
    let before = entries(&mut rig);
    life::prepare(&partition, &mut rig.cpus[1].host).unwrap();
    assert!(partition.pause());
    rig.pass();
    let _ = life::release(&partition, &rig.cpus[1].host);
    rig.pass();
    assert_eq!(entries(&mut rig), before);
    assert!(partition.is_settled());
    assert!(partition.resume());
    rig.pass();
    assert!(entries(&mut rig) > before);
}

#[test]
fn a_reset_is_left_to_management() {
    let mut rig = Rig::new();
    let id = rig.run(4 * MIB, 1);
    let cpu = usize::from(rig.partition(id).vcpus[0].owner().0);
    let slot = rig.slot(cpu, id);
    rig.cpus[cpu].hw(slot).after(
        |vcpu| vcpu.set(Gpr::Rax, 6),
        Exit::Port(PortAccess {
            port: 0xcf9,
            size: 1,
            direction: Direction::Write,
            form: PortForm::Single,
        }),
    );
    rig.pass();
    let info = rig.info(id).unwrap();
    assert_eq!(info.state, PartitionState::Reset as u32);
    assert_eq!((info.settled, info.restarts), (1, 0));
    assert_eq!(rig.cpus[cpu].hw(slot).resets.len(), 1);
    rig.control(id, PartitionAction::Start).unwrap();
    rig.pass();
    assert_eq!(rig.cpus[cpu].hw(slot).resets.len(), 2);
    assert_eq!(rig.info(id).unwrap().restarts, 1);
}

#[test]
fn a_crashed_guest_keeps_its_record_until_it_is_started_again() {
    let mut rig = Rig::new();
    let id = rig.run(2 * MIB, 2);
    let cpu = usize::from(rig.partition(id).vcpus[0].owner().0);
    let slot = rig.slot(cpu, id);
    rig.cpus[cpu].hw(slot).then(Exit::TripleFault);
    rig.pass();
    let info = rig.info(id).unwrap();
    assert_eq!(
        (info.state, info.settled),
        (PartitionState::Crashed as u32, 1)
    );
    let cause = rig.partition(id).crash_record().cause;
    assert_eq!(cause, crate::fault::StopCause::TripleFault as u32);
    assert_eq!(rig.cpus[cpu].hw(slot).resets.len(), 1, "nobody restarts it");
    rig.control(id, PartitionAction::Start).unwrap();
    rig.pass();
    assert_eq!(rig.info(id).unwrap().state, PartitionState::Running as u32);
    assert_eq!(rig.partition(id).crash_record().cause, 0);
    rig.cpus[cpu].hw(slot).then(Exit::TripleFault);
    rig.pass();
    rig.destroy_soon(id);
}

#[test]
fn an_interrupt_that_comes_in_a_pause_is_delivered_after_it() {
    let mut rig = Rig::new();
    let id = rig.run(2 * MIB, 1);
    let cpu = usize::from(rig.partition(id).vcpus[0].owner().0);
    let slot = rig.slot(cpu, id);
    // The APIC's timer by x2APIC, with interrupts on.
    for (msr, value) in [
        (0x1b, 0xfee0_0d00),
        (0x80f, 0x1ff),
        (0x832, 0x40),
        (0x83e, 0xb),
        (0x838, 1_000_000_000),
    ] {
        rig.cpus[cpu].hw(slot).after(
            move |vcpu| {
                vcpu.enable_interrupts();
                vcpu.set(Gpr::Rcx, msr);
                vcpu.set(Gpr::Rax, value);
                vcpu.set(Gpr::Rdx, 0);
            },
            Exit::MsrWrite,
        );
    }
    rig.pass();
    assert!(rig.cpus[cpu].hw(slot).script.is_empty());
    rig.control(id, PartitionAction::Pause).unwrap();
    rig.pass();
    rig.cpus[cpu].host.advance(2_000_000_000);
    rig.pass();
    assert!(rig.cpus[cpu].hw(slot).interrupts().is_empty());
    rig.control(id, PartitionAction::Resume).unwrap();
    rig.pass();
    assert_eq!(rig.cpus[cpu].hw(slot).interrupts(), [0x40]);
}

#[test]
fn a_stopped_guest_leaves_no_request_to_whoever_has_its_page_next() {
    let mut rig = Rig::new();
    let id = rig.run(2 * MIB, 1);
    let page = PAGE + 0x1000;
    rig.call(Number::IoPage, [id, page, 100, 0]).unwrap();
    let cpu = usize::from(rig.partition(id).vcpus[0].owner().0);
    let slot = rig.slot(cpu, id);
    let input = PortAccess {
        port: 0x500,
        size: 1,
        direction: Direction::Read,
        form: PortForm::Single,
    };
    rig.cpus[cpu].hw(slot).then(Exit::Port(input));
    rig.pass();
    let shared = rig.cpus[0].host.shared(Hpa::new(page)).unwrap();
    let state = || shared[0].load(std::sync::atomic::Ordering::SeqCst) as u32;
    assert_eq!(state(), bulkhead_abi::io::STATE_PENDING);
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    assert_eq!(state(), bulkhead_abi::io::STATE_FREE);
    assert_eq!(rig.partition(id).state(), PartitionState::Stopped);
}

#[test]
fn life_cycle_changes_raise_the_port() {
    let mut rig = Rig::new();
    let events = Hpa::new(PAGE + 0x1000);
    rig.call(Number::EventPage, [events.as_u64(), 0x50, 0, 0])
        .unwrap();
    let id = rig.create(&request(2 * MIB, 2)).unwrap();
    rig.call(Number::LifecyclePort, [id, 100, 0, 0]).unwrap();
    rig.clear(id);
    rig.write(long_mode().as_bytes());
    rig.call(Number::BootState, [id, PAGE, 0, 0]).unwrap();
    let raised = |rig: &mut Rig| {
        let page = rig.cpus[0].host.shared(events).unwrap();
        page[100 / 64].swap(0, std::sync::atomic::Ordering::SeqCst) != 0
    };
    assert!(!raised(&mut rig));
    for action in [
        PartitionAction::Start,
        PartitionAction::Pause,
        PartitionAction::Resume,
        PartitionAction::Stop,
    ] {
        rig.control(id, action).unwrap();
        rig.pass();
        assert!(raised(&mut rig), "{action:?}");
    }
}

#[test]
fn a_new_management_finds_the_partitions_of_the_old_one_without_its_windows() {
    let mut rig = Rig::new();
    let before = rig.ledger();
    let gone = rig.run(2 * MIB, 1);
    let id = rig.run(4 * MIB, 1);
    rig.control(gone, PartitionAction::Stop).unwrap();
    rig.pass();
    rig.destroy_soon(gone);
    let base = rig.call(Number::MemoryWindow, [id, 0, 0, 0]).unwrap();
    let epoch = rig.manager.epoch();
    let cpu = usize::from(rig.partition(id).vcpus[0].owner().0);
    rig.cpus[0].hw(0).then(Exit::TripleFault);
    rig.pass();
    assert_eq!(rig.manager.restarts(), 1);
    assert_eq!(rig.shown(base), None);
    assert!(rig.manager.epoch() > epoch);
    let slot = rig.slot(cpu, id);
    let entries = rig.cpus[cpu].hw(slot).entries;
    rig.pass();
    assert!(rig.cpus[cpu].hw(slot).entries > entries, "it runs on");
    rig.cpus[1].record(0).activity = Activity::Running;
    assert_eq!(rig.call(Number::PartitionCount, [0; 4]), Ok(id + 1));
    assert_eq!(rig.info(gone), Err(Status::NotFound));
    let info = rig.info(id).unwrap();
    assert_eq!(info.origin, PartitionOrigin::Management as u32);
    assert_eq!(&info.cookie, b"the guest's uuid");
    assert_eq!(info.state, PartitionState::Running as u32);
    assert_eq!(rig.call(Number::MemoryWindow, [id, 0, 0, 0]), Ok(base));
    assert!(rig.shown(base).is_some());
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    rig.destroy_soon(id);
    assert_eq!(rig.ledger(), before);
}

#[test]
fn a_removal_that_management_did_not_live_to_see_is_finished_by_the_next_one() {
    let mut rig = Rig::new();
    let before = rig.ledger();
    let id = rig.create(&request(4 * MIB, 1)).unwrap();
    rig.clear(id);
    rig.call(Number::MemoryWindow, [id, 0, 0, 0]).unwrap();
    assert_eq!(rig.destroy(id), Err(Status::Busy));
    rig.cpus[0].hw(0).then(Exit::TripleFault);
    rig.pass();
    assert_eq!(rig.manager.restarts(), 1);
    rig.destroy_soon(id);
    assert_eq!(rig.ledger(), before);
}

#[test]
fn the_end_of_a_partition_that_management_made_does_not_end_the_machine() {
    let mut rig = Rig::ending(crate::machine::WhenDone::PowerOff);
    let id = rig.run(4 * MIB, 1);
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    rig.destroy_soon(id);
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = rig.call(Number::Stop, [0; 4]);
        rig.pass();
    }));
    let ended = end.unwrap_err();
    assert_eq!(
        ended.downcast_ref(),
        Some(&crate::fakes::Ended(MachineEnd::PowerOff))
    );
}

#[test]
fn a_guest_cannot_make_partitions() {
    let mut rig = Rig::new();
    let id = rig.run(GUEST_BYTES, 1);
    let cpu = usize::from(rig.partition(id).vcpus[0].owner().0);
    let slot = rig.slot(cpu, id);
    for number in 20..27 {
        rig.cpus[cpu].hw(slot).after(
            move |vcpu| {
                vcpu.set(Gpr::Rax, number);
                vcpu.set(Gpr::Rdi, 0);
            },
            Exit::Hypercall,
        );
        rig.pass();
        let status = rig.cpus[cpu].hw(slot).get(Gpr::Rax);
        assert_eq!(Status::from_u64(status), Some(Status::Denied), "{number}");
    }
}
