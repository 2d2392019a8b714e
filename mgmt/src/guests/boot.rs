//! Loads a virtual system: clears its memory, puts kernel and tables into it, and starts its first vCPU.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use bulkhead_abi::hypercall::PartitionAction;
use cim_domain::{BootFormat, Event, ImageName, StartFailure};
use vmm_loader::{ApplyError, Flat, Kind, LoadError, LoadOrder, Mode, Module, Rsdp, plan};
use vmm_ram::{Gpa, GuestRam};

use super::guest::Guest;
use super::kept::Phase;
use crate::images::File;

/// What is read from the disk in one go.
const PIECE: usize = 256 << 10;

/// Loads and starts the system; its partition is there, and no vCPU runs.
///
/// # Errors
/// Why it does not start.
pub async fn boot(guest: &Rc<Guest>) -> Result<(), StartFailure> {
    guest.enter(Phase::Loading);
    clear(guest).await?;
    guest.map()?;
    guest.power_up()?;
    load(guest).await?;
    check_wanted(guest)?;
    guest.enter(Phase::Running);
    let hypervisor = guest.host().hypervisor;
    hypervisor
        .partition_control(guest.id(), PartitionAction::Start)
        .map_err(machine)
}

fn machine(refusal: impl ToString) -> StartFailure {
    StartFailure::Machine(refusal.to_string())
}

/// Ends the work for a system that nobody wants any more.
fn check_wanted(guest: &Guest) -> Result<(), StartFailure> {
    match guest.is_unwanted() {
        true => Err(StartFailure::Machine("it was stopped before it ran".into())),
        false => Ok(()),
    }
}

/// Clears the memory, and lets others have their turn after each piece.
async fn clear(guest: &Guest) -> Result<(), StartFailure> {
    let mut from = 0;
    loop {
        let next = guest.host().hypervisor.memory_clear(guest.id(), from);
        match next.map_err(machine)? {
            Some(next) => from = next,
            None => return Ok(()),
        }
        guest.give_way().await;
        check_wanted(guest)?;
    }
}

fn kind(guest: &Guest) -> Kind {
    let boot = &guest.order().boot;
    match boot.format {
        None => Kind::Auto,
        Some(BootFormat::Linux) => Kind::Linux,
        Some(BootFormat::Pvh) => Kind::Pvh,
        Some(BootFormat::Multiboot) => Kind::Multiboot1,
        Some(BootFormat::Multiboot2) => Kind::Multiboot2,
        Some(BootFormat::Flat) => {
            let mut flat = Flat::at(Gpa(boot.load_address));
            flat.entry = Gpa(boot.entry_address);
            if flat.entry.0 >= 1 << 20 {
                flat.mode = Mode::Protected;
            }
            Kind::Flat(flat)
        }
    }
}

async fn load(guest: &Guest) -> Result<(), StartFailure> {
    let boot = &guest.order().boot;
    let library = guest.library();
    let open = |name: &ImageName| {
        let opened = File::open(library, name.as_str());
        opened.map_err(|reason| StartFailure::Image(format!("image {name}: {reason}")))
    };
    let kernel = open(&boot.kernel)?;
    let mut opened: Vec<(File, String)> = Vec::new();
    if let Some(initrd) = &boot.initrd {
        opened.push((open(initrd)?, String::new()));
    }
    for module in &boot.modules {
        opened.push((open(&module.image)?, module.arguments.clone()));
    }
    let modules: Vec<_> = opened
        .iter()
        .map(|(file, text)| Module { file, text })
        .collect();
    let firmware = guest.firmware()?;
    let order = LoadOrder {
        image: &kernel,
        kind: kind(guest),
        modules: &modules,
        command_line: &boot.command_line,
        memory_map: &firmware.memory_map,
        rsdp: Some(Rsdp {
            at: firmware.rsdp,
            bytes: firmware.rsdp_bytes,
        }),
    };
    let plan = plan(&order).await.map_err(|error| match error {
        LoadError::Read { .. } => machine(error),
        LoadError::Refused(refusal) => StartFailure::Image(format!("{}: {refusal}", boot.kernel)),
    })?;
    let ram = guest
        .ram()
        .ok_or_else(|| machine("its memory is not mapped"))?;
    for (at, bytes) in &firmware.writes {
        ram.write(*at, bytes).map_err(machine)?;
    }
    let mut buffer = vec![0; PIECE];
    guest.tell(Event::Progress(10));
    plan.apply(&order, &ram, &mut buffer)
        .await
        .map_err(|error| match error {
            ApplyError::Read { .. } => StartFailure::Image(error.to_string()),
            _ => machine(error),
        })?;
    guest.tell(Event::Progress(90));
    let host = guest.host();
    host.with_record(&plan.boot, |page| {
        host.hypervisor.boot_state(guest.id(), page)
    })
    .map_err(machine)
}
