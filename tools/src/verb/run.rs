//! `cargo xtask run`: the product in an emulated machine, until Ctrl-C.

mod images;
mod readiness;
mod store;

use self::store::Store;
use crate::setup::{self, Purpose, guest_linux};
use crate::verb::image::BootFiles;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use qemu_tests::emulator::{Console, Emulator, find_program};
use qemu_tests::machine::{
    Accelerator, CLEAN_END, CONSOLES, Clock, Firmware, Forwards, Iommu, Machine, ManagementDevices,
    Media, Network, SVM_CPU,
};
use qemu_tests::socket_folder::SocketFolder;
use qemu_tests::view::{free_port, free_ports};
use qemu_tests::{firmware, verdict};
use readiness::{Greeting, Readiness};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the console is left to look at the server and the clock.
const TICK: Duration = Duration::from_millis(100);
/// When to say that the server is late.
const LATE: Duration = Duration::from_secs(120);

/// Builds Bulkhead and runs it in QEMU until Ctrl-C; prints where its CIM server answers.
#[derive(Args)]
pub struct Run {
    /// Hardware virtualization of the machine
    #[arg(long, value_enum, default_value_t = BackendChoice::Svm)]
    backend: BackendChoice,
    /// Physical CPUs
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=255))]
    cpus: u32,
    /// Memory in MiB
    #[arg(long, value_name = "MiB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(64..))]
    memory: u32,
    /// Port of 127.0.0.1 that leads to the CIM server [default: a free one]
    #[arg(long, value_name = "P")]
    cim_port: Option<u16>,
    /// Password of the first administrator [default: a random one, printed]; a store that has accounts keeps them
    #[arg(long, value_name = "WORD", value_parser = password)]
    cim_password: Option<String>,
    /// Unix socket of the virtio-serial port, for `cargo xtask bridge` [default: in the folder for temporary files]
    #[arg(long, value_name = "PATH")]
    serial_socket: Option<PathBuf>,
    /// Disk of the configuration store and the image library, made if missing; without it, nothing is kept
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// A file for the image library on the disk, in place of one with the same name
    #[arg(long = "add", value_name = "FILE", num_args = 1..)]
    add: Vec<PathBuf>,
    /// Leave out the demonstration guest, which otherwise is in the image library as vmlinuz and initramfs
    #[arg(long)]
    no_demo: bool,
    /// Keep the console in this file too
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Stop after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Let time follow the executed instructions, 1 ns each (one CPU only)
    #[arg(long)]
    icount: bool,
    /// Give the machine an IOMMU and put all devices behind it
    #[arg(long)]
    iommu: bool,
    /// Boot the ISO image with SeaBIOS instead of the kernel directly
    #[arg(long, conflicts_with = "uefi")]
    iso: bool,
    /// Boot the ISO image with UEFI firmware
    #[arg(long)]
    uefi: bool,
    /// More words for the management partition's command line, such as crash=after:SECONDS, which tests a restart
    #[arg(long, value_name = "TEXT", default_value = "")]
    management_line: String,
    /// Who executes the instructions
    #[arg(long, value_enum, default_value_t = AcceleratorChoice::Tcg)]
    accel: AcceleratorChoice,
    /// CPU model, as QEMU's -cpu takes it
    #[arg(long, value_name = "MODEL", alias = "qemu-cpu", default_value = SVM_CPU)]
    cpu: String,
    /// The hypervisor's command line
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        allow_hyphen_values = true
    )]
    command_line: String,
    /// The QEMU program [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BackendChoice {
    /// AMD SVM, emulated by QEMU
    Svm,
    /// Intel VMX
    Vmx,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AcceleratorChoice {
    /// QEMU's emulation
    Tcg,
    /// The host's CPU, with nested virtualization
    Kvm,
}

impl Run {
    /// Runs the verb.
    pub fn run(self, workspace: &Workspace) -> Result<ExitCode> {
        ensure!(
            self.backend == BackendChoice::Svm,
            "the VMX backend is not there yet: it comes with the Bochs test bed; use --backend svm"
        );
        if self.accel == AcceleratorChoice::Kvm {
            nested_svm()?;
        }
        let qemu = match &self.qemu {
            Some(path) => path.clone(),
            None => {
                setup::ensure(workspace, Purpose::Run)?;
                find_program(setup::QEMU).context("QEMU is missing: run `cargo xtask setup`")?
            }
        };
        if self.iso || self.uefi {
            setup::ensure(workspace, Purpose::Image)?;
        }
        // A unix socket's path is limited to 107 bytes, so it is not made in the checkout.
        let private = SocketFolder::new("run")?;
        let port = self.port()?;
        let consoles = free_ports(CONSOLES, port)?;
        let mut arguments = format!("consoles={consoles}");
        if let Some(password) = &self.cim_password {
            arguments += &format!(" password={password}");
        }
        if !self.management_line.is_empty() {
            arguments += &format!(" {}", self.management_line);
        }
        // Not where `image` puts its files: they are this run's own.
        let boot = BootFiles::make(workspace, private.path(), &[], &arguments)?;
        let store = Store::open(self.store.as_deref(), private.path())?;
        images::add(store.path(), &self.add)?;
        if !self.no_demo
            && let Err(error) = demo(workspace, store.path())
        {
            // The product runs without it.
            eprintln!("there is no demonstration guest: {error:#}");
        }
        let devices = ManagementDevices {
            network: Network::Forwarded(Forwards {
                cim: port,
                consoles: Some(consoles),
            }),
            serial_socket: self
                .serial_socket
                .clone()
                .unwrap_or_else(|| private.path().join("cim.sock")),
            store: store.path().to_owned(),
        };
        let media = self.media(&boot, private.path())?;
        let arguments = self.machine().arguments(&media, Some(&devices), None);
        println!("CIM serial: {}", devices.serial_socket.display());
        let emulator = Emulator::start(&qemu, &arguments, self.log.as_deref())?;
        let end = self.watch(emulator, port);
        // Our own folder goes by itself; a socket that the operator has named is left by a machine that was ended.
        if self.serial_socket.is_some() {
            let _ = std::fs::remove_file(&devices.serial_socket);
        }
        end
    }

    fn port(&self) -> Result<u16> {
        match self.cim_port {
            None => free_port(),
            Some(port) => {
                TcpListener::bind(("127.0.0.1", port)).with_context(|| {
                    format!("port {port} of 127.0.0.1 is not free: choose another --cim-port")
                })?;
                Ok(port)
            }
        }
    }

    fn machine(&self) -> Machine {
        Machine {
            cpus: self.cpus,
            memory_mib: self.memory,
            cpu_model: self.cpu.clone(),
            accelerator: match self.accel {
                AcceleratorChoice::Tcg => Accelerator::Tcg,
                AcceleratorChoice::Kvm => Accelerator::Kvm,
            },
            clock: if self.icount {
                Clock::Instructions
            } else {
                Clock::RealTime
            },
            iommu: if self.iommu {
                Iommu::Amd
            } else {
                Iommu::Absent
            },
            extra: Vec::new(),
        }
    }

    fn media(&self, boot: &BootFiles, private: &Path) -> Result<Media> {
        if !self.iso && !self.uefi {
            return Ok(Media::Direct {
                hypervisor: boot.hypervisor.clone(),
                modules: boot.modules.clone(),
                command_line: self.command_line.clone(),
            });
        }
        let iso = boot.iso(&self.command_line)?;
        let firmware = if self.uefi {
            firmware::uefi(private)?
        } else {
            Firmware::Bios
        };
        Ok(Media::Iso { iso, firmware })
    }

    /// A greeting with the password that the console does not repeat.
    fn completed(&self, greeting: Greeting) -> Greeting {
        match (greeting, &self.cim_password) {
            (Greeting::Password(_), Some(password)) => Greeting::Password(password.clone()),
            (greeting, _) => greeting,
        }
    }

    fn watch(&self, mut emulator: Emulator, port: u16) -> Result<ExitCode> {
        // An orderly end leaves no socket and no scratch disk behind.
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        let started = Instant::now();
        let end = self.seconds.map(Duration::from_secs);
        let mut readiness = Readiness::new(port);
        let mut late = Some(LATE);
        loop {
            let over = end.is_some_and(|end| started.elapsed() >= end);
            if over || interrupted.load(Ordering::Relaxed) {
                return Ok(ExitCode::SUCCESS);
            }
            match emulator.next(TICK) {
                Console::Line(line) => {
                    println!("  | {line}");
                    readiness.line(&line);
                }
                Console::Quiet => {}
                Console::Closed => return ended(&mut emulator, &readiness),
            }
            for greeting in readiness.greetings() {
                println!("{}", announcement(&self.completed(greeting)));
            }
            if late.is_some_and(|late| started.elapsed() >= late) && !readiness.is_ready() {
                eprintln!("the CIM server has not answered for {} s", LATE.as_secs());
                late = None;
            }
        }
    }
}

/// A password that can be a word of the partition's command line, which knows no escapes.
fn password(text: &str) -> Result<String, String> {
    let is_usable = |c: char| !c.is_whitespace() && !c.is_control() && c != '"';
    if text.is_empty() || text.len() > 64 || !text.chars().all(is_usable) {
        return Err("1 to 64 bytes without blanks and quotation marks are needed".into());
    }
    Ok(text.to_owned())
}

/// Puts Debian's kernel and an initramfs into the image library.
fn demo(workspace: &Workspace, disk: &Path) -> Result<()> {
    let guest = guest_linux::ensure(workspace)?;
    images::add_missing(disk, &[guest.kernel, guest.initramfs])
}

fn announcement(greeting: &Greeting) -> String {
    match greeting {
        Greeting::Ready(port) => format!("CIM ready: http://127.0.0.1:{port}"),
        Greeting::User(name) => format!("CIM user: {name}"),
        Greeting::Password(word) => format!("CIM password: {word}"),
    }
}

/// The machine has ended by itself: well only if the hypervisor says so.
fn ended(emulator: &mut Emulator, readiness: &Readiness) -> Result<ExitCode> {
    let status = emulator
        .ended(Duration::from_secs(10))?
        .and_then(|status| status.code());
    let messages = emulator.stop();
    if status == Some(CLEAN_END) {
        return Ok(ExitCode::SUCCESS);
    }
    for line in messages.lines() {
        eprintln!("QEMU: {line}");
    }
    let reason = verdict::explain_end(status);
    match readiness.last_words() {
        Some(line) => bail!("{reason}: {line}"),
        None => bail!("{reason}; the console showed nothing"),
    }
}

/// Refuses KVM where a guest would not find SVM.
fn nested_svm() -> Result<()> {
    let nested = std::fs::read_to_string("/sys/module/kvm_amd/parameters/nested");
    ensure!(
        nested.is_ok_and(|value| ["1", "Y"].contains(&value.trim())),
        "this host's KVM does not offer nested SVM (/sys/module/kvm_amd/parameters/nested): use --accel tcg"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_words() {
        assert_eq!(password("\u{e4}=b,c'd").as_deref(), Ok("\u{e4}=b,c'd"));
        for text in ["", "two words", "quo\"ted", "new\nline", &"x".repeat(65)] {
            assert!(password(text).is_err(), "{text}");
        }
    }

    #[test]
    fn announcements_are_what_scripts_look_for() {
        assert_eq!(
            announcement(&Greeting::Ready(4242)),
            "CIM ready: http://127.0.0.1:4242"
        );
        assert_eq!(announcement(&Greeting::User("a".into())), "CIM user: a");
        assert_eq!(
            announcement(&Greeting::Password("b c".into())),
            "CIM password: b c"
        );
    }
}
