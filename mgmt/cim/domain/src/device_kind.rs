//! [`DeviceKind`]: devices of systems besides processors and memory, each kind with a pool of its own.

use crate::allocation::{ConsoleKind, Resource};
use crate::definition::Definition;
use crate::host::HostFacts;

/// A kind of device. Those that the host makes up cost nothing that is counted; of those that need something real behind
/// them, disks and networks, there is nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKind {
    /// COM1.
    SerialPort,
    /// Virtio consoles.
    VirtioConsole,
    /// Virtio sources of random numbers.
    Entropy,
    /// Disks.
    Disk,
    /// Network cards.
    NetworkCard,
}

impl DeviceKind {
    /// All of them.
    pub const ALL: [DeviceKind; 5] = [
        DeviceKind::SerialPort,
        DeviceKind::VirtioConsole,
        DeviceKind::Entropy,
        DeviceKind::Disk,
        DeviceKind::NetworkCard,
    ];

    /// PoolID of its pool.
    #[must_use]
    pub const fn pool(self) -> &'static str {
        match self {
            DeviceKind::SerialPort => "serial-port/primordial",
            DeviceKind::VirtioConsole => "virtio-console/primordial",
            DeviceKind::Entropy => "virtio-entropy/primordial",
            DeviceKind::Disk => "disk/primordial",
            DeviceKind::NetworkCard => "ethernet/primordial",
        }
    }

    /// The kind of a PoolID.
    #[must_use]
    pub fn of_pool(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.pool() == id)
    }

    /// The kind of a resource; `None` for processors and memory.
    #[must_use]
    pub const fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Processor(_) | Resource::Memory(_) => None,
            Resource::Console(settings) => Some(match settings.kind {
                ConsoleKind::Serial => DeviceKind::SerialPort,
                ConsoleKind::Virtio => DeviceKind::VirtioConsole,
            }),
            Resource::Entropy => Some(DeviceKind::Entropy),
        }
    }

    /// How many a system can have at most.
    #[must_use]
    pub const fn most_of_a_system(self) -> u64 {
        match self {
            DeviceKind::SerialPort => 1,
            DeviceKind::VirtioConsole | DeviceKind::Entropy => crate::check::MAX_DEVICES,
            DeviceKind::Disk | DeviceKind::NetworkCard => 0,
        }
    }

    /// How many all systems can have at most, together.
    #[must_use]
    pub fn capacity(self, host: &HostFacts) -> u64 {
        let systems = u64::try_from(host.max_running).unwrap_or(u64::MAX);
        systems.saturating_mul(self.most_of_a_system())
    }

    /// How many a definition has.
    #[must_use]
    pub fn count(self, definition: &Definition) -> u64 {
        let of_kind = definition.allocations.iter();
        let of_kind = of_kind.filter(|known| DeviceKind::of(&known.resource) == Some(self));
        u64::try_from(of_kind.count()).unwrap_or(u64::MAX)
    }
}
