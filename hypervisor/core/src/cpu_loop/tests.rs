//! The run loop of physical CPUs over scripted vCPUs, with a clock that the tests move.

mod lifecycle;
mod making;
mod turns;
mod wake;

use std::sync::Arc;

use super::{CpuLoop, Readiness};
use crate::fakes::{FakeCpu, FakeHost, SLICE, Scripted, World};
use crate::host::{KICK_VECTOR, TIMER_VECTOR};
use crate::lifecycle as life;
use crate::partition::Partition;
use crate::vcpu_record::VcpuRecord;

/// One physical CPU.
struct Cpu {
    run_loop: CpuLoop<Scripted>,
    host: FakeHost,
}

impl Cpu {
    fn new(world: &World, number: u16) -> Self {
        Self {
            run_loop: CpuLoop::new(FakeCpu::default(), SLICE),
            host: world.host(number),
        }
    }

    fn pass(&mut self) {
        self.run_loop.pass(&mut self.host);
    }

    /// Passes until the CPU sleeps; fails where it does not.
    fn settle(&mut self) {
        let before = self.host.idles;
        for _ in 0..20 {
            self.pass();
            if self.host.idles > before {
                return;
            }
        }
        panic!("the CPU does not come to rest");
    }

    fn record(&mut self, slot: usize) -> &mut VcpuRecord<Scripted> {
        &mut self.run_loop.residents[slot].as_mut().unwrap().record
    }

    #[track_caller]
    fn hw(&mut self, slot: usize) -> &mut Scripted {
        &mut self.record(slot).hw
    }

    fn readiness(&self, slot: usize) -> Readiness {
        self.run_loop.residents[slot].as_ref().unwrap().readiness
    }

    /// The timer's interrupt comes at the time that it is armed for.
    fn timer(&mut self) {
        let armed = self.host.armed;
        let now = self.host.clock.get();
        assert_ne!(armed, crate::time::Instant::NEVER, "no timer is armed");
        self.host.clock.set(now.max(armed.0));
        self.host.raise(TIMER_VECTOR);
    }

    /// The kick of another CPU arrives.
    fn kicked(&mut self) {
        self.host.raise(KICK_VECTOR);
    }
}

/// Starts a partition whose vCPUs were handed over.
fn start(world: &World, partition: &Arc<Partition>, cpu: &mut Cpu) {
    world.hand_over(partition);
    let _ = life::start(partition, &mut cpu.host).unwrap();
}

/// A guest with one vCPU on CPU 0, running.
fn single() -> (World, Arc<Partition>, Cpu) {
    let mut world = World::new(1);
    let partition = world.guest(&[0]);
    let mut cpu = Cpu::new(&world, 0);
    start(&world, &partition, &mut cpu);
    cpu.pass();
    (world, partition, cpu)
}

/// A guest with one vCPU on CPU 0 and one on CPU 1, running; the second waits for start-up.
fn pair() -> (World, Arc<Partition>, Cpu, Cpu) {
    let mut world = World::new(2);
    let partition = world.guest(&[0, 1]);
    let (mut first, mut second) = (Cpu::new(&world, 0), Cpu::new(&world, 1));
    start(&world, &partition, &mut first);
    second.kicked();
    second.settle();
    first.pass();
    first.host.take_kicks();
    (world, partition, first, second)
}
