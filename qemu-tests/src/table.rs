//! The table of machine tests: every one a fresh boot, each naming the backends it runs on.
//!
//! Called by `cargo xtask test`. A new test is a row here, and most often a micro-guest in `guests/src/bin`.

mod devices;
mod functional;
mod hostile;
mod partitions;

use crate::backend::{Backend, Backends};
#[cfg(test)]
use crate::bochs;
use crate::machine::{CANNOT_RUN, CRASHED, Iommu, Machine, NetworkCard};
use crate::machine_test::{BootMethod, MachineTest};
use crate::mappings;
use crate::partition::Partition;
use crate::view::{View, answers_http, answers_http_on_serial};
use anyhow::{Context, Result, ensure};

/// All machine tests.
pub fn machine_tests() -> Vec<MachineTest> {
    let mut all = bring_up();
    all.extend(refusals());
    all.extend(crashes());
    all.extend(first_guests());
    all.extend(functional::rows());
    all.extend(hostile::rows());
    all.extend(partitions::rows());
    all.extend(exit_benches());
    all.extend(deliveries_by_the_cpu(&all));
    all.extend(management());
    all.extend(devices::rows());
    all
}

/// The short list for the second emulator of the SVM backend, whose CPU tells next RIPs and flushes by ASID: what depends on
/// either, and one of each kind.
pub fn second_bed() -> Vec<MachineTest> {
    let all = machine_tests().into_iter();
    all.filter(|test| SECOND_BED.contains(&test.name)).collect()
}

/// Names of its tests.
const SECOND_BED: [&str; 14] = [
    "hello",
    "prefixed-instructions-without-next-rip",
    "policy-of-cpuid-msrs-and-control-registers",
    "two-partitions-share-a-cpu",
    "timer-x2apic-is-exact",
    "smp-4-vcpus-on-2-cpus",
    "memory-is-cleared-for-the-next-guest",
    "no-memory-of-others-is-readable",
    "restart-by-reset-port",
    "hostile-states",
    "hostile-descriptors",
    "hostile-virtualization",
    "hostile-control-registers-and-tlbs",
    "storm-of-timer-ticks",
];

/// From the boot loader to the moment before the first partition.
fn bring_up() -> Vec<MachineTest> {
    let four_cpus = Machine {
        cpus: 4,
        memory_mib: 512,
        ..Machine::default()
    };
    let with_display = Machine {
        extra: vec!["-device".to_owned(), "VGA".to_owned()],
        ..Machine::default()
    };
    vec![
        MachineTest::new("bring-up-pvh")
            .on(Backends::Only(
                Backend::Svm,
                "PVH is the protocol of QEMU's own loader",
            ))
            .keeps_running()
            .machine(four_cpus.clone())
            .shows("^bulkhead: booted through PVH$")
            .shows("^bulkhead: 4 CPUs ready$"),
        MachineTest::new("bring-up-iso-bios")
            .keeps_running()
            .boot(BootMethod::IsoBios)
            .machine(four_cpus.clone())
            .shows("^bulkhead: booted through Multiboot2 by GRUB")
            .shows("^bulkhead: 4 CPUs ready$"),
        MachineTest::new("bring-up-iso-uefi")
            .keeps_running()
            .boot(BootMethod::IsoUefi)
            .machine(four_cpus)
            .shows("^bulkhead: booted through Multiboot2 by GRUB")
            .shows("^bulkhead: 4 CPUs ready$"),
        MachineTest::new("bring-up-framebuffer")
            .keeps_running()
            .boot(BootMethod::IsoUefi)
            .machine(with_display)
            .shows("^bulkhead: framebuffer: [0-9]+x[0-9]+, (24|32) bits a pixel$")
            .shows("^bulkhead: 1 CPUs ready$"),
        MachineTest::new("bring-up-iommu")
            .on(Backends::Only(
                Backend::Svm,
                "AMD's IOMMU exists only beside AMD's CPUs",
            ))
            .keeps_running()
            .machine(Machine {
                iommu: Iommu::Amd,
                ..Machine::default()
            })
            .shows("^bulkhead: ACPI: .* IOMMU AMD-Vi$")
            .shows("^bulkhead: 1 CPUs ready$"),
        MachineTest::new("no-page-is-writable-and-executable")
            .keeps_running()
            .probed("^bulkhead: 1 CPUs ready$", write_xor_execute),
    ]
}

/// Machines that lack something.
fn refusals() -> Vec<MachineTest> {
    let with_cpu = |model: &str| Machine {
        cpu_model: model.to_owned(),
        ..Machine::default()
    };
    let with_model = |model| Machine {
        bochs_model: Some(model),
        ..Machine::default()
    };
    vec![
        MachineTest::new("refuses-a-cpu-without-svm")
            .on(Backends::Only(
                Backend::Svm,
                "the missing feature is SVM itself",
            ))
            .machine(with_cpu("qemu64,-svm"))
            .shows("^bulkhead: cannot run: this CPU lacks AMD SVM .*ECX bit 2")
            .ends_with_status(CANNOT_RUN),
        MachineTest::new("refuses-a-cpu-without-nested-paging")
            .on(Backends::Only(
                Backend::Svm,
                "the missing feature is SVM's nested paging",
            ))
            .machine(with_cpu("EPYC,+svm,-npt"))
            .shows("^bulkhead: cannot run: this CPU lacks .*nested paging")
            .ends_with_status(CANNOT_RUN),
        MachineTest::new("refuses-a-cpu-without-ept")
            .on(Backends::Only(
                Backend::Vmx,
                "the missing feature is VMX's nested paging",
            ))
            .machine(with_model("core2_penryn_t9600"))
            .shows("^bulkhead: cannot run: this CPU lacks EPT nested paging")
            .ends_with_status(CANNOT_RUN),
        MachineTest::new("refuses-a-cpu-without-unrestricted-guests")
            .on(Backends::Only(
                Backend::Vmx,
                "the missing feature is one of VMX",
            ))
            .machine(with_model("corei5_lynnfield_750"))
            .shows("^bulkhead: cannot run: this CPU lacks unrestricted guests")
            .ends_with_status(CANNOT_RUN),
        MachineTest::new("hello-on-a-cpu-of-2010")
            .on(Backends::Only(
                Backend::Vmx,
                "the features that this CPU lacks are those of VMX",
            ))
            .machine(with_model("corei5_arrandale_m520"))
            .shows("^bulkhead: VMX features missing: 1G-EPT EPT-A/D .*XSAVES")
            .passing(Partition::new("hello", "hello")),
    ]
}

/// Deliberate crashes of the hypervisor: each ends in a record that names the cause, and in no other way.
fn crashes() -> Vec<MachineTest> {
    let crash = |name, kind: &str, record| {
        MachineTest::new(name)
            .machine(Machine {
                cpus: 2,
                ..Machine::default()
            })
            .command_line(&format!("crash-test={kind}"))
            .shows(record)
            .shows("^bulkhead: all CPUs are halted$")
            .ends_with_status(CRASHED)
    };
    vec![
        crash(
            "crash-stack-overflow",
            "stack",
            "^bulkhead: crash: .*overflow of the main stack",
        ),
        crash(
            "crash-write-to-code",
            "write-code",
            "^bulkhead: crash: page fault .*: write to .* forbids it",
        ),
        crash(
            "crash-run-data",
            "run-data",
            "^bulkhead: crash: page fault .*: instruction fetch from .* forbids it",
        ),
        crash(
            "crash-unmapped",
            "unmapped",
            "^bulkhead: crash: page fault .*: read from .* an unmapped page",
        ),
        crash(
            "crash-panic",
            "panic",
            "^bulkhead: crash: panic at .*: asked for on the command line$",
        ),
    ]
}

/// The first instruction of a guest, whatever way the machine was booted.
fn first_guests() -> Vec<MachineTest> {
    let hello = |name| MachineTest::new(name).passing(Partition::new("hello", "hello"));
    vec![
        hello("hello"),
        hello("hello-iso-bios").boot(BootMethod::IsoBios),
        hello("hello-iso-uefi").boot(BootMethod::IsoUefi),
        MachineTest::new("two-partitions-share-a-cpu")
            .passing(Partition::new("first", "hello"))
            .passing(Partition::new("second", "hello")),
        MachineTest::new("pinned-vcpus")
            .machine(Machine {
                cpus: 4,
                ..Machine::default()
            })
            .passing(Partition::new("pinned", "hello").cpus(2).pinned([1, 3]))
            .passing(Partition::new("shared", "hello").cpus(2)),
    ]
}

/// The product's own partition, with real clients outside.
fn management() -> Vec<MachineTest> {
    const READY: &str = r"^\[management\] management partition ready at ";
    let served = |name| {
        MachineTest::new(name)
            .managed()
            .keeps_running()
            .shows(READY)
            .probed(READY, both_ways_answer)
    };
    vec![
        served("management-answers"),
        served("management-answers-with-four-cpus").machine(Machine {
            cpus: 4,
            ..Machine::default()
        }),
        served("management-answers-from-uefi").boot(BootMethod::IsoUefi),
        served("management-answers-by-an-82574")
            .on(Backends::Only(Backend::Svm, "Bochs has no such card"))
            .card(NetworkCard::E1000e),
        // The card that both emulators have.
        served("management-answers-by-an-82540")
            .card(NetworkCard::E1000)
            .probed(READY, the_network_answers),
    ]
}

/// The server answers on the network.
fn the_network_answers(view: &View) -> Result<()> {
    ensure!(
        answers_http(view.cim_server()?),
        "the CIM server does not answer on the network"
    );
    Ok(())
}

/// The server answers on the network and on the serial channel.
fn both_ways_answer(view: &View) -> Result<()> {
    the_network_answers(view)?;
    let devices = view
        .devices()
        .context("this machine has no serial channel")?;
    ensure!(
        answers_http_on_serial(&devices.serial_socket),
        "the CIM server does not answer on the serial channel"
    );
    Ok(())
}

fn write_xor_execute(view: &View) -> Result<()> {
    mappings::check_write_xor_execute(&mappings::parse(&view.monitor()?.ask("info tlb")?)?)
}

/// The benches of `cargo xtask bench exits`: each prints RESULT lines with instructions for one round trip.
///
/// The limits are what the exits cost when they were set, and some more: a change that makes one dearer by a third has
/// to say why.
pub fn exit_benches() -> Vec<MachineTest> {
    let exits = MachineTest::new("bench-exits").passing(Partition::new("exits", "exits"));
    // The responder is the management partition, as only that one may answer; it is created first.
    let requests = MachineTest::new("bench-requests")
        .with(Partition::new("responder", "responder").management())
        .passing(Partition::new("requests", "requests"));
    vec![
        exits
            .counting_instructions()
            .costs_at_most(Backend::Svm, &EXIT_LIMITS)
            .costs_at_most(Backend::Vmx, &VMX_EXIT_LIMITS),
        requests
            .counting_instructions()
            .costs_at_most(Backend::Svm, &REQUEST_LIMITS)
            .costs_at_most(Backend::Vmx, &VMX_REQUEST_LIMITS),
    ]
}

/// Tests that run once more with the CPU delivering interrupts, which in Bochs has to be asked for, and what they are called then.
const BY_CPU: [(&str, &str); 7] = [
    ("bench-exits", "bench-exits-of-interrupts-by-the-cpu"),
    ("timer-x2apic-is-exact", "timer-x2apic-by-the-cpu"),
    ("priorities-x2apic", "priorities-x2apic-by-the-cpu"),
    (
        "level-triggered-x2apic",
        "level-triggered-x2apic-by-the-cpu",
    ),
    ("smp-4-vcpus-on-2-cpus", "smp-4-vcpus-on-2-cpus-by-the-cpu"),
    (
        "registers-are-kept-apart",
        "registers-are-kept-apart-by-the-cpu",
    ),
    (
        "a-guest-goes-on-from-its-saved-state",
        "a-guest-goes-on-from-its-saved-state-by-the-cpu",
    ),
];

/// Those tests.
fn deliveries_by_the_cpu(all: &[MachineTest]) -> Vec<MachineTest> {
    let rows = BY_CPU.iter().filter_map(|(of, name)| {
        let test = all.iter().find(|test| test.name == *of)?.clone();
        let line = format!("{} apicv=on", test.command_line);
        let mut test = test
            .on(Backends::Only(
                Backend::Vmx,
                "on AMD's CPUs the hypervisor delivers in any case",
            ))
            .command_line(&line)
            .shows("^bulkhead: interrupts are delivered by the CPU$");
        test.name = name;
        if *of == "bench-exits" {
            test.limits.clear();
            test = test.costs_at_most(Backend::Vmx, &VMX_DELIVERY_LIMITS);
        }
        Some(test)
    });
    rows.collect()
}

/// Instructions for exits that the hypervisor handles alone.
const EXIT_LIMITS: [(&str, u64); 13] = [
    ("cpuid", 200),
    ("hypercall", 160),
    ("rdmsr", 200),
    ("wrmsr", 200),
    ("out", 150),
    ("in", 450),
    ("uart_out", 370),
    ("uart_status", 380),
    ("x2apic_timer", 450),
    ("x2apic_eoi", 200),
    ("x2apic_tpr", 380),
    ("self_ipi", 450),
    ("hlt_timer", 650),
];
/// The same on Intel's, in ticks of a TSC that counts about an instruction each.
const VMX_EXIT_LIMITS: [(&str, u64); 13] = [
    ("cpuid", 280),
    ("hypercall", 240),
    ("rdmsr", 270),
    ("wrmsr", 290),
    ("out", 300),
    ("in", 700),
    ("uart_out", 600),
    ("uart_status", 620),
    ("x2apic_timer", 520),
    ("x2apic_eoi", 300),
    ("x2apic_tpr", 400),
    ("self_ipi", 750),
    ("hlt_timer", 910),
];
/// The same where the CPU delivers the interrupts: to end one, to send one to oneself and to set the priority takes no exit, while one
/// that comes from outside costs somewhat more.
const VMX_DELIVERY_LIMITS: [(&str, u64); 5] = [
    ("x2apic_timer", 520),
    ("x2apic_eoi", 20),
    ("x2apic_tpr", 20),
    ("self_ipi", 30),
    ("hlt_timer", 1100),
];
/// Instructions for what another partition answers.
const REQUEST_LIMITS: [(&str, u64); 6] = [
    ("io_request", 3300),
    ("memory_request", 8700),
    ("doorbell", 420),
    ("console_out", 400),
    ("console_status", 400),
    ("first_touch", 2500),
];
/// The same on Intel's.
const VMX_REQUEST_LIMITS: [(&str, u64); 6] = [
    ("io_request", 4700),
    ("memory_request", 11000),
    ("doorbell", 650),
    ("console_out", 640),
    ("console_status", 640),
    ("first_touch", 2600),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_plain() {
        let tests = machine_tests();
        let names: BTreeSet<_> = tests.iter().map(|test| test.name).collect();
        assert_eq!(names.len(), tests.len());
        for name in names {
            assert!(
                name.chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            );
        }
    }

    #[test]
    fn the_second_bed_runs_what_its_list_names() {
        let tests = second_bed();
        assert_eq!(tests.len(), SECOND_BED.len());
        for test in tests {
            assert!(test.backends.include(Backend::Svm), "{}", test.name);
            assert_eq!(bochs::cannot_run(&test), None, "{}", test.name);
        }
    }

    #[test]
    fn what_runs_once_more_exists() {
        let all = machine_tests();
        let rows = deliveries_by_the_cpu(&all);
        assert_eq!(rows.len(), BY_CPU.len());
        for test in rows {
            assert!(test.command_line.ends_with("apicv=on"));
            assert_eq!(bochs::cannot_run(&test), None, "{}", test.name);
        }
    }

    #[test]
    fn a_test_for_one_backend_says_why() {
        for test in machine_tests() {
            if let Backends::Only(_, reason) = test.backends {
                assert!(
                    reason.split_whitespace().count() > 3,
                    "{}: {reason:?}",
                    test.name
                );
            }
        }
    }

    #[test]
    fn every_test_expects_something() {
        for test in machine_tests() {
            let expectation = &test.expectation;
            let nothing = expectation.passing.is_empty() && expectation.console.is_empty();
            assert!(
                !nothing || test.probe.is_some(),
                "{} cannot fail",
                test.name
            );
        }
    }
}
