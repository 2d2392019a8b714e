//! The management partition: composition root, runtime and drivers.
//!
//! [`start`] takes the partition from the hypervisor's start protocol to the executor's loop; each task has a module.
#![no_std]
#![no_main]

extern crate alloc;

mod apic;
mod clock;
mod config_space;
mod console;
mod devices;
mod disk;
mod dma;
mod entropy;
mod entry;
mod events;
mod guest_window;
mod guests;
mod heap;
mod hypervisor;
mod images;
mod interrupts;
mod io_requests;
mod modules;
mod network;
mod network_card;
mod paging;
mod partitions;
mod ready;
mod root;
mod serial;
mod serving;
mod shared_page;
mod stop;
mod systems;
mod vectors;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bulkhead_abi::start::StartInfo;
use mgmt_executor::{Executor, Signal};
use mgmt_hypercall::PartitionId;
use mgmt_net::AddressPlan;
use mgmt_start::{Options, Start};

use crate::clock::Clock;
use crate::config_space::HostConfig;
use crate::devices::Attacher;
use crate::guests::Host;
use crate::paging::PageTables;
use crate::root::Root;
use crate::serving::Serving;
use crate::vectors::Vectors;

/// The first TCP port for consoles of virtual systems, where the command line does not say.
const CONSOLES: u16 = 6000;

/// From the entry's assembly: the image is relocated and on its own stack, everything else as the hypervisor left it.
extern "C" fn start(info: *const StartInfo) -> ! {
    if !hypervisor::is_present() {
        stop::failed(format_args!(
            "this image runs only under the Bulkhead hypervisor"
        ));
    }
    // SAFETY: by the start protocol RDI is the address of the page, which is ours and which nobody changes. It lies
    // beyond what the heap takes.
    let info = unsafe { &*info };
    match Start::check(info) {
        Ok(start) => run(&start),
        Err(error) => stop::failed(format_args!("{error}")),
    }
}

fn run(start: &Start<'_>) -> ! {
    // SAFETY: the free memory is what the start protocol says nobody uses, and this is the only call.
    unsafe { heap::init(start.free) };
    #[cfg_attr(
        not(feature = "bare-bed"),
        expect(unused_mut, reason = "the other bed maps a device")
    )]
    // SAFETY: the heap is up, the page tables are the start protocol's, and this is the only call.
    let mut tables = unsafe { PageTables::install(start.ram) };
    #[cfg(feature = "bare-bed")]
    tables.map_device(0xfee0_0000, 4096);
    // SAFETY: interrupts are off since the start, and this is the only call.
    unsafe { interrupts::init() };
    apic::init();

    let clock = Clock::new(start);
    let executor = Executor::new();
    let root = Root::new(clock, hypervisor::get(), &executor, tables);
    report!(
        "{} {}, started {} times before, {} MiB, devices {}",
        start.name,
        env!("CARGO_PKG_VERSION"),
        start.restarts,
        start.ram.length >> 20,
        match start.confined {
            true => "confined by an IOMMU",
            false => "not confined: there is no IOMMU",
        }
    );
    let options = Options::parse(start.command_line);
    for word in &options.unknown {
        report!("command line: {word} is not known");
    }
    let mut vectors = Vectors::new();
    let config = HostConfig::new(start.ecam, &mut root.tables());
    let devices = Attacher {
        config: &config,
        tables: &mut root.tables(),
        vectors: &mut vectors,
        hypervisor: root.hypervisor(),
    }
    .attach_all();
    let own = PartitionId(start.partition);
    let host = host(&root, &mut vectors);
    // Kept for ever: who drops it does not serve them any more.
    let _served = match &host {
        Ok(host) => partitions::serve(host, own),
        Err(reason) => {
            report!("the other partitions are not served: {reason}");
            Vec::new()
        }
    };
    let serving = Serving {
        plan: plan(&options),
        password: options.password.clone(),
        consoles: options.consoles.unwrap_or(CONSOLES),
        host: host.ok(),
        restarts: start.restarts,
        archive: modules::archive(start.archive, &mut root.tables()),
    };
    let task = serving::run(root.clone(), devices, serving);
    root.spawner().spawn(task);
    // A test wants to see what the restarted partition does.
    let once = options.crash_after.filter(|_| start.restarts == 0);
    if let Some(after) = once.or(options.crash_every) {
        root.spawner().spawn(crash(root.clone(), after));
    }
    root.run(executor, &vectors)
}

fn host(root: &Root, vectors: &mut Vectors) -> Result<Host, String> {
    let signal = Signal::new();
    let vector = vectors.allocate(&signal);
    let vector = vector.ok_or("no interrupt vector is left for events")?;
    Host::start(root, vector, signal)
}

fn plan(options: &Options) -> AddressPlan {
    let parsed = options.ip.as_deref().unwrap_or("dhcp").parse();
    parsed.unwrap_or_else(|error| {
        report!("command line: {error}; asking DHCP instead");
        AddressPlan::Dhcp
    })
}

#[expect(clippy::panic, reason = "the operator asked for it")]
async fn crash(root: Root, after: Duration) {
    let until = root.now().after(after);
    root.timers().sleep_until(until).await;
    panic!("crash asked for on the command line");
}
