//! INIT and start-up.

use crate::exit::Leave;
use crate::fakes::{Bench, FakeCpu};
use crate::id::Vector;
use crate::shared_vcpu::Hazard;
use crate::vcpu::{Direction, Exit, Gpr, PortAccess, PortForm, StartState, Vcpu};
use crate::vcpu_record::Activity;

/// vCPU 1 of a guest on CPU 0.
fn second() -> Bench {
    let mut bench = Bench::managed(&[1, 0]);
    bench.vcpu = bench.world.record(&bench.partition, 1);
    bench.cpu = FakeCpu::default();
    bench
        .vcpu
        .hw
        .activate(&mut bench.cpu, bench.partition.root, 1);
    bench
}

#[test]
fn an_application_processor_waits_for_its_start_up() {
    let mut bench = second();
    assert_eq!(bench.run(), Leave::Halted);
    assert_eq!(bench.vcpu.activity, Activity::WaitForStartUp);
    assert_eq!(bench.vcpu.hw.entries, 0);
    let mailbox = bench.vcpu.shared.clone();
    let _ = mailbox.mailbox.post_init();
    assert_eq!(bench.run(), Leave::Halted);
    let _ = mailbox.mailbox.post_startup(0x9a);
    assert_eq!(bench.run(), Leave::Interrupted);
    let start = StartState::StartUp {
        vector: Vector(0x9a),
    };
    assert_eq!(bench.vcpu.hw.resets, [start]);
    assert!(!bench.cpu.refreshes.is_empty());
    // A second start-up is ignored.
    let _ = mailbox.mailbox.post_startup(0x55);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.resets.len(), 1);
}

#[test]
fn init_and_start_up_that_come_together_start_a_running_vcpu_anew() {
    let mut bench = Bench::guest();
    bench.vcpu.hw.set(Gpr::Rbx, 5);
    let _ = bench.vcpu.shared.mailbox.post_init();
    let _ = bench.vcpu.shared.mailbox.post_startup(0x10);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.system.cs_base, 0x1_0000);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rbx), 0);
}

#[test]
fn a_start_up_after_an_init_does_not_wait_for_the_answer_to_an_older_request() {
    let mut bench = Bench::managed(&[0]);
    let (requests, _) = bench.serve();
    let read = Exit::Port(PortAccess {
        port: 0x2f8,
        size: 1,
        direction: Direction::Read,
        form: PortForm::Single,
    });
    assert_eq!(bench.exit(&[], read), Leave::WaitIo);
    let _ = bench.vcpu.shared.mailbox.post_init();
    assert_eq!(bench.run(), Leave::Halted);
    assert_eq!(
        requests[0].load(std::sync::atomic::Ordering::SeqCst),
        0,
        "free"
    );
    let _ = bench.vcpu.shared.mailbox.post_startup(0x10);
    assert_eq!(bench.run(), Leave::Interrupted);
    // The late answer changes nothing.
    requests[2].store(0x5a, std::sync::atomic::Ordering::SeqCst);
    bench.vcpu.shared.raise(Hazard::IO_DONE);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.get(Gpr::Rax), 0);
}

#[test]
fn an_nmi_does_not_reach_a_vcpu_that_waits_for_its_start_up() {
    let mut bench = second();
    bench.run();
    let _ = bench.vcpu.shared.mailbox.post_nmi();
    assert_eq!(bench.run(), Leave::Halted);
    assert!(!bench.vcpu.should_wake());
    let _ = bench.vcpu.shared.mailbox.post_startup(0x10);
    assert_eq!(bench.run(), Leave::Interrupted);
    assert!(bench.vcpu.hw.delivered.is_empty(), "it has no handler yet");
}
