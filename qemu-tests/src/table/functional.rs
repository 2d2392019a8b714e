//! What guests get from the virtual CPU, its local APIC, its time and its memory.

use crate::machine::Machine;
use crate::machine_test::MachineTest;
use crate::partition::Partition;

/// The rows.
pub fn rows() -> Vec<MachineTest> {
    let mut all = processors();
    all.extend(interrupts());
    all.extend(multiprocessors());
    all
}

/// A machine with this many CPUs.
pub fn with_cpus(cpus: u32) -> Machine {
    Machine {
        cpus,
        ..Machine::default()
    }
}

fn processors() -> Vec<MachineTest> {
    vec![
        MachineTest::new("policy-of-cpuid-msrs-and-control-registers")
            .passing(Partition::new("policy", "policy"))
            .passing(Partition::new("several", "policy").cpus(4)),
    ]
}

fn interrupts() -> Vec<MachineTest> {
    let of = |name, image: &str, arguments: &str| {
        MachineTest::new(name).passing(Partition::new("guest", image).arguments(arguments))
    };
    vec![
        of("timer-x2apic", "timer", "mode=x2apic"),
        of("timer-xapic", "timer", "mode=xapic"),
        of("timer-x2apic-is-exact", "timer", "mode=x2apic exact=1").counting_instructions(),
        of("timer-xapic-is-exact", "timer", "mode=xapic exact=1").counting_instructions(),
        of("priorities-x2apic", "priority", "mode=x2apic"),
        of("priorities-xapic", "priority", "mode=xapic"),
    ]
}

/// vCPUs in numbers, on their own CPUs and sharing them.
fn multiprocessors() -> Vec<MachineTest> {
    let smp = |vcpus| Partition::new(format!("smp{vcpus}"), "smp").cpus(vcpus);
    vec![
        MachineTest::new("smp-2-vcpus-on-1-cpu").passing(smp(2)),
        MachineTest::new("smp-8-vcpus-on-1-cpu").passing(smp(8)),
        MachineTest::new("smp-2-vcpus-on-2-cpus")
            .machine(with_cpus(2))
            .passing(smp(2).pinned([0, 1])),
        MachineTest::new("smp-4-vcpus-on-2-cpus")
            .machine(with_cpus(2))
            .passing(smp(4)),
        MachineTest::new("smp-4-vcpus-pinned-on-4-cpus")
            .machine(with_cpus(4))
            .passing(smp(4).pinned([3, 2, 1, 0])),
        MachineTest::new("smp-8-vcpus-on-4-cpus-beside-others")
            .machine(with_cpus(4))
            .passing(smp(8))
            .passing(smp(4).pinned([0, 0, 1, 1]))
            .passing(smp(2)),
    ]
}
