//! Guests that misbehave, each beside a witness that must not notice.
//!
//! What ends a guest ends it with a crash record on the console; what does not, leaves everybody running.

use crate::machine_test::MachineTest;
use crate::partition::Partition;
use crate::table::functional::with_cpus;

/// The rows.
pub fn rows() -> Vec<MachineTest> {
    let mut all = deaths();
    all.extend(survivors());
    all.extend(storms());
    all.extend(hypercalls());
    all
}

/// A neighbour that passes after so many ticks of 10 ms.
fn witness(ticks: u32) -> Partition {
    Partition::new("witness", "witness").arguments(format!("ticks={ticks}"))
}

/// With AMD's or Intel's exit code.
const TRIPLE_FAULT: &str = r"triple fault: .*exit code (0x7f|0x2)\b";
const NOTHING_THERE: &str = "access to guest-physical memory where nothing is at 0x";
/// AMD's CPUs take the value and refuse the next entry; Intel's raise #GP at once.
const REFUSED: &str = "(the CPU refused the guest's state|triple fault)";
/// AMD's CPUs switch to a task that is all zero; Intel's leave that to the hypervisor.
const TASK_SWITCH: &str =
    "(triple fault|unknown exit from guest mode .exit code 0x9.: a task switch by JMP)";
const NOT_EMULATED: &str = "instruction that the emulator does not know";

/// Descriptor tables, stacks and jumps that lead nowhere.
const DESCRIPTORS: [(&str, &str); 12] = [
    ("no-idt", TRIPLE_FAULT),
    ("zero-idt", TRIPLE_FAULT),
    ("idt-in-hole", NOTHING_THERE),
    ("non-canonical-idt", TRIPLE_FAULT),
    ("bad-gdt", NOTHING_THERE),
    ("short-gdt", TRIPLE_FAULT),
    ("bad-task", TRIPLE_FAULT),
    ("bad-stack", NOTHING_THERE),
    ("non-canonical-stack", TRIPLE_FAULT),
    ("non-canonical-jump", TRIPLE_FAULT),
    ("step", TRIPLE_FAULT),
    ("alignment", TRIPLE_FAULT),
];

/// Accesses of every kind to where nothing is.
const HOLES: [(&str, &str); 7] = [
    ("read", NOTHING_THERE),
    ("write", NOTHING_THERE),
    ("run", NOTHING_THERE),
    ("page-tables", NOTHING_THERE),
    ("no-paging", NOTHING_THERE),
    ("atomic", NOTHING_THERE),
    ("tables-with-reserved-bits", TRIPLE_FAULT),
];

/// Modes, states and instructions that nobody expects.
const STATES: [(&str, &str); 8] = [
    ("real-mode", "."),
    ("cache-disabled-without-cache-off", REFUSED),
    ("halt-for-ever", "halted with nothing that could wake it"),
    ("report", "the guest reported its own failure"),
    ("sse-at-apic", NOT_EMULATED),
    ("x87-at-apic", NOT_EMULATED),
    ("far-jump-at-apic", NOT_EMULATED),
    ("task-switch", TASK_SWITCH),
];

/// Each way of a group is a partition of its own: all end beside the same witness.
fn deaths() -> Vec<MachineTest> {
    let group = |name, ways: &[(&str, &str)]| {
        let beside = MachineTest::new(name)
            .machine(with_cpus(2))
            .passing(witness(100));
        ways.iter().fold(beside, |test, (way, cause)| {
            let guilty = Partition::new(*way, "hostile")
                .memory_mib(4)
                .arguments(format!("way={way}"));
            test.with(guilty).shows(&format!(
                "^bulkhead: partition {way} crashed on vCPU 0: {cause}"
            ))
        })
    };
    vec![
        group("hostile-descriptors", &DESCRIPTORS),
        group("hostile-holes", &HOLES),
        group("hostile-states", &STATES),
    ]
}

/// What a guest may try without harm to anybody, itself included.
fn survivors() -> Vec<MachineTest> {
    let probe = |name, way: &str| {
        MachineTest::new(name)
            .passing(Partition::new("guilty", "probes").arguments(format!("way={way}")))
            .passing(witness(50))
    };
    vec![
        probe("hostile-ports", "ports"),
        probe("hostile-msrs", "msrs"),
        probe("hostile-virtualization", "virtualization"),
        probe("hostile-control-registers-and-tlbs", "flips"),
        // The machine would end between two attempts.
        MachineTest::new("no-memory-of-others-is-readable")
            .keeps_running()
            .passing(Partition::new("prober", "prober").management())
            .with(Partition::new("escape", "escape").memory_mib(2))
            .passing(witness(100))
            .shows(
                "^bulkhead: partition escape crashed on vCPU 0: access to guest-physical memory",
            ),
    ]
}

/// Interrupts without end, beside a witness on the same CPU and with a second CPU.
fn storms() -> Vec<MachineTest> {
    let storm = |name, way: &str, cpus| {
        MachineTest::new(name)
            .machine(with_cpus(cpus))
            .passing(
                Partition::new("guilty", "storm")
                    .cpus(2)
                    .arguments(format!("way={way}")),
            )
            .passing(witness(50))
    };
    vec![
        storm("storm-of-self-ipis", "self", 1),
        storm("storm-of-timer-ticks", "timer", 1),
        storm("storm-of-late-deadlines", "late-deadlines", 1),
        storm("storm-at-a-neighbour", "neighbour", 2),
        storm("storm-at-a-neighbour-on-the-same-cpu", "neighbour", 1),
        storm("storm-of-nmis", "nmi", 2),
        storm("storm-of-starts", "init", 2),
    ]
}

/// Arguments at random.
fn hypercalls() -> Vec<MachineTest> {
    vec![
        MachineTest::new("hypercalls-at-random-from-a-guest")
            .passing(Partition::new("guilty", "fuzz").arguments("seed=7"))
            .passing(witness(50)),
        MachineTest::new("hypercalls-at-random-from-management")
            .passing(
                Partition::new("guilty", "fuzz")
                    .management()
                    .arguments("seed=9 rounds=10000"),
            )
            .passing(witness(200))
            .with(Partition::new("victim", "witness").arguments("ticks=50")),
    ]
}
