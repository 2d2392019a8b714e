//! The Bochs emulator, whose Intel CPUs have VMX: its configuration, its command line, and what its end means.
//!
//! Called by the runner and by `cargo xtask run` for the backend `vmx`. Bochs has neither virtio nor a PVH loader and always ends with status 1, so every
//! boot is by BIOS, GRUB and an ISO image, and the end is known from the console. Two boots of the same image without a network
//! take the same instructions.
//!
//! With several CPUs, Bochs 3.0 takes an exit that comes before the first instruction of an exception's handler with the address
//! of the instruction that faulted: only its loop for one CPU commits the new address. A guest that faults often, as Linux does,
//! crashes of that sooner or later, so guests run there on one CPU.

use crate::backend::Backend;
use crate::machine::{
    CANNOT_RUN, CIM_HTTP, CLEAN_END, CRASHED, Clock, Forwards, Machine, NetworkCard,
};
use crate::machine_test::{BootMethod, Devices, MachineTest};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The CPU of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cpu {
    /// Intel's with VMX that has all that the backend knows to use.
    SkylakeX,
    /// AMD's with SVM: next RIPs, flushes by ASID and a pause filter, which QEMU's has not.
    Ryzen,
}

impl Cpu {
    fn model(self) -> &'static str {
        match self {
            Self::SkylakeX => "corei7_skylake_x",
            Self::Ryzen => "ryzen",
        }
    }

    /// Whose virtualization it has.
    pub fn backend(self) -> Backend {
        match self {
            Self::SkylakeX => Backend::Vmx,
            Self::Ryzen => Backend::Svm,
        }
    }
}

/// Where Debian puts libraries.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
/// Instructions that make a second of the machine's time, few so that waits for time to pass are short.
const INSTRUCTIONS_PER_SECOND: u32 = 50_000_000;
/// The same where instructions are counted: so many that a partition's shortest run, 20 us, has room for what is measured, and
/// no turn of another partition is counted with it.
const WHEN_COUNTED: u32 = 250_000_000;
/// The same where clients wait: about what Bochs does in a second on a machine of today.
const INSTRUCTIONS_FOR_CLIENTS: u32 = 100_000_000;
/// How many ports there are for consoles of virtual systems: Bochs forwards five.
pub const CONSOLES: u16 = 4;
/// Most memory of a machine, in MiB.
pub const MOST_MEMORY_MIB: u32 = 2048;
/// What Bochs' DHCP server gives to the only machine of its network.
const GUEST: &str = "10.0.2.15";

/// An emulator that was unpacked into a folder of its own, with the libc that it needs.
#[derive(Debug, Clone)]
pub struct Bochs {
    prefix: PathBuf,
    cpu: Cpu,
}

impl Bochs {
    /// The one below `prefix`, with an Intel CPU.
    pub fn new(prefix: PathBuf) -> Self {
        Self {
            prefix,
            cpu: Cpu::SkylakeX,
        }
    }

    /// The same with another CPU.
    #[must_use]
    pub fn with_cpu(self, cpu: Cpu) -> Self {
        Self { cpu, ..self }
    }

    /// Its CPU.
    pub fn cpu(&self) -> Cpu {
        self.cpu
    }

    /// The program to start, and its arguments before those of the emulator.
    pub fn program(&self) -> (PathBuf, Vec<OsString>) {
        let libraries = self.prefix.join(LIBRARIES);
        let mut path = libraries.clone().into_os_string();
        path.push(":/");
        path.push(LIBRARIES);
        let mut plugins = OsString::from("LTDL_LIBRARY_PATH=");
        plugins.push(libraries.join("bochs/plugins"));
        let mut share = OsString::from("BXSHARE=");
        share.push(self.prefix.join("usr/share/bochs"));
        let arguments = vec![
            plugins,
            share,
            libraries.join("ld-linux-x86-64.so.2").into(),
            "--library-path".into(),
            path,
            self.prefix.join("usr/bin/bochs-bin").into(),
        ];
        (PathBuf::from("/usr/bin/env"), arguments)
    }

    /// Program and arguments that boot `iso`, with an 82540EM whose forwards are `network`; the configuration and Bochs' own log
    /// are written to `folder`.
    ///
    /// # Errors
    /// The folder cannot be written to, or its path has a character that Bochs' configuration cannot have.
    pub fn command_line(
        &self,
        machine: &Machine,
        network: Option<Forwards>,
        iso: &Path,
        folder: &Path,
    ) -> Result<(PathBuf, Vec<OsString>)> {
        let file = folder.join("bochsrc");
        let iso = iso.to_str().context("the image's path is not text")?;
        let log = folder.join(LOG);
        let log = log.to_str().context("the log's path is not text")?;
        ensure!(
            !iso.contains(['"', ',', '#']) && !log.contains(['"', ',', '#']),
            "Bochs cannot read files in a folder with one of \",# in its name: {iso}"
        );
        let mut text = configuration(machine, self.cpu, Clients::of(network), iso, log);
        if let Some(forwards) = network {
            let slirp = folder.join("slirp.conf");
            text.push_str(&card(
                slirp.to_str().context("the folder's path is not text")?,
            ));
            write(&slirp, &forwarding(forwards))?;
        }
        write(&file, &text)?;
        let (program, mut arguments) = self.program();
        arguments.extend(["-unlock".into(), "-q".into(), "-f".into(), file.into()]);
        Ok((program, arguments))
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Whether somebody outside talks to the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clients {
    /// Nobody: every boot is the same, and idle time is skipped.
    None,
    /// Clients, who need random numbers for their passwords and a clock that does not run ahead of theirs.
    Network,
}

impl Clients {
    fn of(network: Option<Forwards>) -> Self {
        match network {
            None => Self::None,
            Some(_) => Self::Network,
        }
    }
}

/// Bochs' own log in the folder of a boot.
const LOG: &str = "bochs.log";

/// The lines of Bochs' log that say why the CPU refused an entry, or why Bochs gave up.
pub fn complaints(folder: &Path) -> Vec<String> {
    let log = fs::read(folder.join(LOG)).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let telling = ["VMENTER", "VMFAIL", "PANIC"];
    text.lines()
        .filter(|line| telling.iter().any(|word| line.contains(word)))
        // The hypervisor's own way to switch off.
        .filter(|line| !line.contains("soft power off"))
        .map(|line| format!("Bochs: {line}"))
        .collect()
}

/// Whether a complaint says that Bochs gave up before the machine started, because another one that started in the same instant
/// took the same port for its display: both bind it, and only one can listen.
pub fn found_no_display(complaint: &str) -> bool {
    complaint.starts_with("Bochs: ") && complaint.contains("RFB could not bind any port")
}

/// The configuration of a machine without display, whose time counts instructions.
fn configuration(machine: &Machine, cpu: Cpu, clients: Clients, iso: &str, log: &str) -> String {
    let (cpus, memory) = (machine.cpus, machine.memory_mib);
    let model = machine.bochs_model.unwrap_or(cpu.model());
    let unheard = match machine.clock {
        Clock::Instructions => WHEN_COUNTED,
        Clock::RealTime => INSTRUCTIONS_PER_SECOND,
    };
    let (speed, features, clock, slots, plugin) = match clients {
        Clients::None => (
            unheard,
            ", exclude_features=\"rdrand,rdseed\"",
            "sync=none, time0=946681200",
            "",
            "",
        ),
        Clients::Network => (
            INSTRUCTIONS_FOR_CLIENTS,
            "",
            "sync=slowdown, time0=utc",
            ", slot1=e1000",
            ", e1000=1",
        ),
    };
    // No VBE: GRUB's call of its BIOS jumps to address 0.
    format!(
        "plugin_ctrl: unmapped=1, biosdev=1, speaker=0, parallel=0, gameport=0, iodebug=0{plugin}\n\
         config_interface: textconfig\n\
         display_library: rfb, options=\"timeout=0, hideIPS\"\n\
         cpu: model={model}, count={cpus}, ips={speed}, reset_on_triple_fault=0, \
         ignore_bad_msrs=1{features}\n\
         memory: guest={memory}, host={memory}\n\
         romimage: file=$BXSHARE/BIOS-bochs-latest, options=fastboot\n\
         vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest\n\
         vga: extension=none, update_freq=1, realtime=0\n\
         pci: enabled=1, chipset=i440fx{slots}\n\
         clock: {clock}\n\
         ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n\
         ata0-master: type=cdrom, path=\"{iso}\", status=inserted\n\
         boot: cdrom\n\
         floppy_bootsig_check: disabled=1\n\
         com1: enabled=1, mode=file, dev=/dev/stdout\n\
         log: {log}\n\
         panic: action=fatal\n\
         error: action=report\n\
         info: action=report\n\
         debug: action=ignore\n"
    )
}

/// The configuration of the network card.
fn card(slirp: &str) -> String {
    format!("e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, script=\"{slirp}\"\n")
}

/// The configuration of Bochs' network, whose first line it wants as it is.
fn forwarding(forwards: Forwards) -> String {
    let mut text = "# slirp config\n".to_owned();
    let mut forward = |host, guest| {
        text.push_str(&format!("hostfwd = tcp:127.0.0.1:{host}-{GUEST}:{guest}\n"));
    };
    forward(forwards.cim, CIM_HTTP);
    let first = forwards.consoles.into_iter();
    for port in first.flat_map(|first| (first..).take(CONSOLES.into())) {
        forward(port, port);
    }
    text
}

/// Whether a line of the console is not the machine's but Bochs' own, which begins with a time and a level.
pub fn is_own(line: &str) -> bool {
    line.split_once('[').is_some_and(|(start, _)| {
        start.len() == 12
            && start.ends_with(|level: char| level.is_ascii_lowercase())
            && start.bytes().take(11).all(|byte| byte.is_ascii_digit())
    })
}

/// What QEMU's status would be, where a console line tells that the machine is at its end.
pub fn end_status(line: &str) -> Option<i32> {
    let text = line.strip_prefix("bulkhead: ")?;
    // The end of this line can be lost when the machine goes off, and Bochs' own last words come behind it.
    if text.starts_with("the machine ends") {
        Some(CLEAN_END)
    } else if text.starts_with("cannot run: ") {
        Some(CANNOT_RUN)
    } else if text == "all CPUs are halted" {
        Some(CRASHED)
    } else {
        None
    }
}

/// Why a test cannot run here whatever the backend does, if so.
pub fn cannot_run(test: &MachineTest) -> Option<&'static str> {
    if test.devices == Devices::ManagementByFrames {
        Some("Bochs has no network whose other end is the runner")
    } else if test.devices == Devices::Management && test.card != NetworkCard::E1000 {
        Some("Bochs has no virtio devices for the management partition")
    } else if !test.machine.extra.is_empty() {
        Some("the devices of this test are QEMU's")
    } else if test.boot == BootMethod::IsoUefi {
        Some("Bochs 3.0 has no UEFI firmware")
    } else if test.probe.is_some() && test.devices == Devices::None {
        Some("the look from outside is through QEMU's monitor")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine_test::MachineTest;

    #[test]
    fn two_displays_on_one_port_are_told_from_a_guests_own_words() {
        let panic = "RFB could not bind any port between 5900 and 5949";
        assert!(found_no_display(&format!(
            "Bochs: 00000136580p[RFB   ] >>PANIC<< {panic}"
        )));
        assert!(!found_no_display(&format!("[guest] {panic}")));
    }

    #[test]
    fn the_configuration_has_the_machine() {
        let machine = Machine {
            cpus: 4,
            memory_mib: 512,
            ..Machine::default()
        };
        let text = configuration(
            &machine,
            Cpu::SkylakeX,
            Clients::None,
            "/a b/boot.iso",
            "/a b/bochs.log",
        );
        assert!(text.contains("model=corei7_skylake_x, count=4, ips=50000000, reset"));
        assert!(text.contains("memory: guest=512, host=512\n"));
        assert!(text.contains("path=\"/a b/boot.iso\", status=inserted\n"));
        assert!(text.contains("log: /a b/bochs.log\n"));
        assert!(text.contains("extension=none"));
        assert!(text.contains("ignore_bad_msrs=1, exclude_features=\"rdrand,rdseed\"\n"));
        assert!(text.contains("sync=none") && !text.contains("e1000"));
    }

    #[test]
    fn with_clients_there_are_random_numbers_a_card_and_a_clock_like_theirs() {
        let text = configuration(
            &Machine::default(),
            Cpu::SkylakeX,
            Clients::Network,
            "x.iso",
            "x.log",
        );
        assert!(text.contains("ignore_bad_msrs=1\n"));
        assert!(text.contains("sync=slowdown"));
        assert!(text.contains("iodebug=0, e1000=1\n") && text.contains("slot1=e1000\n"));
        assert!(card("/a b/slirp.conf").contains("ethmod=slirp, script=\"/a b/slirp.conf\""));
    }

    #[test]
    fn as_many_ports_are_forwarded_as_bochs_can() {
        let text = forwarding(Forwards {
            cim: 4321,
            consoles: Some(7000),
        });
        assert!(text.starts_with("# slirp config\nhostfwd = tcp:127.0.0.1:4321-10.0.2.15:5988\n"));
        assert!(text.ends_with("hostfwd = tcp:127.0.0.1:7003-10.0.2.15:7003\n"));
        assert_eq!(text.lines().count(), 6);
    }

    #[test]
    fn bochs_own_lines_are_told_from_the_machines() {
        assert!(is_own("00000000000i[PLUGIN] loaded plugin libbx_e1000.so"));
        assert!(!is_own("[management] CIM user: admin"));
        assert!(!is_own("0000000000xi[x] y") && !is_own("[    0.000000] Linux"));
    }

    #[test]
    fn ends_are_read_from_the_console() {
        assert_eq!(end_status("bulkhead: the machine ends"), Some(CLEAN_END));
        assert_eq!(end_status("bulkhead: cannot run: x"), Some(CANNOT_RUN));
        assert_eq!(end_status("bulkhead: all CPUs are halted"), Some(CRASHED));
        assert_eq!(
            end_status("bulkhead: the machine ends00125p[ACPI  ] >>PANIC<<"),
            Some(CLEAN_END)
        );
        assert_eq!(end_status("[a] the machine ends"), None);
    }

    #[test]
    fn what_the_bed_lacks_is_a_reason() {
        assert_eq!(cannot_run(&MachineTest::new("x")), None);
        let managed = MachineTest::new("x").managed();
        assert!(cannot_run(&managed).is_some());
        assert_eq!(cannot_run(&managed.card(NetworkCard::E1000)), None);
        let uefi = MachineTest::new("x").boot(BootMethod::IsoUefi);
        assert!(cannot_run(&uefi).is_some_and(|why| why.contains("UEFI")));
    }

    #[test]
    fn a_refused_entry_is_shown() {
        let folder = std::env::temp_dir().join(format!("bochs-log-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join(LOG),
            "i[CPU0] x\ne[CPU0] VMENTER FAIL: y\np[ACPI] >>PANIC<< ACPI control: soft power off\n",
        )
        .unwrap();
        assert_eq!(complaints(&folder), ["Bochs: e[CPU0] VMENTER FAIL: y"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
