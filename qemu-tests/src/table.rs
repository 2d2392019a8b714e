//! The table of machine tests: every one a fresh boot, each naming the backends it runs on.
//!
//! Called by `cargo xtask test`. A new test is a row here, and most often a micro-guest in `guests/src/bin`.

use crate::backend::{Backend, Backends};
use crate::machine::Machine;
use crate::machine_test::{BootMethod, MachineTest};
use crate::partition::Partition;

/// QEMU's status after the hypervisor's refusal: code 0x11.
const REFUSED: i32 = 35;

/// All machine tests.
pub fn machine_tests() -> Vec<MachineTest> {
    vec![
        MachineTest::new("boot-pvh").passing(Partition::new("hello", "hello")),
        MachineTest::new("boot-iso-bios")
            .boot(BootMethod::IsoBios)
            .passing(Partition::new("hello", "hello")),
        MachineTest::new("boot-iso-uefi")
            .boot(BootMethod::IsoUefi)
            .passing(Partition::new("hello", "hello")),
        MachineTest::new("refuses-a-cpu-without-svm")
            .on(Backends::Only(
                Backend::Svm,
                "the missing feature is SVM itself",
            ))
            .machine(Machine {
                cpu_model: "qemu64,-svm".to_owned(),
                ..Machine::default()
            })
            .shows("^bulkhead: cannot run: this CPU lacks AMD SVM .*ECX bit 2")
            .never_shows("CPUs ready")
            .ends_with_status(REFUSED),
    ]
}

/// The benches of `cargo xtask bench exits`: each prints RESULT lines with instructions for one round trip.
pub fn exit_benches() -> Vec<MachineTest> {
    vec![
        MachineTest::new("bench-exits")
            .counting_instructions()
            .passing(Partition::new("bench", "bench-exits")),
    ]
}

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
