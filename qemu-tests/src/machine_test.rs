//! One machine test: a fresh boot and what is expected of it.
//!
//! Built by the table, run by the runner.

use crate::backend::{Backend, Backends};
use crate::machine::{CLEAN_END, Clock, Machine, NetworkCard};
use crate::partition::Partition;
use crate::verdict::{Ending, Expectation};
use crate::view::View;
use anyhow::Result;
use regex_lite::Regex;
use std::time::Duration;

/// Ends the machine when all micro-guests have stopped.
const EXIT_WHEN_DONE: &str = "exit=when-done";
/// A boot takes about two seconds on a free CPU; CI machines are neither free nor fast, and the limit only ends a hang.
const PATIENCE: Duration = Duration::from_secs(240);

/// A row of the table.
#[derive(Debug, Clone)]
pub struct MachineTest {
    /// Unique name; the serial log is kept under it.
    pub name: &'static str,
    /// Where it runs.
    pub backends: Backends,
    /// The hardware.
    pub machine: Machine,
    /// How it starts.
    pub boot: BootMethod,
    /// What runs.
    pub partitions: Vec<Partition>,
    /// The hypervisor's command line.
    pub command_line: String,
    /// The devices for partitions.
    pub devices: Devices,
    /// The network card among them.
    pub card: NetworkCard,
    /// What must happen.
    pub expectation: Expectation,
    /// Figures that guests must report, and the most that each may be on each backend.
    pub limits: Vec<(Backend, &'static str, u64)>,
    /// A look from outside.
    pub probe: Option<Probe>,
    /// How long the whole boot may take.
    pub patience: Duration,
}

/// How a test's machine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootMethod {
    /// QEMU's PVH loader: the fastest.
    Pvh,
    /// ISO image, SeaBIOS, GRUB, Multiboot2.
    IsoBios,
    /// ISO image, OVMF, GRUB, Multiboot2.
    IsoUefi,
}

/// Which devices the machine has for its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    /// None.
    None,
    /// Network, serial channel and disk of the management partition.
    Management,
    /// The same, with the runner at the other end of the network's wire.
    ManagementByFrames,
}

/// A look at the machine from outside.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The console line that says the moment has come.
    pub after: Regex,
    /// The look; an error fails the test.
    pub look: fn(&View) -> Result<()>,
}

impl MachineTest {
    /// A boot with no partition yet that must end cleanly, on one CPU.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            backends: Backends::Both,
            machine: Machine::default(),
            boot: BootMethod::Pvh,
            partitions: Vec::new(),
            command_line: EXIT_WHEN_DONE.to_owned(),
            devices: Devices::None,
            card: NetworkCard::Virtio,
            expectation: Expectation {
                passing: [].into(),
                console: Vec::new(),
                forbidden: Vec::new(),
                limits: [].into(),
                ending: Ending::Status(CLEAN_END),
            },
            limits: Vec::new(),
            probe: None,
            patience: PATIENCE,
        }
    }

    /// Runs only where `backends` says.
    #[must_use]
    pub fn on(mut self, backends: Backends) -> Self {
        self.backends = backends;
        self
    }

    /// With a partition that must say PASS.
    #[must_use]
    pub fn passing(mut self, partition: Partition) -> Self {
        self.expectation.passing.insert(partition.name().to_owned());
        self.partitions.push(partition);
        self
    }

    /// With a partition that need not say anything.
    #[must_use]
    pub fn with(mut self, partition: Partition) -> Self {
        self.partitions.push(partition);
        self
    }

    /// With the product's management partition and its devices.
    #[must_use]
    pub fn managed(mut self) -> Self {
        self.devices = Devices::Management;
        self.partitions.push(Partition::product_management());
        self
    }

    /// With this network card for the management partition.
    #[must_use]
    pub fn card(mut self, card: NetworkCard) -> Self {
        self.card = card;
        self
    }

    /// With the product's management partition, these arguments for it, and the runner at the other end of its network's wire.
    #[must_use]
    pub fn managed_by_frames(mut self, arguments: &str) -> Self {
        self.devices = Devices::ManagementByFrames;
        let partition = Partition::product_management().arguments(arguments);
        self.partitions.push(partition);
        self
    }

    /// On other hardware.
    #[must_use]
    pub fn machine(mut self, machine: Machine) -> Self {
        self.machine = machine;
        self
    }

    /// With time that counts instructions.
    #[must_use]
    pub fn counting_instructions(mut self) -> Self {
        self.machine.clock = Clock::Instructions;
        self
    }

    /// Started another way.
    #[must_use]
    pub fn boot(mut self, boot: BootMethod) -> Self {
        self.boot = boot;
        self
    }

    /// With this command line instead of the one that ends the machine when all partitions have stopped.
    #[must_use]
    pub fn command_line(mut self, text: &str) -> Self {
        text.clone_into(&mut self.command_line);
        self
    }

    /// Some console line must match `pattern`.
    #[must_use]
    pub fn shows(mut self, pattern: &str) -> Self {
        self.expectation.console.push(regex(pattern));
        self
    }

    /// Guests must report these figures on `backend`, and each may be this much at most.
    #[must_use]
    pub fn costs_at_most(mut self, backend: Backend, limits: &[(&'static str, u64)]) -> Self {
        let limits = limits.iter().map(|(key, limit)| (backend, *key, *limit));
        self.limits.extend(limits);
        self
    }

    /// What must happen on `backend`.
    pub fn expectation_on(&self, backend: Backend) -> Expectation {
        let mut expectation = self.expectation.clone();
        let limits = self.limits.iter().filter(|(on, ..)| *on == backend);
        expectation
            .limits
            .extend(limits.map(|(_, key, limit)| ((*key).to_owned(), *limit)));
        expectation
    }

    /// No console line may match `pattern`.
    #[must_use]
    pub fn never_shows(mut self, pattern: &str) -> Self {
        self.expectation.forbidden.push(regex(pattern));
        self
    }

    /// Ends with this status of QEMU.
    #[must_use]
    pub fn ends_with_status(mut self, status: i32) -> Self {
        self.expectation.ending = Ending::Status(status);
        self
    }

    /// Does not end: the runner ends it when everything expected was seen.
    #[must_use]
    pub fn keeps_running(mut self) -> Self {
        self.expectation.ending = Ending::Running;
        EXIT_NEVER.clone_into(&mut self.command_line);
        self
    }

    /// With a look from outside after a console line that matches `pattern`.
    #[must_use]
    pub fn probed(mut self, pattern: &str, look: fn(&View) -> Result<()>) -> Self {
        self.probe = Some(Probe {
            after: regex(pattern),
            look,
        });
        self
    }

    /// With this long for the whole boot.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

/// The command line of a machine that runs on.
const EXIT_NEVER: &str = "";

/// A pattern of the table.
#[expect(
    clippy::expect_used,
    reason = "a wrong pattern is a mistake in the table, which its unit tests compile whole"
)]
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of the table is a regular expression")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_test_expects_a_clean_end() {
        let test = MachineTest::new("x").passing(Partition::new("a", "hello"));
        assert_eq!(test.expectation.ending, Ending::Status(33));
        assert_eq!(test.command_line, "exit=when-done");
        assert!(test.expectation.passing.contains("a"));
    }

    #[test]
    fn a_partition_that_is_only_present_need_not_pass() {
        let test = MachineTest::new("x").with(Partition::new("victim", "crash"));
        assert!(test.expectation.passing.is_empty());
        assert_eq!(test.partitions.len(), 1);
    }

    #[test]
    fn figures_have_the_limits_of_the_backend() {
        let test = MachineTest::new("x")
            .costs_at_most(Backend::Svm, &[("cpuid", 200)])
            .costs_at_most(Backend::Vmx, &[("cpuid", 300)]);
        assert_eq!(test.expectation_on(Backend::Svm).limits["cpuid"], 200);
        assert_eq!(test.expectation_on(Backend::Vmx).limits["cpuid"], 300);
    }

    #[test]
    fn a_machine_that_runs_on_is_not_asked_to_end() {
        let test = MachineTest::new("x").keeps_running();
        assert_eq!(test.command_line, "");
        assert_eq!(test.expectation.ending, Ending::Running);
    }
}
