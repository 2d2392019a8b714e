//! The Bochs emulator, whose Intel CPUs have VMX: its configuration, its command line, and what its end means.
//!
//! Called by the runner for the backend `vmx`. Bochs has neither virtio nor a PVH loader and always ends with status 1, so every
//! boot is by BIOS, GRUB and an ISO image, and the end is known from the console. Two boots of the same image take the same
//! instructions.

use crate::machine::{CANNOT_RUN, CLEAN_END, CRASHED, Clock, Machine};
use crate::machine_test::{BootMethod, Devices, MachineTest};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The model whose VMX has all that the backend knows to use.
const MODEL: &str = "corei7_skylake_x";
/// Where Debian puts libraries.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
/// Instructions that make a second of the machine's time, few so that waits for time to pass are short.
const INSTRUCTIONS_PER_SECOND: u32 = 50_000_000;
/// The same where instructions are counted: so many that a partition's shortest run, 20 us, has room for what is measured, and
/// no turn of another partition is counted with it.
const WHEN_COUNTED: u32 = 250_000_000;

/// An emulator that was unpacked into a folder of its own, with the libc that it needs.
#[derive(Debug, Clone)]
pub struct Bochs {
    prefix: PathBuf,
}

impl Bochs {
    /// The one below `prefix`.
    pub fn new(prefix: PathBuf) -> Self {
        Self { prefix }
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

    /// Program and arguments that boot `iso`; the configuration and Bochs' own log are written to `folder`.
    ///
    /// # Errors
    /// The folder cannot be written to, or its path has a character that Bochs' configuration cannot have.
    pub fn command_line(
        &self,
        machine: &Machine,
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
        fs::write(&file, configuration(machine, iso, log))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let (program, mut arguments) = self.program();
        arguments.extend(["-unlock".into(), "-q".into(), "-f".into(), file.into()]);
        Ok((program, arguments))
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

/// The configuration of a machine without display, whose time counts instructions.
fn configuration(machine: &Machine, iso: &str, log: &str) -> String {
    let (cpus, memory) = (machine.cpus, machine.memory_mib);
    let speed = match machine.clock {
        Clock::Instructions => WHEN_COUNTED,
        Clock::RealTime => INSTRUCTIONS_PER_SECOND,
    };
    // No VBE: GRUB's call of its BIOS jumps to address 0.
    format!(
        "plugin_ctrl: unmapped=1, biosdev=1, speaker=0, parallel=0, gameport=0, iodebug=0\n\
         config_interface: textconfig\n\
         display_library: rfb, options=\"timeout=0, hideIPS\"\n\
         cpu: model={MODEL}, count={cpus}, ips={speed}, reset_on_triple_fault=0, \
         ignore_bad_msrs=1, exclude_features=\"rdrand,rdseed\"\n\
         memory: guest={memory}, host={memory}\n\
         romimage: file=$BXSHARE/BIOS-bochs-latest, options=fastboot\n\
         vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest\n\
         vga: extension=none, update_freq=1, realtime=0\n\
         pci: enabled=1, chipset=i440fx\n\
         clock: sync=none, time0=946681200\n\
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
    if test.devices != Devices::None {
        Some("Bochs has no virtio devices for the management partition")
    } else if !test.machine.extra.is_empty() {
        Some("the devices of this test are QEMU's")
    } else if test.boot == BootMethod::IsoUefi {
        Some("Bochs 3.0 has no UEFI firmware")
    } else if test.probe.is_some() {
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
    fn the_configuration_has_the_machine() {
        let machine = Machine {
            cpus: 4,
            memory_mib: 512,
            ..Machine::default()
        };
        let text = configuration(&machine, "/a b/boot.iso", "/a b/bochs.log");
        assert!(text.contains("model=corei7_skylake_x, count=4, ips=50000000, reset"));
        assert!(text.contains("memory: guest=512, host=512\n"));
        assert!(text.contains("path=\"/a b/boot.iso\", status=inserted\n"));
        assert!(text.contains("log: /a b/bochs.log\n"));
        assert!(text.contains("extension=none"));
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
        assert!(cannot_run(&MachineTest::new("x").managed()).is_some());
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
