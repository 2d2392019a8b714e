//! The runner against a fake QEMU: a shell script that plays a machine.

use super::*;
use crate::partition::{MANAGEMENT_IMAGE, Partition};
use std::process::Command;

/// A scratch folder whose "QEMU" is `script`, with one micro-guest called "guest".
struct Bed {
    artefacts: Artefacts,
}

impl Bed {
    fn new(name: &str, script: &str) -> Self {
        let scratch =
            std::env::temp_dir().join(format!("bulkhead-runner-{}-{name}", std::process::id()));
        fs::create_dir_all(&scratch).unwrap();
        let qemu = scratch.join("qemu");
        let source = scratch.join("qemu.sh");
        fs::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
        // Written by another process: a file that a concurrent test's fork holds open for writing cannot be run.
        let mut install = Command::new("install");
        assert!(
            install
                .args(["-m", "755"])
                .args([&source, &qemu])
                .status()
                .unwrap()
                .success()
        );
        fs::write(scratch.join("guest"), "an image").unwrap();
        fs::write(scratch.join("hypervisor"), "another").unwrap();
        fs::write(scratch.join(MANAGEMENT_IMAGE), "a third").unwrap();
        let artefacts = Artefacts {
            bed: super::Bed::Qemu(qemu),
            hypervisor: scratch.join("hypervisor"),
            guests: scratch.clone(),
            scratch,
        };
        Self { artefacts }
    }

    fn run(&self, test: &MachineTest) -> Outcome {
        run_one(test, &self.artefacts)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.artefacts.scratch);
    }
}

fn test() -> MachineTest {
    MachineTest::new("fake").passing(Partition::new("a", "guest"))
}

#[test]
fn a_pass_needs_the_line_and_the_end() {
    let bed = Bed::new("pass", "echo '[a] RESULT x 5'; echo '[a] PASS'; exit 33");
    let figures = bed.run(&test()).verdict.unwrap();
    assert_eq!(figures[0].value, "5");
    let bed = Bed::new("end", "echo '[a] PASS'; exit 35");
    assert!(
        bed.run(&test())
            .verdict
            .unwrap_err()
            .contains("refused the machine")
    );
    let bed = Bed::new("line", "exit 33");
    assert!(bed.run(&test()).verdict.unwrap_err().contains("[a] PASS"));
}

#[test]
fn a_failure_shows_the_console_and_qemus_own_message() {
    let bed = Bed::new("message", "echo booting; echo 'no such device' >&2; exit 1");
    let outcome = bed.run(&test());
    assert!(outcome.verdict.unwrap_err().contains("QEMU refused"));
    assert_eq!(outcome.console, ["booting", "QEMU: no such device"]);
    assert_eq!(fs::read_to_string(outcome.log).unwrap(), "booting\n");
}

#[test]
fn a_reported_failure_ends_the_machine_at_once() {
    let bed = Bed::new("fail", "echo '[a] FAIL: sum was 3'; exec sleep 100");
    let outcome = bed.run(&test());
    assert_eq!(outcome.verdict.unwrap_err(), "a reports: sum was 3");
    assert!(outcome.took < Duration::from_secs(50));
}

#[test]
fn a_hang_is_ended_and_says_what_was_missing() {
    let bed = Bed::new("hang", "echo '[a] started'; exec sleep 100");
    let outcome = bed.run(&test().patience(Duration::from_millis(300)));
    let reason = outcome.verdict.unwrap_err();
    assert!(
        reason.contains("not done after 0 s") && reason.contains("[a] PASS"),
        "{reason}"
    );
}

#[test]
fn a_chatty_machine_is_ended_in_time() {
    let bed = Bed::new("chatty", "exec yes");
    let outcome = bed.run(&test().patience(Duration::from_millis(300)));
    assert!(outcome.verdict.unwrap_err().contains("not done"));
}

#[test]
fn a_test_with_management_gets_its_devices() {
    // The disk is there, and a probe sees the port that the machine was given.
    let script =
        r#"case "$*" in *virtio-blk-pci*) echo '[a] PASS'; echo ready;; esac; exec sleep 100"#;
    let bed = Bed::new("managed", script);
    let test = test().managed().keeps_running().probed("^ready$", |view| {
        let devices = view.devices().context("no devices")?;
        anyhow::ensure!(view.cim_server()?.port() != 0 && devices.store.is_file());
        Ok(())
    });
    bed.run(&test).verdict.unwrap();
}

#[test]
fn a_machine_that_should_run_on_is_ended_when_all_was_seen() {
    let bed = Bed::new("on", "echo idle; exec sleep 100");
    let test = MachineTest::new("fake").keeps_running().shows("^idle$");
    assert!(bed.run(&test).verdict.is_ok());
    let bed = Bed::new("off", "echo idling; exit 33");
    assert!(bed.run(&test).verdict.is_err());
}

#[test]
fn qemus_crash_is_no_pass_for_a_machine_that_should_run_on() {
    let bed = Bed::new("signal", "echo '[a] other'; kill -SEGV $$");
    let reason = bed.run(&test().keeps_running()).verdict.unwrap_err();
    assert!(reason.contains("crashed"), "{reason}");
}

#[test]
fn the_boot_gets_configuration_and_images() {
    // Argument after -initrd: the archive; its text is readable as it is not compressed.
    let script = r#"while [ "$1" != -initrd ]; do shift; done
        grep -aq 'partition name=a image=guest memory=16M cpus=1' "$2" &&
        grep -aq 'an image' "$2" && echo '[a] PASS'; exit 33"#;
    assert!(Bed::new("files", script).run(&test()).verdict.is_ok());
}

#[test]
fn a_missing_micro_guest_is_a_failure_with_its_name() {
    let bed = Bed::new("missing", "exit 33");
    let test = MachineTest::new("fake").passing(Partition::new("a", "absent"));
    assert!(
        bed.run(&test)
            .verdict
            .unwrap_err()
            .contains("no partition image absent")
    );
}

#[test]
fn a_probe_that_never_came_fails() {
    let bed = Bed::new("probe", "echo '[a] PASS'; exit 33");
    let outcome = bed.run(&test().probed("^ready$", |_| Ok(())));
    assert!(
        outcome
            .verdict
            .unwrap_err()
            .contains("looked at from outside")
    );
}

#[test]
fn outcomes_keep_the_order_of_the_tests() {
    let bed = Bed::new("order", "echo '[a] PASS'; exit 33");
    let mut slow = test();
    slow.name = "slow";
    let tests = [slow, test(), test()];
    let reported = Mutex::new(0);
    let outcomes = run(&tests[..2], &bed.artefacts, |_| {
        *reported.lock().unwrap() += 1
    });
    let names: Vec<_> = outcomes.iter().map(|outcome| outcome.name).collect();
    assert_eq!(names, ["slow", "fake"]);
    assert_eq!(*reported.lock().unwrap(), 2);
}
