//! The hypervisor's command line.

use bulkhead_boot::words;
use bulkhead_hw::console::Choice;
use bulkhead_hw::log::Level;
use bulkhead_hw::{log, warn};

/// What to do when all partitions have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Exit {
    /// Stay, idle.
    #[default]
    Never,
    /// End QEMU, or halt.
    WhenDone,
}

/// Whether x2APIC mode may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ApicChoice {
    /// x2APIC where the CPUs have it.
    #[default]
    Best,
    /// xAPIC in any case.
    XapicOnly,
}

/// Whether the machine's IOMMU is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IommuChoice {
    /// Where there is one, the management partition runs only with it.
    #[default]
    WherePresent,
    /// In no case: devices reach all memory.
    Off,
}

/// Whether CPUs deliver their guests' interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DeliveryChoice {
    /// Where they can, but for those that are known to do it wrongly.
    #[default]
    WhereSound,
    /// Where they can.
    On,
    /// In no case: the hypervisor does.
    Off,
}

/// A deliberate crash, to test the crash record and the protection of memory from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CrashTest {
    /// Recursion without end.
    StackOverflow,
    /// A write to code.
    WriteCode,
    /// A jump into data.
    RunData,
    /// A read from an address that is not mapped.
    Unmapped,
    /// A panic.
    Panic,
}

impl CrashTest {
    fn named(name: &str) -> Option<CrashTest> {
        Some(match name {
            "stack" => CrashTest::StackOverflow,
            "write-code" => CrashTest::WriteCode,
            "run-data" => CrashTest::RunData,
            "unmapped" => CrashTest::Unmapped,
            "panic" => CrashTest::Panic,
            _ => return None,
        })
    }
}

/// The parsed options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `console=serial|fb|both`.
    pub console: Choice,
    /// `xapic`.
    pub apic: ApicChoice,
    /// `iommu=off`.
    pub iommu: IommuChoice,
    /// `apicv=on|off`.
    pub delivery: DeliveryChoice,
    /// `exit=when-done`.
    pub exit: Exit,
    /// `crash-test=stack|write-code|run-data|unmapped|panic`.
    pub crash_test: Option<CrashTest>,
}

impl Options {
    /// Parses `line`. Options that are unknown or have a wrong value are reported and ignored.
    pub fn parse(line: &str) -> Options {
        let mut options = Options::default();
        for (key, value) in words(line) {
            let understood = match (key, value) {
                ("console", Some(name)) => {
                    Choice::named(name).map(|choice| options.console = choice)
                }
                ("xapic", None) => {
                    options.apic = ApicChoice::XapicOnly;
                    Some(())
                }
                ("iommu", Some("off")) => {
                    options.iommu = IommuChoice::Off;
                    Some(())
                }
                ("apicv", Some("on")) => {
                    options.delivery = DeliveryChoice::On;
                    Some(())
                }
                ("apicv", Some("off")) => {
                    options.delivery = DeliveryChoice::Off;
                    Some(())
                }
                ("exit", Some("when-done")) => {
                    options.exit = Exit::WhenDone;
                    Some(())
                }
                ("crash-test", Some(name)) => {
                    CrashTest::named(name).map(|test| options.crash_test = Some(test))
                }
                ("loglevel", Some(name)) => Level::named(name).map(log::set_level),
                _ => None,
            };
            if understood.is_none() {
                match value {
                    Some(value) => warn!("command line: {key}={value} is not known, ignored"),
                    None => warn!("command line: {key} is not known, ignored"),
                }
            }
        }
        options
    }
}
