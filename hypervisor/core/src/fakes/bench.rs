//! One vCPU of a running partition on a CPU of its own, to drive the exit loop with.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bulkhead_abi::host::PartitionOrigin;

use super::host::FakeHost;
use super::script::{FakeCpu, Scripted};
use super::world::World;
use crate::addr::Gpa;
use crate::event_page::{EventPage, EventPort};
use crate::exit::{self, Leave};
use crate::host::SharedPage;
use crate::id::Vector;
use crate::lifecycle;
use crate::partition::Partition;
use crate::vcpu::{Exit, Gpr, Vcpu};
use crate::vcpu_record::VcpuRecord;

/// The bench.
pub struct Bench {
    pub world: World,
    pub host: FakeHost,
    pub cpu: FakeCpu,
    pub partition: Arc<Partition>,
    pub vcpu: Box<VcpuRecord<Scripted>>,
}

impl Bench {
    /// vCPU 0 of a guest of one vCPU, started, without a management partition.
    pub fn guest() -> Self {
        let mut world = World::new(2);
        let partition = world.guest(&[0]);
        Self::on(world, partition)
    }

    /// vCPU 0 of a guest with one vCPU for each of these CPUs; the machine has a management partition, which is not
    /// started, with its one vCPU on CPU 1.
    pub fn managed(owners: &[u16]) -> Self {
        let mut world = World::new(4);
        world.manager(&[1]);
        let partition = world.guest(owners);
        Self::on(world, partition)
    }

    /// As [`Bench::managed`], with one CPU for all.
    pub fn crowded() -> Self {
        let mut world = World::new(1);
        world.manager(&[0]);
        let partition = world.guest(&[0]);
        Self::on(world, partition)
    }

    /// As [`Bench::managed`], with a guest that management has made.
    pub fn made() -> Self {
        let mut world = World::new(4);
        world.manager(&[1]);
        world.origin = PartitionOrigin::Management;
        let partition = world.guest(&[0]);
        Self::on(world, partition)
    }

    /// vCPU 0 of the management partition, on CPU 0; partition 1 is a guest with vCPUs on CPUs 0 and 1.
    pub fn manager() -> Self {
        let mut world = World::new(2);
        let partition = world.manager(&[0, 1]);
        world.guest(&[0, 1]);
        Self::on(world, partition)
    }

    fn on(mut world: World, partition: Arc<Partition>) -> Self {
        let mut host = world.host(0);
        let _ = lifecycle::start(&partition, &mut host).unwrap();
        let mut vcpu = world.record(&partition, 0);
        let mut cpu = FakeCpu::default();
        vcpu.hw
            .activate(&mut cpu, partition.root, partition.epoch());
        let mut bench = Self {
            world,
            host,
            cpu,
            partition,
            vcpu,
        };
        // Takes the reset.
        assert_eq!(bench.run(), Leave::Interrupted);
        bench.vcpu.hw.completed.clear();
        bench.host.take_kicks();
        bench
    }

    /// Runs the exit loop until it leaves.
    pub fn run(&mut self) -> Leave {
        exit::run(&mut *self.vcpu, &mut self.host, &mut self.cpu)
    }

    /// One exit with these registers set, and what the loop left for.
    pub fn exit(&mut self, registers: &[(Gpr, u64)], exit: Exit) -> Leave {
        for (register, value) in registers {
            self.vcpu.hw.set(*register, *value);
        }
        self.vcpu.hw.then(exit);
        self.run()
    }

    /// A hypercall: status and value.
    pub fn call(&mut self, number: u64, arguments: [u64; 4]) -> (u64, u64) {
        let [rdi, rsi, rdx, r10] = arguments;
        let registers = [
            (Gpr::Rax, number),
            (Gpr::Rdi, rdi),
            (Gpr::Rsi, rsi),
            (Gpr::Rdx, rdx),
            (Gpr::R10, r10),
        ];
        let leave = self.exit(&registers, Exit::Hypercall);
        assert!(matches!(leave, Leave::Interrupted | Leave::Yield));
        (self.vcpu.hw.get(Gpr::Rax), self.vcpu.hw.get(Gpr::Rdx))
    }

    /// WRMSR.
    pub fn wrmsr(&mut self, msr: u32, value: u64) -> Leave {
        let registers = [
            (Gpr::Rcx, u64::from(msr)),
            (Gpr::Rax, value & 0xffff_ffff),
            (Gpr::Rdx, value >> 32),
        ];
        self.exit(&registers, Exit::MsrWrite)
    }

    /// RDMSR.
    pub fn rdmsr(&mut self, msr: u32) -> u64 {
        let _ = self.exit(&[(Gpr::Rcx, u64::from(msr))], Exit::MsrRead);
        self.vcpu.hw.get(Gpr::Rdx) << 32 | self.vcpu.hw.get(Gpr::Rax)
    }

    /// Puts the local APIC into x2APIC mode, enabled, with LINT0 masked, and interrupts on.
    pub fn enable_x2apic(&mut self) {
        let base = self.vcpu.apic.apic_base();
        let _ = self.wrmsr(0x1b, base | 1 << 10);
        let _ = self.wrmsr(0x80f, 0x1ff);
        let _ = self.wrmsr(0x835, 0x1_0000);
        self.vcpu.hw.enable_interrupts();
    }

    /// Writes guest memory.
    pub fn poke(&mut self, at: u64, bytes: &[u8]) {
        self.partition
            .memory
            .write(&mut self.host, Gpa::new(at), bytes)
            .unwrap();
    }

    /// Reads a quadword of guest memory.
    pub fn peek(&mut self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.partition
            .memory
            .read(&mut self.host, Gpa::new(at), &mut bytes)
            .unwrap();
        u64::from_le_bytes(bytes)
    }

    /// Puts code where the guest goes on.
    pub fn code(&mut self, at: u64, bytes: &[u8]) {
        self.poke(at, bytes);
        self.vcpu.hw.rip = at;
    }

    /// Gives the guest an I/O page whose slots raise ports from 100 on, and the management partition an event page with
    /// vector 0x50: both pages.
    pub fn serve(&mut self) -> (SharedPage, SharedPage) {
        let (requests, events) = (page(), page());
        let port = EventPort::new(100).unwrap();
        self.partition.io.lock().requests = Some((requests, port));
        let manager = self.host.machine.management().unwrap();
        manager.io.lock().events = Some(EventPage::new(events, Vector(0x50)));
        (requests, events)
    }
}

/// A page that nobody else has.
fn page() -> SharedPage {
    Box::leak(Box::new([const { AtomicU64::new(0) }; 512]))
}

/// Rounds of a fuzz test: `usual`, or as many as the environment variable BULKHEAD_FUZZ says.
pub fn fuzz_rounds(usual: u64) -> u64 {
    std::env::var("BULKHEAD_FUZZ")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(usual)
}
