//! The machine a boot runs on, and the QEMU command line that makes it.
//!
//! Called by `cargo xtask run`, the machine tests and the benches, so that all three boot alike. Pure: nothing
//! here touches the host.

use anyhow::{Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The CPU model the SVM backend is tested on: QEMU's EPYC with what TCG can emulate.
pub const SVM_CPU: &str = "EPYC,+svm,+npt";

/// QEMU's status after the hypervisor asked for a clean end. The debug exit makes status `2 * code + 1` of the
/// hypervisor's codes from 0x10 on.
pub const CLEAN_END: i32 = 33;
/// The hypervisor refused the machine: it lacks something.
pub const CANNOT_RUN: i32 = 35;
/// The hypervisor crashed.
pub const CRASHED: i32 = 37;
/// A partition failed.
pub const PARTITION_FAILED: i32 = 39;

/// Hardware of the emulated machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Physical CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// QEMU's `-cpu` value; not used with KVM, which passes the host's CPU.
    pub cpu_model: String,
    /// In Bochs, this CPU model instead of the bed's own.
    pub bochs_model: Option<&'static str>,
    /// Who executes the instructions.
    pub accelerator: Accelerator,
    /// What time follows.
    pub clock: Clock,
    /// Whether DMA is translated.
    pub iommu: Iommu,
    /// Further arguments, as QEMU takes them.
    pub extra: Vec<String>,
}

/// Who executes the instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// QEMU's emulation: everywhere.
    Tcg(Threads),
    /// The host's own virtualization, nested.
    Kvm,
}

/// How QEMU's emulation spreads the machine's CPUs over the host's.
///
/// QEMU (seen in 7.2.22, and unchanged in its main line of 2026) loses state of CPU 0 when CPUs have threads of their own: FXRSTOR
/// and XRSTOR on any CPU clear a flag (`HF2_IGNNE`) in CPU 0's `hflags2` by a plain read and write, which can bring back
/// the flag for nested paging that CPU 0 drops at #VMEXIT in the same moment. Then CPU 0 reads the hypervisor's page tables through
/// the guest's and ends in a triple fault, about once in twenty boots of a Linux guest with four vCPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// One for all: the product, whose guests switch their floating-point state all the time.
    One,
    /// One for each CPU: short machine tests, so that CPUs really meet.
    PerCpu,
}

/// What the machine's time follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The host's clock.
    RealTime,
    /// Executed instructions, 1 ns each: identical from run to run. One CPU only.
    Instructions,
}

/// Whether the machine has an IOMMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iommu {
    /// None: devices reach all memory.
    Absent,
    /// AMD-Vi, with interrupt remapping, and all virtio devices behind it.
    Amd,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            cpus: 1,
            memory_mib: 256,
            cpu_model: SVM_CPU.to_owned(),
            bochs_model: None,
            accelerator: Accelerator::Tcg(Threads::PerCpu),
            clock: Clock::RealTime,
            iommu: Iommu::Absent,
            extra: Vec::new(),
        }
    }
}

/// What the machine starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    /// QEMU's PVH loader.
    Direct {
        /// The hypervisor's ELF file.
        hypervisor: PathBuf,
        /// The boot-module archive.
        modules: PathBuf,
        /// The hypervisor's command line.
        command_line: String,
    },
    /// A CD image; the command line is in its GRUB menu.
    Iso {
        /// The image.
        iso: PathBuf,
        /// What reads it.
        firmware: Firmware,
    },
}

impl Media {
    /// The CD image.
    ///
    /// # Errors
    /// The machine starts from something else.
    pub fn iso(&self) -> Result<&Path> {
        match self {
            Media::Iso { iso, .. } => Ok(iso),
            Media::Direct { .. } => bail!("this emulator boots from an ISO image only"),
        }
    }
}

/// The machine's firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi {
        /// The firmware's code, read only.
        code: PathBuf,
        /// This boot's own copy of its variables.
        variables: PathBuf,
    },
}

/// The devices the management partition drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementDevices {
    /// Its network card.
    pub card: NetworkCard,
    /// What its network card is connected to.
    pub network: Network,
    /// Unix socket of the virtio-serial port [`SERIAL_PORT`].
    pub serial_socket: PathBuf,
    /// Raw disk image of the configuration store.
    pub store: PathBuf,
}

/// The network card of the management partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkCard {
    /// virtio.
    Virtio,
    /// Intel's 82540EM, which raises no interrupts by message.
    E1000,
    /// Intel's 82574L, which does.
    E1000e,
}

/// What the network card of the management partition is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// QEMU's own network with its DHCP server; some ports of 127.0.0.1 lead to the partition.
    Forwarded(Forwards),
    /// The runner, which speaks Ethernet itself.
    Frames(FramePorts),
}

/// Ports of 127.0.0.1 that lead to the management partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forwards {
    /// Leads to port 5988.
    pub cim: u16,
    /// First of [`CONSOLES`] that lead to the ports of the same numbers, so that the numbers which the partition tells of its
    /// consoles hold for clients as well.
    pub consoles: Option<u16>,
}

/// How many ports there are for consoles of virtual systems.
pub const CONSOLES: u16 = 32;

/// UDP ports of 127.0.0.1 for Ethernet frames, one in each datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramePorts {
    /// The machine's.
    pub machine: u16,
    /// The runner's.
    pub runner: u16,
}

/// Name of the virtio-serial port that carries the CIM byte stream.
pub const SERIAL_PORT: &str = "org.bulkhead.cim";
/// TCP port of CIM-XML over HTTP (DSP0200).
pub(crate) const CIM_HTTP: u16 = 5988;

impl Machine {
    /// QEMU's arguments. The console (COM1) is QEMU's standard output; `monitor` is where HMP listens.
    pub fn arguments(
        &self,
        media: &Media,
        management: Option<&ManagementDevices>,
        monitor: Option<&Path>,
    ) -> Vec<OsString> {
        let mut line = Line::default();
        self.hardware(&mut line);
        line.pair("-chardev", "stdio,id=console,signal=off");
        line.pair("-serial", "chardev:console");
        if let Some(path) = monitor {
            line.path(
                "-chardev",
                "socket,id=monitor,server=on,wait=off,path=",
                path,
            );
            line.pair("-mon", "chardev=monitor,mode=readline");
        }
        line.pair("-device", "isa-debug-exit,iobase=0xf4,iosize=4");
        if let Some(devices) = management {
            self.management(&mut line, devices);
        }
        boot(&mut line, media);
        for argument in &self.extra {
            line.word(argument);
        }
        line.0
    }

    fn hardware(&self, line: &mut Line) {
        match self.accelerator {
            Accelerator::Tcg(threads) => {
                let accelerator = match threads {
                    Threads::One => "tcg,thread=single",
                    Threads::PerCpu => "tcg",
                };
                line.pair("-accel", accelerator);
                line.pair("-cpu", &self.cpu_model);
            }
            Accelerator::Kvm => {
                line.pair("-accel", "kvm");
                line.pair("-cpu", "host");
            }
        }
        match self.iommu {
            Iommu::Absent => line.pair("-M", "q35"),
            Iommu::Amd => {
                line.pair("-M", "q35,kernel-irqchip=split");
                line.pair("-device", "amd-iommu,intremap=on");
            }
        }
        line.pair("-m", &self.memory_mib.to_string());
        match self.clock {
            Clock::RealTime => line.pair("-smp", &self.cpus.to_string()),
            Clock::Instructions => {
                line.pair("-smp", "1");
                line.pair("-icount", "shift=0,sleep=off");
                line.pair("-rtc", "base=2024-01-01,clock=vm");
            }
        }
        for word in ["-nodefaults", "-no-user-config", "-no-reboot"] {
            line.word(word);
        }
        line.pair("-display", "none");
    }

    fn management(&self, line: &mut Line, devices: &ManagementDevices) {
        let behind = match self.iommu {
            Iommu::Absent => "disable-legacy=on",
            Iommu::Amd => "disable-legacy=on,iommu_platform=on",
        };
        let network = match devices.network {
            Network::Forwarded(forwards) => {
                let Forwards { cim, consoles } = forwards;
                let mut network = format!("user,id=net,hostfwd=tcp:127.0.0.1:{cim}-:{CIM_HTTP}");
                for port in consoles
                    .into_iter()
                    .flat_map(|first| (first..).take(CONSOLES.into()))
                {
                    network.push_str(&format!(",hostfwd=tcp:127.0.0.1:{port}-:{port}"));
                }
                network
            }
            Network::Frames(FramePorts { machine, runner }) => {
                format!("socket,id=net,udp=127.0.0.1:{runner},localaddr=127.0.0.1:{machine}")
            }
        };
        line.pair("-netdev", &network);
        // No boot ROM: nothing boots from the network, and the ROM would be one more package.
        let card = match devices.card {
            NetworkCard::Virtio => format!("virtio-net-pci,netdev=net,romfile=,{behind}"),
            NetworkCard::E1000 => "e1000,netdev=net,romfile=".to_owned(),
            NetworkCard::E1000e => "e1000e,netdev=net,romfile=".to_owned(),
        };
        line.pair("-device", &card);
        line.path(
            "-chardev",
            "socket,id=cim,server=on,wait=off,path=",
            &devices.serial_socket,
        );
        line.pair("-device", &format!("virtio-serial-pci,{behind}"));
        line.pair(
            "-device",
            &format!("virtserialport,chardev=cim,name={SERIAL_PORT}"),
        );
        line.path(
            "-drive",
            "if=none,id=store,format=raw,file=",
            &devices.store,
        );
        line.pair("-device", &format!("virtio-blk-pci,drive=store,{behind}"));
    }
}

fn boot(line: &mut Line, media: &Media) {
    match media {
        Media::Direct {
            hypervisor,
            modules,
            command_line,
        } => {
            line.word("-kernel");
            line.0.push(hypervisor.into());
            line.word("-initrd");
            // A comma would separate two modules; QEMU takes a doubled one as a character.
            line.0.push(doubled_commas(modules));
            line.pair("-append", command_line);
        }
        Media::Iso { iso, firmware } => {
            if let Firmware::Uefi { code, variables } = firmware {
                line.path("-drive", "if=pflash,format=raw,readonly=on,file=", code);
                line.path("-drive", "if=pflash,format=raw,file=", variables);
            }
            line.path(
                "-drive",
                "if=none,id=cd,media=cdrom,format=raw,readonly=on,file=",
                iso,
            );
            line.pair("-device", "ide-cd,drive=cd,bootindex=0");
        }
    }
}

/// An argument list under construction.
#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn word(&mut self, word: &str) {
        self.0.push(word.into());
    }

    fn pair(&mut self, option: &str, value: &str) {
        self.word(option);
        self.word(value);
    }

    /// An option whose value ends in a path. QEMU reads a doubled comma as a character.
    fn path(&mut self, option: &str, before: &str, path: &Path) {
        self.word(option);
        let mut value = OsString::from(before);
        value.push(doubled_commas(path));
        self.0.push(value);
    }
}

fn doubled_commas(path: &Path) -> OsString {
    match path.to_str() {
        Some(text) => text.replace(',', ",,").into(),
        None => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct() -> Media {
        Media::Direct {
            hypervisor: "bulkhead.elf".into(),
            modules: "a,b.cpio".into(),
            command_line: "exit=when-done x=1".into(),
        }
    }

    fn text(arguments: &[OsString]) -> String {
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        words.join(" ")
    }

    #[test]
    fn a_plain_machine_is_the_reference_command_line() {
        let line = text(&Machine::default().arguments(&direct(), None, None));
        for part in [
            "-accel tcg -cpu EPYC,+svm,+npt -M q35 -m 256 -smp 1",
            "-nodefaults",
            "-no-reboot",
            "-display none",
            "-device isa-debug-exit,iobase=0xf4,iosize=4",
            "-kernel bulkhead.elf -initrd a,,b.cpio -append exit=when-done x=1",
        ] {
            assert!(line.contains(part), "{part} is not in: {line}");
        }
        assert!(!line.contains("virtio"), "{line}");
    }

    #[test]
    fn instruction_clock_means_one_cpu() {
        let machine = Machine {
            cpus: 4,
            clock: Clock::Instructions,
            ..Machine::default()
        };
        let line = text(&machine.arguments(&direct(), None, None));
        assert!(line.contains("-smp 1 -icount shift=0,sleep=off"), "{line}");
    }

    #[test]
    fn product_does_not_lose_cpu_0_to_a_floating_point_restore_elsewhere() {
        let machine = Machine {
            cpus: 2,
            accelerator: Accelerator::Tcg(Threads::One),
            ..Machine::default()
        };
        let line = text(&machine.arguments(&direct(), None, None));
        assert!(line.contains("-accel tcg,thread=single -cpu"), "{line}");
    }

    #[test]
    fn kvm_passes_the_hosts_cpu() {
        let machine = Machine {
            accelerator: Accelerator::Kvm,
            ..Machine::default()
        };
        assert!(text(&machine.arguments(&direct(), None, None)).contains("-accel kvm -cpu host"));
    }

    #[test]
    fn management_devices_sit_behind_the_iommu_when_there_is_one() {
        let devices = ManagementDevices {
            card: NetworkCard::Virtio,
            network: Network::Forwarded(Forwards {
                cim: 4321,
                consoles: Some(7000),
            }),
            serial_socket: "cim.sock".into(),
            store: "store.raw".into(),
        };
        let with = Machine {
            iommu: Iommu::Amd,
            ..Machine::default()
        };
        let line = text(&with.arguments(&direct(), Some(&devices), None));
        assert_eq!(line.matches("iommu_platform=on").count(), 3, "{line}");
        assert!(line.contains("amd-iommu"));
        let line = text(&Machine::default().arguments(&direct(), Some(&devices), None));
        assert!(!line.contains("iommu"), "{line}");
        assert!(line.contains("hostfwd=tcp:127.0.0.1:4321-:5988"), "{line}");
        assert!(line.contains("name=org.bulkhead.cim"), "{line}");
    }

    #[test]
    fn frames_go_between_two_ports_instead_of_a_network() {
        let devices = ManagementDevices {
            card: NetworkCard::Virtio,
            network: Network::Frames(FramePorts {
                machine: 11,
                runner: 22,
            }),
            serial_socket: "cim.sock".into(),
            store: "store.raw".into(),
        };
        let line = text(&Machine::default().arguments(&direct(), Some(&devices), None));
        assert!(line.contains("-device virtio-net-pci,netdev=net"), "{line}");
        let other = ManagementDevices {
            card: NetworkCard::E1000e,
            ..devices
        };
        let network = "-netdev socket,id=net,udp=127.0.0.1:22,localaddr=127.0.0.1:11 ";
        assert!(line.contains(network), "{line}");
        assert!(!line.contains("hostfwd"), "{line}");
        let line = text(&Machine::default().arguments(&direct(), Some(&other), None));
        assert!(line.contains("-device e1000e,netdev=net"), "{line}");
    }

    #[test]
    fn uefi_brings_its_firmware_and_the_disc() {
        let media = Media::Iso {
            iso: "x.iso".into(),
            firmware: Firmware::Uefi {
                code: "c.fd".into(),
                variables: "v.fd".into(),
            },
        };
        let line = text(&Machine::default().arguments(&media, None, Some(Path::new("m.sock"))));
        assert!(line.contains("readonly=on,file=c.fd"), "{line}");
        assert!(line.contains("file=x.iso"), "{line}");
        assert!(line.contains("path=m.sock"), "{line}");
        assert!(!line.contains("-kernel"), "{line}");
    }
}
