//! What guests get from the virtual CPU, its local APIC, its time and its memory.

use crate::backend::{Backend, Backends};
use crate::machine::{Accelerator, Machine, Threads};
use crate::machine_test::MachineTest;
use crate::partition::Partition;

/// The rows.
pub fn rows() -> Vec<MachineTest> {
    let mut all = processors();
    all.extend(interrupts());
    all.extend(consoles_and_clocks());
    all.extend(multiprocessors());
    all.extend(sharing());
    all.extend(memory());
    all.extend(restarts());
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
        MachineTest::new("prefixed-instructions-without-next-rip")
            .passing(Partition::new("prefixes", "prefixes")),
    ]
}

/// Serial ports with a reader at the other end, and the paravirtual clock.
fn consoles_and_clocks() -> Vec<MachineTest> {
    let console = |name, cpus| {
        MachineTest::new(name)
            .machine(with_cpus(cpus))
            .with(Partition::new("keeper", "keeper").management())
            .passing(Partition::new("console", "console"))
    };
    let clock = |name| Partition::new(name, "clock");
    vec![
        console("console-of-a-guest-on-1-cpu", 1),
        console("console-of-a-guest-on-2-cpus", 2),
        MachineTest::new("paravirtual-clock").passing(clock("clock")),
        // By emulated time: with the host's, one of the two can be done before the other has begun.
        MachineTest::new("paravirtual-clock-of-a-shared-cpu")
            .counting_instructions()
            .passing(clock("one").arguments("shared=1"))
            .passing(clock("other").arguments("shared=1")),
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
        of("level-triggered-x2apic", "level", "mode=x2apic"),
        of("level-triggered-xapic", "level", "mode=xapic"),
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
        // QEMU gave a vector twice where its loop was interrupted after an injection, which with one thread is always so.
        MachineTest::new("an-ipi-comes-once-where-one-thread-emulates-all-cpus")
            .on(Backends::Only(
                Backend::Svm,
                "Bochs has one thread in any case",
            ))
            .machine(Machine {
                accelerator: Accelerator::Tcg(Threads::One),
                ..with_cpus(4)
            })
            .passing(smp(8))
            .passing(smp(4).pinned([0, 0, 1, 1]))
            .passing(smp(2)),
    ]
}

/// Partitions that share a CPU.
fn sharing() -> Vec<MachineTest> {
    let state =
        |name: &str, seed: u32| Partition::new(name, "state").arguments(format!("seed={seed}"));
    let busy = |name: &str| {
        Partition::new(name, "storm")
            .cpus(2)
            .arguments("way=late-deadlines")
    };
    vec![
        MachineTest::new("registers-are-kept-apart")
            .passing(state("odd", 1))
            .passing(state("even", 2))
            .passing(state("third", 3)),
        // Each of the busy ones checks that it gets on, the sleeper that its timer wakes it.
        MachineTest::new("two-busy-partitions-and-a-sleeper-share-a-cpu")
            .passing(busy("first"))
            .passing(busy("second"))
            .passing(Partition::new("sleeper", "witness").arguments("ticks=30")),
    ]
}

/// RAM of several sizes, so that pages of 2 MiB and 1 GiB are used.
fn memory() -> Vec<MachineTest> {
    vec![
        MachineTest::new("memory-of-2-and-16-mib")
            .passing(Partition::new("small", "memory").memory_mib(2))
            .passing(Partition::new("plain", "memory")),
        MachineTest::new("memory-above-1-gib")
            .machine(Machine {
                memory_mib: 1536,
                ..Machine::default()
            })
            .passing(Partition::new("large", "memory").memory_mib(1100)),
    ]
}

/// Guests that are started again, by their own wish or after a crash.
fn restarts() -> Vec<MachineTest> {
    let reborn = |name, way: &str| {
        MachineTest::new(name)
            .passing(Partition::new("reborn", "reborn").arguments(format!("way={way}")))
            .shows(r"^bulkhead: partition reborn is started again \(restart 1\)$")
    };
    vec![
        reborn("restart-by-reset-port", "cf9"),
        reborn("restart-by-keyboard-controller", "keyboard"),
        reborn("restart-by-hypercall", "hypercall"),
        MachineTest::new("management-crashes-and-comes-back")
            .passing(
                Partition::new("mgmt", "reborn")
                    .management()
                    .arguments("way=triple-fault"),
            )
            .passing(Partition::new("witness", "witness").arguments("ticks=100"))
            .shows("^bulkhead: partition mgmt crashed on vCPU 0: triple fault")
            .shows(r"^bulkhead: partition mgmt is started again \(restart 1\)$"),
    ]
}
