//! Partitions that management makes and removes, with all CPUs of the machine at work.

mod lives;
mod memory;
mod moves;
mod nodes;
mod shares;
mod transfer;
mod vcpus;

use bulkhead_abi::host::{PartitionInfo, PartitionOrigin, PartitionState};
use bulkhead_abi::hypercall::{Number, PartitionAction, Status};
use bulkhead_abi::partition::{BootSegment, BootState, PartitionRequest};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::*;
use crate::addr::{Gpa, Hpa, PAGE_SIZE};
use crate::fakes::{GUEST_BYTES, MANAGER_BASE, POOL_BASE, POOL_BYTES};
use crate::host::{Host, MachineEnd};
use crate::id::PartitionId;
use crate::local_apic::Trigger;
use crate::vcpu::{Direction, Exit, Gpr, PortAccess, PortForm};
use crate::vcpu_record::Activity;

const MIB: u64 = 1 << 20;
/// A page of the management partition.
const PAGE: u64 = MANAGER_BASE + 0x20_0000;

/// A machine of two CPUs whose management partition has a running vCPU on each.
struct Rig {
    world: World,
    manager: Arc<Partition>,
    cpus: [Cpu; 2],
}

/// All that a partition takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ledger {
    free_bytes: u64,
    tables: usize,
    ids: u16,
    vcpus: [usize; 2],
}

fn request(bytes: u64, vcpus: u32) -> PartitionRequest {
    let mut request = PartitionRequest::new_zeroed();
    request.name[..4].copy_from_slice(b"made");
    request.memory_bytes = bytes;
    request.vcpus = vcpus;
    request.threads_per_core = 1;
    request.cores_per_socket = vcpus as u16;
    request.cookie = *b"the guest's uuid";
    request
}

/// 64-bit mode at 1 MiB.
fn long_mode() -> BootState {
    let segment = |selector, attributes| BootSegment {
        base: 0,
        limit: u32::MAX,
        selector,
        attributes,
    };
    let mut registers = [0; 16];
    registers[Gpr::Rsi as usize] = 0x9000;
    BootState {
        registers,
        rip: 0x10_0000,
        cr0: 0x8001_0033,
        cr3: 0x1000,
        cr4: 0x20,
        efer: 0xd00,
        cs: segment(8, 0xa9b),
        data: segment(16, 0xc93),
        ..BootState::default()
    }
}

impl Rig {
    fn new() -> Self {
        Self::ending(crate::machine::WhenDone::Stay)
    }

    fn ending(when_done: crate::machine::WhenDone) -> Self {
        let mut world = World::ending(2, when_done);
        let manager = world.manager(&[0, 1]);
        let cpus = [Cpu::new(&world, 0), Cpu::new(&world, 1)];
        let mut rig = Self {
            world,
            manager,
            cpus,
        };
        for cpu in &rig.cpus {
            // Each run uses a slice up, so that vCPUs take turns.
            cpu.host.tick.set(SLICE.0);
        }
        rig.machine().works().windows = crate::window_area::WindowArea::choose(40, 4 << 30, []);
        start(&rig.world, &rig.manager, &mut rig.cpus[0]);
        rig.pass();
        rig.cpus[1].record(0).activity = Activity::Running;
        rig
    }

    fn machine(&self) -> &'static crate::machine::Machine {
        self.world.machine
    }

    /// A few passes of both CPUs.
    fn pass(&mut self) {
        for _ in 0..6 {
            self.cpus[0].pass();
            self.cpus[1].pass();
        }
    }

    /// A hypercall of the management partition's first vCPU; the second CPU does nothing meanwhile.
    fn call(&mut self, number: Number, arguments: [u64; 4]) -> Result<u64, Status> {
        let [rdi, rsi, rdx, r10] = arguments;
        self.cpus[0].hw(0).after(
            move |vcpu| {
                vcpu.set(Gpr::Rax, number as u64);
                vcpu.set(Gpr::Rdi, rdi);
                vcpu.set(Gpr::Rsi, rsi);
                vcpu.set(Gpr::Rdx, rdx);
                vcpu.set(Gpr::R10, r10);
            },
            Exit::Hypercall,
        );
        for _ in 0..10 {
            if self.cpus[0].hw(0).script.is_empty() {
                break;
            }
            self.cpus[0].pass();
        }
        let hw = self.cpus[0].hw(0);
        assert!(hw.script.is_empty(), "the call is not made");
        match Status::from_u64(hw.get(Gpr::Rax)).unwrap() {
            Status::Ok => Ok(hw.get(Gpr::Rdx)),
            error => Err(error),
        }
    }

    fn write(&mut self, record: &[u8]) {
        let memory = &self.manager.memory;
        memory
            .write(&mut self.cpus[0].host, Gpa::new(PAGE), record)
            .unwrap();
    }

    fn create(&mut self, request: &PartitionRequest) -> Result<u64, Status> {
        self.write(request.as_bytes());
        self.call(Number::PartitionCreate, [PAGE, 0, 0, 0])
    }

    fn clear(&mut self, id: u64) {
        let mut from = 0;
        loop {
            from = self.call(Number::MemoryClear, [id, from, 0, 0]).unwrap();
            if from == 0 {
                return;
            }
        }
    }

    fn control(&mut self, id: u64, action: PartitionAction) -> Result<u64, Status> {
        self.call(Number::PartitionControl, [id, action as u64, 0, 0])
    }

    /// A partition that runs.
    fn run(&mut self, bytes: u64, vcpus: u32) -> u64 {
        let id = self.create(&request(bytes, vcpus)).unwrap();
        self.clear(id);
        self.write(long_mode().as_bytes());
        self.call(Number::BootState, [id, PAGE, 0, 0]).unwrap();
        self.control(id, PartitionAction::Start).unwrap();
        self.pass();
        id
    }

    fn destroy(&mut self, id: u64) -> Result<u64, Status> {
        self.call(Number::PartitionDestroy, [id, 0, 0, 0])
    }

    /// Destroys with the patience that the contract asks for.
    fn destroy_soon(&mut self, id: u64) {
        for _ in 0..4 {
            match self.destroy(id) {
                Err(Status::Busy) => self.pass(),
                answer => return assert_eq!(answer, Ok(0)),
            }
        }
        panic!("partition {id} is not let go");
    }

    fn info(&mut self, id: u64) -> Result<PartitionInfo, Status> {
        self.call(Number::PartitionInfo, [id, PAGE, 0, 0])?;
        let mut bytes = [0; size_of::<PartitionInfo>()];
        let memory = &self.manager.memory;
        memory
            .read(&mut self.cpus[0].host, Gpa::new(PAGE), &mut bytes)
            .unwrap();
        Ok(PartitionInfo::read_from_bytes(&bytes).unwrap())
    }

    fn partition(&self, id: u64) -> Arc<Partition> {
        self.machine().partition(PartitionId(id as u16)).unwrap()
    }

    fn ledger(&self) -> Ledger {
        Ledger {
            free_bytes: self.machine().works().frames.free_bytes(),
            tables: self.world.frames.in_use(),
            ids: self.machine().partition_count(),
            vcpus: [0, 1].map(|cpu: usize| self.cpus[cpu].run_loop.residents.len()),
        }
    }

    /// Where the management partition's tables lead.
    fn shown(&self, at: u64) -> Option<u64> {
        let walked = self.world.nested.walk(self.manager.root, Gpa::new(at))?;
        Some(walked.start + at % walked.bytes)
    }

    /// The place of a vCPU of this partition on a CPU.
    fn slot(&self, cpu: usize, id: u64) -> usize {
        let here = |place: &Option<super::super::Resident<Scripted>>| {
            place
                .as_ref()
                .is_some_and(|resident| u64::from(resident.record.partition.id.0) == id)
        };
        self.cpus[cpu]
            .run_loop
            .residents
            .iter()
            .position(here)
            .unwrap()
    }
}

#[test]
fn what_a_partition_takes_comes_back_whole() {
    let mut rig = Rig::new();
    let before = rig.ledger();
    for round in 0..50_u64 {
        let bytes = (2 + round % 7 * 4) * MIB;
        let id = rig.run(bytes, 1 + round as u32 % 4);
        assert_eq!(id, 1, "the lowest id is used again");
        assert_ne!(rig.ledger(), before);
        if round % 2 == 0 {
            let base = rig.call(Number::MemoryWindow, [id, 0, 0, 0]).unwrap();
            assert!(rig.shown(base).is_some());
        }
        rig.control(id, PartitionAction::Stop).unwrap();
        rig.pass();
        rig.destroy_soon(id);
        assert_eq!(rig.ledger(), before, "round {round}");
        assert_eq!(rig.info(id), Err(Status::NotFound));
    }
}

#[test]
fn a_creation_that_fails_at_any_step_leaves_nothing() {
    let mut rig = Rig::new();
    let before = rig.ledger();
    let mut failures = 0;
    for fuel in 0.. {
        rig.world.made.fuel.set(Some(fuel));
        let answer = rig.create(&request(4 * MIB, 3));
        rig.world.made.fuel.set(None);
        match answer {
            Err(status) => assert_eq!(status, Status::NoResource),
            Ok(id) => {
                rig.destroy_soon(id);
                break;
            }
        }
        assert_eq!(rig.ledger(), before, "step {fuel}");
        failures += 1;
    }
    assert_eq!(failures, 6, "two looks at the heap, tables, three vCPUs");
    for fuel in 0.. {
        rig.world.frames.set_fuel(Some(fuel));
        let answer = rig.create(&request(4 * MIB, 1));
        rig.world.frames.set_fuel(None);
        match answer {
            Err(status) => assert_eq!(status, Status::NoResource),
            Ok(id) => {
                rig.destroy_soon(id);
                break;
            }
        }
        assert_eq!(rig.ledger(), before, "frame {fuel}");
    }
    assert_eq!(rig.ledger(), before);
    let answer = rig.create(&request(POOL_BYTES + 2 * MIB, 1));
    assert_eq!(answer, Err(Status::NoResource));
    assert_eq!(rig.ledger(), before);
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut rig = Rig::new();
    let before = rig.ledger();
    type Change = fn(&mut PartitionRequest);
    let changes: [Change; 17] = [
        |r| r.name = [0; 64],
        |r| r.name[1] = 0xff,
        |r| r.name[1] = b'\n',
        |r| r.memory_bytes = 0,
        |r| r.memory_bytes = MIB,
        |r| r.vcpus = 0,
        |r| r.vcpus = 65,
        |r| r.threads_per_core = 0,
        |r| r.cores_per_socket = 3,
        |r| r.cpus[0] = 4,
        |r| r.present_vcpus = 3,
        |r| (r.present_vcpus, r.reservation_percent) = (1, 91),
        |r| r.node_blocks[1] = 1,
        |r| r.weight = 10_001,
        |r| r.reservation_percent = 181,
        |r| (r.reservation_percent, r.limit_percent) = (20, 19),
        |r| r.limit_percent = 6401,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut request = request(4 * MIB, 2);
        change(&mut request);
        let answer = rig.create(&request);
        assert_eq!(answer, Err(Status::BadArgument), "change {number}");
    }
    let answer = rig.call(Number::PartitionCreate, [PAGE + 8, 0, 0, 0]);
    assert_eq!(answer, Err(Status::BadAddress));
    assert_eq!(rig.ledger(), before);
}

#[test]
fn vcpus_spread_over_the_cpus_that_they_may_use() {
    let mut rig = Rig::new();
    let owners = |rig: &Rig, id| -> Vec<u16> {
        let partition = rig.partition(id);
        partition.vcpus.iter().map(|v| v.owner().0).collect()
    };
    let id = rig.create(&request(2 * MIB, 4)).unwrap();
    assert_eq!(owners(&rig, id), [0, 1, 0, 1]);
    let mut pinned = request(2 * MIB, 2);
    pinned.cpus[0] = 2;
    let id = rig.create(&pinned).unwrap();
    assert_eq!(owners(&rig, id), [1, 1]);
    let id = rig.create(&request(2 * MIB, 2)).unwrap();
    assert_eq!(owners(&rig, id), [0, 0], "the other has more to do");
}

#[test]
fn only_what_management_made_and_has_stopped_is_removed() {
    let mut rig = Rig::new();
    let configured = rig.world.guest(&[0]);
    let id = rig.run(4 * MIB, 1);
    assert_eq!(rig.destroy(0), Err(Status::BadArgument));
    let other = u64::from(configured.id.0);
    assert_eq!(rig.destroy(other), Err(Status::BadArgument));
    assert_eq!(rig.destroy(77), Err(Status::NotFound));
    assert_eq!(rig.destroy(id), Err(Status::BadState));
    rig.control(id, PartitionAction::Pause).unwrap();
    rig.pass();
    assert_eq!(rig.destroy(id), Err(Status::BadState));
    assert_eq!(rig.partition(id).state(), PartitionState::Paused);
    rig.control(id, PartitionAction::Stop).unwrap();
    rig.pass();
    rig.destroy_soon(id);
    for call in [
        Number::PartitionDestroy,
        Number::MemoryWindow,
        Number::MemoryClear,
    ] {
        assert_eq!(rig.call(call, [id, 0, 0, 0]), Err(Status::NotFound));
    }
    for call in [Number::MemoryWindow, Number::MemoryClear, Number::BootState] {
        let answer = rig.call(call, [other, PAGE, 0, 0]);
        assert_eq!(
            answer,
            Err(Status::BadArgument),
            "{call:?} of the boot configuration's"
        );
    }
}

#[test]
fn a_removal_waits_for_the_cpus_that_own_the_vcpus() {
    let mut rig = Rig::new();
    let before = rig.ledger();
    let mut pinned = request(4 * MIB, 2);
    pinned.cpus[0] = 2;
    let start = |rig: &mut Rig| {
        let id = rig.create(&pinned).unwrap();
        rig.clear(id);
        rig.write(long_mode().as_bytes());
        rig.call(Number::BootState, [id, PAGE, 0, 0]).unwrap();
        rig.control(id, PartitionAction::Start).unwrap();
        id
    };
    // Never started: no CPU has anything of it.
    let id = rig.create(&pinned).unwrap();
    assert_eq!(rig.destroy(id), Ok(0));
    assert_eq!(rig.ledger(), before);
    // Started and stopped before its CPU has looked: its vCPUs are in the inbox.
    let id = start(&mut rig);
    rig.control(id, PartitionAction::Stop).unwrap();
    assert_eq!(rig.destroy(id), Err(Status::Busy), "about to come to rest");
    rig.pass();
    assert_eq!(rig.destroy(id), Err(Status::Busy));
    assert_eq!(
        rig.cpus[0].host.take_kicks().last(),
        Some(&crate::id::CpuId(1))
    );
    assert_eq!(
        rig.destroy(id),
        Err(Status::Busy),
        "the other CPU has not looked"
    );
    assert_eq!(
        rig.control(id, PartitionAction::Start),
        Err(Status::BadState)
    );
    assert_eq!(
        rig.call(Number::MemoryWindow, [id, 0, 0, 0]),
        Err(Status::BadState)
    );
    for _ in 0..4 {
        rig.cpus[1].pass();
    }
    assert_eq!(rig.destroy(id), Ok(0));
    assert_eq!(rig.ledger(), before);
    // It has run.
    let id = start(&mut rig);
    rig.pass();
    let slot = rig.slot(1, id);
    assert!(rig.cpus[1].hw(slot).entries > 0);
    rig.control(id, PartitionAction::Stop).unwrap();
    assert_eq!(rig.destroy(id), Err(Status::Busy), "about to come to rest");
    rig.pass();
    assert_eq!(rig.destroy(id), Err(Status::Busy), "told to drop its vCPUs");
    assert_eq!(rig.destroy(id), Err(Status::Busy));
    rig.pass();
    assert_eq!(rig.destroy(id), Ok(0));
    assert_eq!(rig.ledger(), before);
    assert_eq!(rig.cpus[1].run_loop.residents.len(), 1);
}

#[test]
fn the_places_of_dropped_vcpus_are_used_again_and_the_others_stay() {
    let mut rig = Rig::new();
    let first = rig.run(2 * MIB, 2);
    let second = rig.run(2 * MIB, 2);
    let slots = [rig.slot(0, second), rig.slot(1, second)];
    let free = [rig.slot(0, first), rig.slot(1, first)];
    rig.control(first, PartitionAction::Stop).unwrap();
    rig.pass();
    rig.destroy_soon(first);
    assert_eq!([rig.slot(0, second), rig.slot(1, second)], slots);
    let entries = rig.cpus[0].hw(slots[0]).entries;
    rig.pass();
    assert!(rig.cpus[0].hw(slots[0]).entries > entries, "it runs on");
    let third = rig.run(2 * MIB, 2);
    assert_eq!([rig.slot(0, third), rig.slot(1, third)], free);
}
