//! The state of a partition leaves as bytes and comes back, with all CPUs of the machine at work.

use super::*;
use crate::cpu_state::{Component, EventKind};
use crate::fakes::Queued;
use crate::guest_tsc::{GuestTsc, TscScale};
use crate::id::Vector;
use crate::lifecycle::maker::TscScaling;
use crate::local_apic::Acceptance;
use crate::saved_state::{SavedPartition, Shape};
use crate::time::Hertz;

const SHAPE: Shape = Shape {
    ram: 4 * MIB,
    vcpus: 4,
};
/// MSI: to APIC id 0, edge.
const TO_FIRST: u64 = 0xfee0_0000;

impl Rig {
    /// A guest of four vCPUs that has set up much, paused.
    fn busy_guest(&mut self) -> u64 {
        let id = self.run(4 * MIB, 4);
        let slots = [self.slot(0, id), self.slot(1, id)];
        let now = self.cpus[0].host.now();
        let record = self.cpus[0].record(slots[0]);
        record.hw.gprs = core::array::from_fn(|number| 0x1111_0000 + number as u64);
        record.hw.enable_interrupts();
        record.hw.rest.breakpoints = [1, 2, 3, 4];
        record.hw.extended.in_use = 4;
        record.hw.extended.components = vec![Component {
            number: 2,
            bytes: vec![7; 256],
        }];
        record.set_guest_tsc(GuestTsc::with_offset(0x1234), now);
        record.apic.wire_like_firmware();
        let _ = record.apic.write_mmio(0x320, 0x2_0040, now);
        let _ = record.apic.write_mmio(0x380, 50_000_000, now);
        self.cpus[1].record(slots[1]).hw.gprs[5] = 0x5555;
        let partition = self.partition(id);
        let mut devices = partition.devices.lock();
        let host = &mut self.cpus[0].host;
        for (port, value) in [(0x43, 0x34), (0x40, 0xa9), (0x40, 0x04), (0x70, 0x0b)] {
            let access = PortAccess {
                port,
                size: 1,
                direction: Direction::Write,
                form: PortForm::Single,
            };
            let _ = devices.port(access, value, &partition, host);
        }
        drop(devices);
        self.control(id, PartitionAction::Pause).unwrap();
        self.pass();
        assert!(partition.is_settled());
        id
    }

    /// Asks for the state until it is there.
    fn ask(&mut self, id: u64) -> Result<u64, Status> {
        for _ in 0..4 {
            match self.call(Number::PartitionSave, [id, PAGE, 0, 0]) {
                Err(Status::Busy) => self.pass(),
                answer => return answer,
            }
        }
        Err(Status::Busy)
    }

    fn page(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let memory = &self.manager.memory;
        memory
            .read(&mut self.cpus[0].host, Gpa::new(PAGE), &mut bytes)
            .unwrap();
        bytes
    }

    fn saved(&mut self, id: u64) -> Vec<u8> {
        let length = self.ask(id).unwrap();
        let mut bytes = self.page();
        while (bytes.len() as u64) < length {
            let offset = bytes.len() as u64;
            let again = self.call(Number::PartitionSave, [id, PAGE, offset, 0]);
            assert_eq!(again, Ok(length));
            bytes.extend(self.page());
        }
        bytes.truncate(length as usize);
        bytes
    }

    fn restored(&mut self, id: u64, bytes: &[u8]) -> Result<(), Status> {
        let mut offset = 0;
        loop {
            let piece = &bytes[offset as usize..];
            self.write(&piece[..piece.len().min(4096)]);
            let arguments = [id, PAGE, offset, bytes.len() as u64];
            offset = self.call(Number::PartitionRestore, arguments)?;
            if offset == 0 {
                return Ok(());
            }
        }
    }

    /// A partition like the busy guest that was never started.
    fn empty(&mut self) -> u64 {
        let id = self.create(&request(4 * MIB, 4)).unwrap();
        self.clear(id);
        id
    }
}

#[test]
fn a_guest_goes_on_in_another_partition_and_its_time_has_stood_still() {
    let mut rig = Rig::new();
    let first = rig.busy_guest();
    let bytes = rig.saved(first);
    assert!(bytes.len() > 4096, "{}", bytes.len());
    let second = rig.empty();
    rig.cpus[0].host.advance(1 << 33);
    rig.restored(second, &bytes).unwrap();
    let copy = rig.partition(second);
    assert_eq!(copy.state(), PartitionState::Paused);
    rig.pass();
    assert!(copy.is_settled());
    let again = rig.saved(second);
    let expected = SavedPartition::load(&bytes, &SHAPE).unwrap();
    let mut found = SavedPartition::load(&again, &SHAPE).unwrap();
    // All has moved by the same time, and what the guest sees has not moved at all.
    let moved = expected.vcpus[0]
        .tsc_offset
        .wrapping_sub(found.vcpus[0].tsc_offset);
    assert!(moved > 1 << 33, "{moved}");
    for (found, expected) in found.vcpus.iter_mut().zip(&expected.vcpus) {
        assert_eq!(expected.tsc_offset.wrapping_sub(found.tsc_offset), moved);
        let ran = found.at.0 - expected.at.0 - moved;
        if expected.apic.timer_remaining != 0 {
            found.apic.timer_remaining += ran;
        }
        found.tsc_offset = expected.tsc_offset;
        found.at = expected.at;
        // Written anew.
        found.clock.system_version = expected.clock.system_version;
    }
    assert_eq!(found.vcpus, expected.vcpus);
    let ran = found.time.at.0 - expected.time.at.0 - moved;
    assert_eq!(found.time.elapsed, expected.time.elapsed + ran);
    assert_eq!(found.time.seconds, expected.time.seconds);
    let [pit, expected_pit] = [&found, &expected].map(|state| state.board.pit.channels[0]);
    assert!(pit.elapsed >= expected_pit.elapsed && pit.next_rise == expected_pit.next_rise);
    assert_eq!(found.board.pic, expected.board.pic);
    assert_eq!(found.board.ioapic, expected.board.ioapic);
    assert_eq!(found.board.serial, expected.board.serial);
    assert_eq!(found.board.rtc.index, 0x0b);
    // The copy runs with the registers that were saved.
    rig.control(second, PartitionAction::Resume).unwrap();
    rig.pass();
    let slots = [rig.slot(0, second), rig.slot(1, second)];
    assert_eq!(rig.cpus[0].hw(slots[0]).gprs[3], 0x1111_0003);
    assert!(rig.cpus[0].hw(slots[0]).entries > 0);
    assert_eq!(rig.cpus[1].hw(slots[1]).gprs[5], 0x5555);
    assert_eq!(
        rig.cpus[1].record(slots[1]).activity,
        Activity::WaitForStartUp
    );
}

#[test]
fn a_guest_from_a_machine_with_a_faster_tsc_keeps_its_rate_where_the_cpus_scale() {
    let mut rig = Rig::new();
    let first = rig.busy_guest();
    let mut state = SavedPartition::load(&rig.saved(first), &SHAPE).unwrap();
    let host = state.time.tsc;
    let guest = Hertz::new(host.get() * 5 / 2).unwrap();
    state.time.tsc = guest;
    state.vcpus[0].clock.stolen = 1000;
    let bytes = state.save().unwrap();
    let second = rig.empty();
    rig.cpus[0].host.advance(1 << 33);
    assert_eq!(rig.restored(second, &bytes), Err(Status::BadArgument));
    rig.cpus[0].host.made.scaling.set(TscScaling::Any);
    rig.restored(second, &bytes).unwrap();
    rig.pass();
    let slot = rig.slot(0, second);
    let record = rig.cpus[0].record(slot);
    let tsc = record.hw.tsc;
    assert_eq!(tsc, record.apic.guest_tsc());
    assert_eq!(tsc.scale, TscScale::new(host, guest).unwrap());
    let now = rig.cpus[0].host.now();
    let again = SavedPartition::load(&rig.saved(second), &SHAPE).unwrap();
    assert_eq!(again.time.tsc, guest);
    // The TSC has gone on from what it showed, and all instants are told in its ticks.
    let shown = state.time.at.0 + state.vcpus[0].tsc_offset;
    let passed = tsc.at(now) - shown;
    assert!(passed < 1 << 33, "{passed}");
    let (at, offset) = (again.time.at.0, again.vcpus[0].tsc_offset);
    let ran = at.wrapping_add(offset) - shown;
    let elapsed = again.time.elapsed - state.time.elapsed;
    assert!(ran.abs_diff(elapsed) <= 3, "{ran} {elapsed}");
    let stolen = again.vcpus[0].clock.stolen;
    assert!((1000..1005).contains(&stolen), "{stolen}");
    for (again, before) in again.vcpus.iter().zip(&state.vcpus) {
        assert_eq!(again.registers, before.registers);
        assert_eq!(again.apic.lvt, before.apic.lvt);
    }
    // A start from scratch is at the host's rate.
    rig.cpus[0].record(slot).reset();
    assert_eq!(rig.cpus[0].record(slot).hw.tsc, GuestTsc::HOST);
    let partition = rig.partition(second);
    let mut devices = partition.devices.lock();
    devices.reset(now);
    assert_eq!(devices.clock_base().guest_tsc, host);
}

#[test]
fn a_guest_goes_back_to_what_it_was() {
    let mut rig = Rig::new();
    let id = rig.busy_guest();
    let bytes = rig.saved(id);
    rig.control(id, PartitionAction::Resume).unwrap();
    let slot = rig.slot(0, id);
    rig.cpus[0].hw(slot).gprs[3] = 0;
    rig.cpus[0].record(slot).apic.init_reset();
    rig.pass();
    let running = rig.restored(id, &bytes);
    assert_eq!(running, Err(Status::BadState), "it runs");
    rig.control(id, PartitionAction::Pause).unwrap();
    rig.pass();
    rig.restored(id, &bytes).unwrap();
    assert_eq!(rig.partition(id).state(), PartitionState::Paused);
    // Without waiting for the owners.
    rig.control(id, PartitionAction::Resume).unwrap();
    rig.pass();
    assert_eq!(rig.cpus[0].hw(slot).gprs[3], 0x1111_0003);
    assert_ne!(
        rig.cpus[0].record(slot).apic.deadline(),
        crate::time::Instant::NEVER
    );
    // And once more, after it was stopped.
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    assert!(!rig.partition(id).is_active());
    rig.restored(id, &bytes).unwrap();
    rig.pass();
    rig.control(id, PartitionAction::Resume).unwrap();
    rig.pass();
    assert_eq!(rig.cpus[0].hw(slot).gprs[3], 0x1111_0003);
    assert_eq!(rig.partition(id).restarts(), 1);
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    rig.destroy_soon(id);
}

#[test]
fn an_interrupt_that_comes_while_a_guest_is_being_saved_is_in_the_state() {
    let mut rig = Rig::new();
    let id = rig.busy_guest();
    let save = [id, PAGE, 0, 0];
    assert_eq!(rig.call(Number::PartitionSave, save), Err(Status::Busy));
    rig.pass();
    // Both vCPUs are saved; now one gets something.
    rig.call(Number::MessageSend, [id, TO_FIRST, 0x61, 0])
        .unwrap();
    assert_eq!(rig.call(Number::PartitionSave, save), Err(Status::Busy));
    rig.pass();
    // The same, and the owner has taken it before the next call.
    rig.call(Number::MessageSend, [id, TO_FIRST, 0x62, 0])
        .unwrap();
    rig.pass();
    assert_eq!(rig.call(Number::PartitionSave, save), Err(Status::Busy));
    let bytes = rig.saved(id);
    let state = SavedPartition::load(&bytes, &SHAPE).unwrap();
    let pending = &state.vcpus[0].apic.irr;
    assert!(pending.contains(Vector(0x61)) && pending.contains(Vector(0x62)));
    // What comes later is not.
    rig.call(Number::MessageSend, [id, TO_FIRST, 0x63, 0])
        .unwrap();
    rig.pass();
    let tail = rig.call(Number::PartitionSave, [id, PAGE, 4096, 0]);
    assert_eq!(tail, Ok(bytes.len() as u64));
    assert_eq!(rig.page()[..bytes.len() - 4096], bytes[4096..]);
}

#[test]
fn what_is_on_its_way_into_the_guest_comes_there_after_a_restore() {
    let mut rig = Rig::new();
    let id = rig.busy_guest();
    let slot = rig.slot(0, id);
    let record = rig.cpus[0].record(slot);
    record.hw.queued = Some(Queued::Interrupt(0x41));
    record.work |= crate::vcpu_record::Work::NMI;
    let accepted = record.apic.accept(Vector(0x51), Trigger::Level);
    assert_eq!(accepted, Acceptance::New);
    let bytes = rig.saved(id);
    let state = SavedPartition::load(&bytes, &SHAPE).unwrap();
    let event = state.vcpus[0].registers.event.unwrap();
    assert_eq!((event.kind, event.vector), (EventKind::Interrupt, 0x41));
    assert!(state.vcpus[0].nmi);
    let copy = rig.empty();
    rig.restored(copy, &bytes).unwrap();
    rig.control(copy, PartitionAction::Resume).unwrap();
    rig.pass();
    let slot = rig.slot(0, copy);
    let delivered = &rig.cpus[0].hw(slot).delivered;
    assert_eq!(
        delivered[..3],
        [
            Queued::Interrupt(0x41),
            Queued::Nmi,
            Queued::Interrupt(0x51)
        ]
    );
}

#[test]
fn a_guest_that_waits_for_an_answer_is_not_saved_before_it_has_it() {
    let mut rig = Rig::new();
    let id = rig.run(4 * MIB, 2);
    let requests = PAGE + 0x1000;
    rig.call(Number::IoPage, [id, requests, 100, 0]).unwrap();
    let slot = rig.slot(0, id);
    let access = PortAccess {
        port: 0x500,
        size: 4,
        direction: Direction::Read,
        form: PortForm::Single,
    };
    rig.cpus[0].hw(slot).then(Exit::Port(access));
    rig.pass();
    assert!(rig.cpus[0].record(slot).pending_io.is_some());
    rig.control(id, PartitionAction::Pause).unwrap();
    rig.pass();
    assert_eq!(rig.ask(id), Err(Status::Busy));
    rig.call(Number::IoComplete, [id, 0, 0, 0]).unwrap();
    assert!(rig.ask(id).is_ok());
}

#[test]
fn what_cannot_be_restored_is_refused_with_a_sentence_and_changes_nothing() {
    let mut rig = Rig::new();
    let before = rig.ledger();
    let first = rig.busy_guest();
    let bytes = rig.saved(first);
    let second = rig.empty();
    let mut damaged = bytes.clone();
    damaged[5000] ^= 1;
    assert_eq!(rig.restored(second, &damaged), Err(Status::BadArgument));
    assert!(
        rig.cpus[0]
            .host
            .reported("is not restored: the saved state is damaged")
    );
    let mut forged = SavedPartition::load(&bytes, &SHAPE).unwrap();
    forged.vcpus[1].registers.cr4 = 1 << 13;
    let forged = forged.save().unwrap();
    assert_eq!(rig.restored(second, &forged), Err(Status::BadArgument));
    assert!(rig.cpus[0].host.reported("CR4 cannot have that value"));
    let mut forged = SavedPartition::load(&bytes, &SHAPE).unwrap();
    forged.vcpus[0].extended.components[0].bytes.pop();
    let forged = forged.save().unwrap();
    assert_eq!(rig.restored(second, &forged), Err(Status::BadArgument));
    let other = rig.create(&request(4 * MIB, 1)).unwrap();
    assert_eq!(
        rig.restored(other, &bytes),
        Err(Status::BadState),
        "not cleared"
    );
    rig.clear(other);
    assert_eq!(rig.restored(other, &bytes), Err(Status::BadArgument));
    assert!(rig.cpus[0].host.reported("4 vCPUs and 4194304 bytes"));
    for id in [second, other] {
        assert_eq!(rig.partition(id).state(), PartitionState::Stopped);
        assert!(!rig.partition(id).is_active());
    }
    // Pieces that are none.
    let length = bytes.len() as u64;
    let mut piece =
        |offset, total, page| rig.call(Number::PartitionRestore, [second, page, offset, total]);
    assert_eq!(
        piece(4096, length, PAGE),
        Err(Status::BadArgument),
        "not in order"
    );
    assert_eq!(piece(0, 0, PAGE), Err(Status::BadArgument));
    assert_eq!(piece(0, 1 << 40, PAGE), Err(Status::BadArgument));
    assert_eq!(piece(length, length, PAGE), Err(Status::BadArgument));
    assert_eq!(piece(0, length, PAGE + 8), Err(Status::BadAddress));
    assert_eq!(piece(0, length, PAGE), Ok(4096));
    assert_eq!(
        piece(8192, length, PAGE),
        Err(Status::BadArgument),
        "one is missing"
    );
    let save =
        |rig: &mut Rig, id, page, offset| rig.call(Number::PartitionSave, [id, page, offset, 0]);
    assert_eq!(save(&mut rig, second, PAGE, 0), Err(Status::BadState));
    assert_eq!(save(&mut rig, first, PAGE + 8, 0), Err(Status::BadAddress));
    assert_eq!(
        save(&mut rig, first, PAGE, length),
        Err(Status::BadArgument)
    );
    assert_eq!(save(&mut rig, 0, PAGE, 0), Err(Status::BadArgument));
    rig.control(first, PartitionAction::Resume).unwrap();
    assert_eq!(save(&mut rig, first, PAGE, 4096), Err(Status::BadState));
    rig.control(first, PartitionAction::Stop).unwrap();
    rig.pass();
    for id in [first, second, other] {
        rig.destroy_soon(id);
    }
    assert_eq!(rig.ledger(), before);
}
