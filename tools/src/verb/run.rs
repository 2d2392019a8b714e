//! `cargo xtask run`: the product in an emulated machine, until Ctrl-C.

mod bed;
mod images;
mod readiness;
mod store;
mod watch;

use self::bed::{Bed, Kvm};
use self::store::Store;
use self::watch::{Dialect, Outcome, Watch};
use crate::setup::guest_linux::GuestLinux;
use crate::setup::{self, Purpose, guest_linux};
use crate::verb::image::BootFiles;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use qemu_tests::emulator::{Emulator, find_program};
use qemu_tests::machine::{
    Accelerator, CONSOLES, Clock, Firmware, Forwards, Iommu, Machine, ManagementDevices, Media,
    Network, NetworkCard, SVM_CPU, Threads,
};
use qemu_tests::socket_folder::SocketFolder;
use qemu_tests::view::{free_port, free_ports};
use qemu_tests::{bochs, firmware};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Builds Bulkhead and runs it in an emulated machine until Ctrl-C; prints where its CIM server answers.
///
/// With --backend svm the machine is QEMU's. With --backend vmx it is QEMU's on a host whose KVM has nested VMX, else that of
/// Bochs, which has no disk (nothing is kept; --add makes boot modules), at most 2048 MiB of memory, ports for the consoles
/// of four systems, and shows its screen to VNC viewers on the first free port from 5900 on.
#[derive(Args)]
pub struct Run {
    /// Hardware virtualization of the machine
    #[arg(long, value_enum, default_value_t = BackendChoice::Svm)]
    backend: BackendChoice,
    /// Physical CPUs [default: 2; in Bochs 1, since with more it loses the start of an exception's handler now and then]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255))]
    cpus: Option<u32>,
    /// Memory in MiB
    #[arg(long, value_name = "MiB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(64..))]
    memory: u32,
    /// NUMA nodes that CPUs and memory are divided among
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    nodes: u32,
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
    /// Have QEMU's monitor listen at this unix socket
    #[arg(long, value_name = "PATH")]
    monitor: Option<PathBuf>,
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
    /// Network card of the management partition
    #[arg(long, value_enum, default_value_t = NicChoice::Virtio)]
    nic: NicChoice,
    /// Who executes the instructions [default: tcg; with --backend vmx kvm, where it has nested VMX]
    #[arg(long, value_enum)]
    accel: Option<AcceleratorChoice>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BackendChoice {
    /// AMD SVM
    Svm,
    /// Intel VMX
    Vmx,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NicChoice {
    /// virtio; in Bochs, e1000
    Virtio,
    /// Intel 82540EM
    E1000,
    /// Intel 82574L
    E1000e,
}

impl NicChoice {
    fn card(self) -> NetworkCard {
        match self {
            Self::Virtio => NetworkCard::Virtio,
            Self::E1000 => NetworkCard::E1000,
            Self::E1000e => NetworkCard::E1000e,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AcceleratorChoice {
    /// Emulation: QEMU's, or Bochs
    Tcg,
    /// The host's CPU, with nested virtualization
    Kvm,
}

impl Run {
    /// Runs the verb.
    pub fn run(self, workspace: &Workspace) -> Result<ExitCode> {
        let bed = bed::choose(self.backend, self.accel, Kvm::of_host())?;
        if bed == Bed::Bochs {
            self.check_for_bochs()?;
        }
        // Before ports are chosen: until the emulator takes them, somebody else could.
        let built = BootFiles::build(workspace)?;
        // A unix socket's path is limited to 107 bytes, so it is not made in the checkout.
        let private = SocketFolder::new("run")?;
        let port = self.port()?;
        let consoles = match bed {
            Bed::Qemu(_) => CONSOLES,
            Bed::Bochs => bochs::CONSOLES,
        };
        let forwards = Forwards {
            cim: port,
            consoles: Some(free_ports(consoles, port)?),
        };
        match bed {
            Bed::Qemu(accelerator) => {
                self.in_qemu(workspace, &built, &private, forwards, accelerator)
            }
            Bed::Bochs => self.in_bochs(workspace, &built, &private, forwards),
        }
    }

    fn in_qemu(
        &self,
        workspace: &Workspace,
        built: &Path,
        private: &SocketFolder,
        forwards: Forwards,
        accelerator: Accelerator,
    ) -> Result<ExitCode> {
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
        // Not where `image` puts its files: they are this run's own.
        let arguments = self.management_arguments(forwards);
        let boot = BootFiles::make(built, private.path(), &[], &arguments)?;
        let store = Store::open(self.store.as_deref(), private.path())?;
        images::add(store.path(), &self.add)?;
        if let Some(guest) = self.demo(workspace)
            && let Err(error) = images::add_missing(store.path(), &[guest.kernel, guest.initramfs])
        {
            // The product runs without it.
            eprintln!("there is no demonstration guest: {error:#}");
        }
        let devices = ManagementDevices {
            card: self.nic.card(),
            network: Network::Forwarded(forwards),
            serial_socket: self
                .serial_socket
                .clone()
                .unwrap_or_else(|| private.path().join("cim.sock")),
            store: store.path().to_owned(),
        };
        let media = self.media(&boot, private.path())?;
        let machine = self.machine(2, accelerator);
        let arguments = machine.arguments(&media, Some(&devices), self.monitor.as_deref());
        println!("CIM serial: {}", devices.serial_socket.display());
        let started = Instant::now();
        let end = loop {
            let emulator = Emulator::start(&qemu, &arguments, self.log.as_deref())?;
            let mut watch = self.watch(emulator, Dialect::Qemu, forwards.cim);
            watch.patience = watch
                .patience
                .map(|patience| patience.saturating_sub(started.elapsed()));
            match watch.run() {
                // The emulator ends at a reset, so that a triple fault cannot go unnoticed.
                Ok(Outcome::Restarts) => println!("The machine starts again."),
                end => break end.map(|_| ExitCode::SUCCESS),
            }
        };
        // Our own folder goes by itself; a socket that the operator has named is left by a machine that was ended.
        if self.serial_socket.is_some() {
            let _ = std::fs::remove_file(&devices.serial_socket);
        }
        end
    }

    fn in_bochs(
        &self,
        workspace: &Workspace,
        built: &Path,
        private: &SocketFolder,
        forwards: Forwards,
    ) -> Result<ExitCode> {
        setup::ensure(workspace, Purpose::Image)?;
        let bochs = setup::bochs::ensure(workspace)?;
        // There is no disk for them: the images are boot modules.
        let mut modules = self.add.clone();
        if let Some(guest) = self.demo(workspace) {
            let files = [guest.kernel, guest.initramfs].into_iter();
            let is_new = |file: &PathBuf| {
                !self
                    .add
                    .iter()
                    .any(|own| own.file_name() == file.file_name())
            };
            modules.extend(files.filter(is_new));
        }
        let arguments = self.management_arguments(forwards);
        let boot = BootFiles::make(built, private.path(), &modules, &arguments)?;
        let iso = boot.iso(&self.command_line)?;
        let machine = self.machine(1, Accelerator::Tcg(Threads::One));
        let (program, arguments) =
            bochs.command_line(&machine, Some(forwards), &iso, private.path())?;
        println!("in Bochs: there is no disk, and nothing is kept when it ends");
        let emulator = Emulator::start(&program, &arguments, self.log.as_deref())?;
        let dialect = Dialect::Bochs(private.path().to_owned());
        let end = self.watch(emulator, dialect, forwards.cim).run();
        end.map(|_| ExitCode::SUCCESS)
    }

    /// Refuses what Bochs does not have.
    fn check_for_bochs(&self) -> Result<()> {
        let asked = [
            (self.store.is_some(), "--store: no disk for the store"),
            (
                self.serial_socket.is_some(),
                "--serial-socket: no virtio-serial port",
            ),
            (self.iommu, "--iommu: no IOMMU"),
            (self.nodes != 1, "--nodes: it has one"),
            (self.nodes > 1, "--nodes: no NUMA nodes"),
            (self.icount, "--icount: no such clock"),
            (self.uefi, "--uefi: no UEFI firmware"),
            (self.qemu.is_some(), "--qemu: it is not QEMU"),
            (self.monitor.is_some(), "--monitor: it is not QEMU"),
            (
                self.nic != NicChoice::Virtio && self.nic != NicChoice::E1000,
                "--nic: no other network card than e1000",
            ),
        ];
        if let Some((_, missing)) = asked.into_iter().find(|(asked, _)| *asked) {
            bail!("--backend vmx runs in Bochs here, which cannot do {missing}");
        }
        ensure!(
            self.memory <= bochs::MOST_MEMORY_MIB,
            "--backend vmx runs in Bochs here, which has at most {} MiB of --memory",
            bochs::MOST_MEMORY_MIB
        );
        Ok(())
    }

    fn management_arguments(&self, forwards: Forwards) -> String {
        let mut arguments = String::new();
        if let Some(first) = forwards.consoles {
            arguments += &format!("consoles={first}");
        }
        if let Some(password) = &self.cim_password {
            arguments += &format!(" password={password}");
        }
        if !self.management_line.is_empty() {
            arguments += &format!(" {}", self.management_line);
        }
        arguments
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

    fn machine(&self, cpus: u32, accelerator: Accelerator) -> Machine {
        let cpus = self.cpus.unwrap_or(cpus);
        Machine {
            cpus,
            memory_mib: self.memory,
            cpu_model: self.cpu.clone(),
            accelerator,
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
            extra: self.numa(cpus),
            bochs_model: None,
        }
    }

    /// What divides the machine into NUMA nodes, for QEMU.
    fn numa(&self, cpus: u32) -> Vec<String> {
        if self.nodes == 1 {
            return Vec::new();
        }
        let mut arguments = Vec::new();
        for node in 0..self.nodes {
            // The first ones get what does not divide evenly.
            let part = |all: u32| all / self.nodes + u32::from(node < all % self.nodes);
            let memory = part(self.memory);
            let object = format!("memory-backend-ram,id=node{node},size={memory}M");
            arguments.extend(["-object".into(), object]);
            let mut place = format!("node,nodeid={node},memdev=node{node}");
            let first: u32 = (0..node)
                .map(|before| cpus / self.nodes + u32::from(before < cpus % self.nodes))
                .sum();
            if let Some(last) = (first + part(cpus))
                .checked_sub(1)
                .filter(|last| *last >= first)
            {
                place += &format!(",cpus={first}-{last}");
            }
            arguments.extend(["-numa".into(), place]);
        }
        arguments
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

    /// Debian's kernel and an initramfs, unless they are not wanted or cannot be had: the product runs without them.
    fn demo(&self, workspace: &Workspace) -> Option<GuestLinux> {
        if self.no_demo {
            return None;
        }
        guest_linux::ensure(workspace)
            .inspect_err(|error| eprintln!("there is no demonstration guest: {error:#}"))
            .ok()
    }

    fn watch(&self, emulator: Emulator, dialect: Dialect, port: u16) -> Watch {
        Watch {
            emulator,
            dialect,
            port,
            password: self.cim_password.clone(),
            patience: self.seconds.map(Duration::from_secs),
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
}
