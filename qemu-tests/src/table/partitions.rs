//! Partitions that a management partition makes and removes while the machine runs.
//!
//! The micro-guest `manager` is the management partition; its guests run code that it writes through their windows.

use std::time::Duration;

use crate::backend::{Backend, Backends};
use crate::machine::Machine;
use crate::machine_test::MachineTest;
use crate::partition::Partition;

/// The rows.
pub fn rows() -> Vec<MachineTest> {
    let test = |name, cpus, memory_mib, arguments: &str| {
        MachineTest::new(name)
            .machine(Machine {
                cpus,
                memory_mib,
                ..Machine::default()
            })
            .passing(
                Partition::new("manager", "manager")
                    .memory_mib(32)
                    // Those that are never started must take the flushes of windows as well.
                    .cpus(cpus)
                    .management()
                    .arguments(arguments),
            )
    };
    // Not backed but where it is touched.
    let huge = Machine {
        memory_mib: 700 << 10,
        extra: [
            "-object",
            "memory-backend-ram,id=huge,size=700G,reserve=off",
            "-machine",
            "memory-backend=huge",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..Machine::default()
    };
    vec![
        test("windows-lie-above-700-gib-of-memory", 1, 256, "way=lives rounds=3").machine(huge),
        // What the machine has left is compared to the byte after each round.
        test(
            "partitions-are-made-and-removed-500-times",
            2,
            512,
            "way=lives rounds=500",
        ),
        test(
            "partitions-are-made-and-removed-on-one-cpu",
            1,
            256,
            "way=lives rounds=50",
        ),
        test("thirty-two-guests-at-once", 2, 2048, "way=many count=32"),
        test("memory-is-cleared-for-the-next-guest", 2, 256, "way=isolation"),
        test("the-window-of-a-removed-guest-is-gone", 2, 256, "way=windows")
            .shows("^bulkhead: partition manager crashed on vCPU 0: access to guest-physical memory where nothing is at 0x")
            .shows(r"^bulkhead: partition manager is started again \(restart 1\)$"),
        // By executed instructions, so that the shares are the same in each run.
        MachineTest::new("shares-follow-weights-reservations-and-limits")
            .counting_instructions()
            .patience(Duration::from_secs(600))
            .passing(Partition::new("weigher", "weigher").memory_mib(32).management()),
        MachineTest::new("a-vcpu-moves-between-two-cpus-while-it-runs-and-halts")
            .machine(Machine {
                cpus: 2,
                ..Machine::default()
            })
            .patience(Duration::from_secs(300))
            .passing(
                Partition::new("weigher", "weigher")
                    .memory_mib(32)
                    .management()
                    .arguments("way=moves"),
            ),
        MachineTest::new("a-vcpu-comes-and-goes-while-its-guest-runs")
            .machine(Machine {
                cpus: 2,
                ..Machine::default()
            })
            .patience(Duration::from_secs(300))
            .passing(
                Partition::new("weigher", "weigher")
                    .memory_mib(32)
                    .management()
                    .arguments("way=grows"),
            ),
        test("a-guest-goes-on-from-its-saved-state", 2, 256, "way=transfer"),
        test("a-guest-goes-on-from-its-saved-state-on-one-cpu", 1, 256, "way=transfer"),
        test("a-guest-keeps-the-rate-of-its-tsc", 2, 256, "way=rates scaled=1").on(Backends::Only(
            Backend::Vmx,
            "QEMU's SVM has no scaling of the TSC",
        )),
        test("a-guest-with-another-rate-of-its-tsc-is-refused", 2, 256, "way=rates").on(Backends::Only(
            Backend::Svm,
            "Bochs' VMX can scale the TSC, so that nothing is refused there",
        )),
        test("forged-states-hurt-nobody-else", 2, 256, "way=forged rounds=100"),
        test("a-guest-outlives-its-manager", 2, 256, "way=orphans")
            .shows("^bulkhead: partition manager crashed on vCPU 0: triple fault"),
    ]
}
