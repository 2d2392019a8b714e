//! The serving task: opens the store, makes the server, and puts it on every channel.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use mgmt_executor::Signal;
use mgmt_link::Service;
use mgmt_net::{AddressPlan, Ports};
use mgmt_status::StatusService;
use mgmt_wbem::{Keeper, KeptImages, Wbem, WbemConfig, WbemService, open_library};

use crate::devices::Devices;
use crate::disk::{self, HostDisk};
use crate::entropy::Entropy;
use crate::guests::{ConsoleDesk, Host};
use crate::images::{DiskLibrary, LibraryDisk};
use crate::ready::Ready;
use crate::root::Root;
use crate::systems::Systems;
use crate::{network, report, serial};

/// Name of the blob that counts the partition's starts.
const STARTS: &str = "mgmt/starts";
/// How often the server does what is due whether or not a client asks.
const MAINTENANCE: Duration = Duration::from_secs(1);

/// What the channels serve.
enum Server {
    Wbem(Wbem),
    /// Without random numbers or with a store that cannot be read there is no WBEM server; this text says so.
    Status(String),
}

impl Server {
    fn for_network(&self) -> Box<dyn Service> {
        match self {
            Server::Wbem(wbem) => Box::new(WbemService::for_network(wbem.clone())),
            Server::Status(text) => Box::new(StatusService::new(text.clone())),
        }
    }

    fn for_channel(&self) -> Box<dyn Service> {
        match self {
            Server::Wbem(wbem) => Box::new(WbemService::for_channel(wbem.clone())),
            Server::Status(text) => Box::new(StatusService::new(text.clone())),
        }
    }
}

/// How the partition is to serve.
pub struct Serving {
    /// What the network card is to be configured with.
    pub plan: AddressPlan,
    /// The password of the administrator that the first start makes, where the operator chose one.
    pub password: Option<String>,
    /// The first TCP port for consoles of virtual systems.
    pub consoles: u16,
    /// The hypervisor's events and pages, where they work.
    pub host: Option<Host>,
    /// How often this partition was started again.
    pub restarts: u32,
    /// The archive with the boot modules.
    pub archive: &'static [u8],
}

/// Puts the devices to use.
pub async fn run(root: Root, devices: Devices, serving: Serving) {
    let Serving {
        plan,
        password,
        consoles,
        host,
        restarts,
        archive,
    } = serving;
    let mut disks = Vec::new();
    for block in devices.blocks {
        disks.push(disk::start(&root, block));
    }
    let (keeper, library) = keeper(&root, disks.into_iter().next()).await;
    let modules = library.add_modules(archive);
    report!("images: {modules} more from boot modules");
    // Without a network card nobody waits for the signal, and nobody can come.
    let card = devices.nets.first().map(|net| net.signal.clone());
    let ports = Ports::new(card.unwrap_or_default());
    let desk = ConsoleDesk::new(ports.clone(), consoles);
    let systems = match &host {
        Some(host) => Systems::open(&root, host, &keeper, &library, desk, restarts)
            .inspect_err(|reason| report!("there are no virtual systems: {reason}"))
            .ok(),
        None => None,
    };
    let parts = Parts {
        keeper: &keeper,
        library,
        systems: systems.as_ref(),
        password: password.as_deref(),
    };
    let server = match server(&root, parts) {
        Ok(wbem) => Server::Wbem(wbem),
        Err(reason) => {
            report!("there is no WBEM server: {reason}");
            Server::Status(format!("{}There is no WBEM server: {reason}\n", greeting()))
        }
    };
    let mut signals = Vec::new();
    for console in devices.consoles {
        signals.push(console.signal.clone());
        let task = serial::run(root.clone(), console, server.for_channel());
        root.spawner().spawn(task);
    }
    let ready = Ready::default();
    let mut nets = devices.nets.into_iter();
    match nets.next() {
        Some(net) => {
            signals.push(net.signal.clone());
            let task = network::run(root.clone(), net, plan, server.for_network(), ports, ready);
            root.spawner().spawn(task);
        }
        None => ready.announce(format_args!(", without network")),
    }
    for net in nets {
        report!("network card {}: left alone, one is enough", net.address);
    }
    for signal in &signals {
        keeper.tell(signal.clone());
    }
    if let Server::Wbem(wbem) = server {
        if let Some(systems) = &systems {
            systems.run(&root, &wbem, &keeper);
        }
        maintain(root, wbem, systems, signals).await;
    }
}

fn greeting() -> String {
    format!(
        "Bulkhead management partition {}, hypervisor contract version {}\n",
        env!("CARGO_PKG_VERSION"),
        bulkhead_abi::VERSION
    )
}

/// The keeper over the first disk with the images behind it, or one that forgets and a library without room.
async fn keeper(root: &Root, disk: Option<HostDisk>) -> (Keeper, DiskLibrary) {
    let opened = match disk {
        Some(disk) => disk::keeper(root, disk).await,
        None => Err("there is no disk".into()),
    };
    match opened {
        Ok(opened) => opened,
        Err(reason) => {
            report!("store: {reason}; nothing will be kept");
            let keeper = Keeper::in_memory();
            let (library, _) = open_library(LibraryDisk(None), &keeper, 0);
            (keeper, library)
        }
    }
}

/// What the server is made of.
struct Parts<'a> {
    keeper: &'a Keeper,
    library: DiskLibrary,
    systems: Option<&'a Systems>,
    password: Option<&'a str>,
}

fn server(root: &Root, parts: Parts<'_>) -> Result<Wbem, String> {
    let Parts {
        keeper,
        library,
        systems,
        password,
    } = parts;
    let starts = keeper.get(STARTS);
    let starts = starts.as_deref().and_then(|bytes| bytes.first_chunk());
    let starts = u64::from_le_bytes(starts.copied().unwrap_or_default()).saturating_add(1);
    let text = |error| format!("{error}");
    let put = keeper.put(STARTS, starts.to_le_bytes().to_vec());
    put.map_err(|error| format!("{error}"))?;
    let entropy = Entropy::detect().ok_or("the CPU makes no random numbers")?;
    let (wbem, first) = Wbem::open(WbemConfig {
        keeper: keeper.clone(),
        version: env!("CARGO_PKG_VERSION"),
        greeting: format!("{}CIM-XML is served at /cimom.\n", greeting()),
        unix_base: root.unix_base(),
        password,
        entropy: &mut |buffer| entropy.fill(buffer),
        images: Some(Box::new(KeptImages::new(
            library,
            keeper.clone(),
            root.spawner().clone(),
        ))),
        install: &mut |builder| match systems {
            Some(systems) => systems.install(builder),
            None => (builder, Vec::new()),
        },
    })
    .map_err(text)?;
    if let Some(first) = first {
        report!("CIM user: {}", first.name);
        match password {
            Some(_) => report!("CIM password: as given on the command line"),
            None => report!("CIM password: {}", first.password),
        }
    }
    report!("start {starts} of this server");
    Ok(wbem)
}

/// Does what is due, for ever, and lets the channels look for what came of it.
async fn maintain(root: Root, wbem: Wbem, systems: Option<Systems>, signals: Vec<Signal>) {
    loop {
        let next = root.now().after(MAINTENANCE);
        root.timers().sleep_until(next).await;
        if let Some(systems) = &systems {
            systems.tick(wbem.clock(root.now()));
        }
        for line in wbem.maintain(root.now()) {
            report!("{line}");
        }
        for signal in &signals {
            signal.raise();
        }
    }
}
