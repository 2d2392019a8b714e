//! Interrupts from vCPU to vCPU.

use crate::exit::{Leave, deliver_message};
use crate::fakes::Bench;
use crate::id::{CpuId, Vector};
use crate::local_apic::{
    DeliveryMode, Destination, DestinationMode, Identity, IdentityMode, LocalApic, Message, Trigger,
};
use crate::shared_vcpu::SharedVcpu;

/// A guest with vCPUs on CPUs 0, 0, 1 and 2, all in x2APIC mode; vCPU 0 runs.
fn bench() -> Bench {
    let mut bench = Bench::managed(&[0, 0, 1, 2]);
    bench.enable_x2apic();
    for vcpu in &bench.partition.vcpus {
        vcpu.set_identity(Some(Identity {
            id: vcpu.apic_id,
            mode: IdentityMode::X2Apic,
        }));
    }
    bench.host.take_kicks();
    bench
}

fn posted(bench: &Bench) -> Vec<bool> {
    let has = |vcpu: &std::sync::Arc<SharedVcpu>| !vcpu.mailbox.is_empty();
    bench.partition.vcpus.iter().map(has).collect()
}

fn send(bench: &mut Bench, destination: u64, command: u64) -> Leave {
    bench.wrmsr(0x830, destination << 32 | command)
}

#[test]
fn an_ipi_to_another_cpu_is_posted_and_that_cpu_kicked() {
    let mut bench = bench();
    assert_eq!(send(&mut bench, 2, 0x51), Leave::Interrupted);
    assert_eq!(posted(&bench), [false, false, true, false]);
    assert_eq!(bench.host.take_kicks(), [CpuId(1)]);
}

#[test]
fn an_ipi_to_a_vcpu_of_the_same_cpu_gives_that_one_a_chance() {
    let mut bench = bench();
    assert_eq!(send(&mut bench, 1, 0x51), Leave::Yield);
    assert_eq!(posted(&bench), [false, true, false, false]);
    assert!(bench.host.take_kicks().is_empty());
}

#[test]
fn shorthands_and_broadcasts_reach_whom_they_name() {
    let mut bench = bench();
    assert_eq!(send(&mut bench, 0, 0xc_0051), Leave::Yield);
    assert_eq!(posted(&bench), [false, true, true, true]);
    assert_eq!(bench.host.take_kicks(), [CpuId(1), CpuId(2)]);
    assert_eq!(send(&mut bench, 0, 0x8_0052), Leave::Yield);
    bench.run();
    assert_eq!(
        bench.vcpu.hw.interrupts(),
        [0x52],
        "all includes the sender"
    );
    assert_eq!(send(&mut bench, 0, 0x4_0063), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x52, 0x63], "to self");
    assert_eq!(send(&mut bench, 0, 0x74), Leave::Interrupted);
    assert_eq!(bench.vcpu.hw.interrupts(), [0x52, 0x63, 0x74], "its own id");
}

#[test]
fn a_lowest_priority_ipi_reaches_one() {
    let mut bench = bench();
    // Logical, cluster 0, ids 2 and 3.
    assert_eq!(send(&mut bench, 0b1100, 0x951), Leave::Interrupted);
    assert_eq!(posted(&bench).iter().filter(|posted| **posted).count(), 1);
}

#[test]
fn lowest_priority_messages_go_around() {
    let mut bench = bench();
    let mut receivers = Vec::new();
    for round in 0..4 {
        if round % 2 == 0 {
            // Logical, cluster 0, ids 1 to 3.
            let _ = send(&mut bench, 0b1110, 0x951);
        } else {
            let message = Message {
                destination: Destination::wide(0b1110, DestinationMode::Logical),
                delivery: DeliveryMode::LowestPriority,
                vector: Vector(0x52),
                trigger: Trigger::Edge,
            };
            let _ = deliver_message(&bench.partition, &message, &bench.host);
        }
        receivers.extend(posted(&bench).iter().position(|posted| *posted));
        for vcpu in &bench.partition.vcpus {
            vcpu.mailbox.clear();
        }
    }
    assert_eq!(receivers, [1, 2, 3, 1]);
}

#[test]
fn an_ipi_to_nobody_vanishes() {
    let mut bench = bench();
    assert_eq!(send(&mut bench, 77, 0x51), Leave::Interrupted);
    // SMI and the INIT de-assert are nobody's either.
    assert_eq!(send(&mut bench, 2, 0x200), Leave::Interrupted);
    assert_eq!(send(&mut bench, 2, 0x8500), Leave::Interrupted);
    assert_eq!(posted(&bench), [false; 4]);
    assert!(bench.host.take_kicks().is_empty());
}

#[test]
fn nmi_init_and_startup_go_by_their_own_ways() {
    let mut bench = bench();
    for command in [0x400, 0xc500, 0x612] {
        assert_eq!(send(&mut bench, 3, command), Leave::Interrupted);
    }
    let mut apic: LocalApic = bench.vcpu.apic;
    let drained = bench.partition.vcpus[3].mailbox.drain_into(&mut apic);
    assert!(drained.nmi && drained.init);
    assert_eq!(drained.startup, Some(0x12));
    // The first post wakes the receiver; those that find the mailbox filled add nothing to that.
    assert_eq!(bench.host.take_kicks(), [CpuId(2)]);
}

#[test]
fn a_storm_of_ipis_interrupts_the_receiver_once_for_each_of_its_looks() {
    let mut bench = bench();
    for _ in 0..5 {
        assert_eq!(send(&mut bench, 3, 0x4051), Leave::Interrupted);
    }
    assert_eq!(bench.host.take_kicks(), [CpuId(2)]);
    let mut apic: LocalApic = bench.vcpu.apic;
    let _ = bench.partition.vcpus[3].mailbox.drain_into(&mut apic);
    assert_eq!(send(&mut bench, 3, 0x4051), Leave::Interrupted);
    assert_eq!(bench.host.take_kicks(), [CpuId(2)]);
}
