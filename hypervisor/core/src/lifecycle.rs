//! A partition's life: made, started, paused, ended by itself, crashed, stopped by management, started again, removed.
//!
//! The hypervisor is the keeper of this state; the management partition learns of changes by its life-cycle port.

pub mod cpu_choice;
pub mod creation;
pub mod maker;
pub mod removal;
pub mod transfer;
pub mod windows;

use core::fmt;
use core::ops::ControlFlow;

use bulkhead_abi::host::{PartitionOrigin, PartitionState};

use crate::boot_image::{self, BootError};
use crate::config::Role;
use crate::crash_report::CrashReport;
use crate::exit::deliver::{self, Woken, wake};
use crate::exit::{Flow, Leave, crash};
use crate::fault::StopCause;
use crate::host::{Host, MachineEnd};
use crate::local_apic::{Identity, IdentityMode};
use crate::machine::WhenDone;
use crate::partition::Partition;
use crate::shared_vcpu::Hazard;
use crate::vcpu::{StartState, Vcpu};
use crate::vcpu_record::VcpuRecord;

/// Most starts of a management partition that fails again and again.
const MAX_RESTARTS: u32 = 100;

/// The partition cannot be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// It runs, or somebody else starts or ends it just now.
    Busy,
    /// Its image cannot be loaded.
    Boot(BootError),
    /// Its RAM still holds what others left there.
    NotCleared,
    /// Nobody said where it starts.
    NoBootState,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Busy => f.write_str("it runs, or is about to start or to end"),
            StartError::Boot(error) => error.fmt(f),
            StartError::NotCleared => f.write_str("its memory was not cleared"),
            StartError::NoBootState => f.write_str("it has no state to start in"),
        }
    }
}

/// The guest is done.
pub fn end_cleanly<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    vcpu.partition.stop(PartitionState::Stopped);
    // The others may sleep on other CPUs: each has to see that it is over.
    let _ = wake_all(&vcpu.partition, host);
    ControlFlow::Break(Leave::Stopped)
}

/// The guest says that it has failed.
pub fn report_failure<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    crash::stop(vcpu, host, StopCause::GuestReport, None)
}

/// The guest wants to be started again: by hypercall or by a reset port.
pub fn ask_for_restart<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    // Whoever stopped it first decides what comes then; it ends only after this vCPU has left.
    match vcpu.partition.origin {
        PartitionOrigin::Configuration => {
            if vcpu.partition.stop(PartitionState::Stopped) {
                vcpu.partition.want_restart();
            }
        }
        // Management fills its memory again.
        PartitionOrigin::Management => {
            vcpu.partition.stop(PartitionState::Reset);
        }
    }
    let _ = wake_all(&vcpu.partition, host);
    ControlFlow::Break(Leave::Stopped)
}

/// Makes the owners of all vCPUs look at their hazards.
pub fn wake_all<H: Host>(partition: &Partition, host: &H) -> Woken {
    let mut woken = Woken::Elsewhere;
    for vcpu in &partition.vcpus {
        if wake(vcpu, host) == Woken::Here {
            woken = Woken::Here;
        }
    }
    woken
}

/// Loads the partition and lets its vCPUs run; none of them is active.
///
/// # Errors
/// The image cannot be loaded; the partition stays as it is.
pub fn start<H: Host>(partition: &Partition, host: &mut H) -> Result<Woken, StartError> {
    prepare(partition, host)?;
    Ok(release(partition, host))
}

/// The first half of [`start`]: the partition counts as running from now on, but no vCPU runs.
///
/// # Errors
/// The image cannot be loaded; the partition stays as it is.
pub fn prepare<H: Host>(partition: &Partition, host: &mut H) -> Result<(), StartError> {
    if !partition.claim() {
        return Err(StartError::Busy);
    }
    load(partition, host).inspect_err(|_| partition.rest())
}

/// Loads a partition that the caller has claimed.
fn load<H: Host>(partition: &Partition, host: &mut H) -> Result<(), StartError> {
    let start = match &partition.boot {
        Some(boot) => boot_image::load(partition, boot, host).map_err(StartError::Boot)?,
        None if !partition.is_clear() => return Err(StartError::NotCleared),
        None => {
            let state = partition.boot_state().ok_or(StartError::NoBootState)?;
            StartState::Registers(state)
        }
    };
    partition.devices.lock().reset(host.now());
    partition.set_start(start);
    for vcpu in &partition.vcpus {
        // Here and not when each is reset: the first may post to the others before they are, and must reach them.
        vcpu.mailbox.clear();
        vcpu.set_identity(Some(Identity {
            id: vcpu.apic_id,
            mode: IdentityMode::XApic {
                ldr: 0,
                dfr: u32::MAX,
            },
        }));
    }
    partition.run();
    Ok(())
}

/// The second half of [`start`]: the vCPUs run.
pub fn release<H: Host>(partition: &Partition, host: &H) -> Woken {
    for (owner, adoption) in partition.take_parked() {
        host.machine().hand_over(owner, adoption);
    }
    for vcpu in &partition.vcpus {
        vcpu.raise(Hazard::RESET);
    }
    wake_all(partition, host).or(tell_management(partition, host))
}

/// Takes the vCPUs of a running partition out of guest mode; `None` where it is not running.
pub fn pause<H: Host>(partition: &Partition, host: &H) -> Option<Woken> {
    partition.pause().then(|| wake_all(partition, host))
}

/// Lets a paused partition go on; `None` where it is not paused.
pub fn resume<H: Host>(partition: &Partition, host: &H) -> Option<Woken> {
    partition
        .resume()
        .then(|| wake_all(partition, host).or(tell_management(partition, host)))
}

/// The last vCPU of a partition that does not run any more has come to rest.
pub fn ended<H: Host>(partition: &Partition, host: &mut H) {
    let state = partition.state();
    if let Some(rest) = partition.line.lock().take_rest() {
        host.print(&partition.name, rest);
    }
    let _ = partition.devices.lock().finish_console(host);
    if state == PartitionState::Crashed {
        let record = partition.crash_record();
        host.report(format_args!(
            "{}",
            CrashReport {
                name: &partition.name,
                record: &record
            }
        ));
    }
    if partition.role == Role::Management {
        management_ended(partition, host, state);
        return;
    }
    if partition.take_restart_wish() {
        restart(partition, host);
    } else {
        partition.rest();
        let what = match state {
            PartitionState::Reset => "asks for a reset",
            _ => "has stopped",
        };
        host.report(format_args!("partition {} {what}", partition.name));
    }
    let _ = tell_management(partition, host);
    if partition.origin == PartitionOrigin::Configuration {
        end_machine_when_done(host);
    }
}

/// Brings the management partition back, with its devices quiet.
fn management_ended<H: Host>(partition: &Partition, host: &mut H, state: PartitionState) {
    host.quiesce_devices();
    host.machine().unbind_all(partition);
    forget_routes(host);
    windows::forget_all(partition, host);
    let wish = partition.take_restart_wish();
    if (state == PartitionState::Crashed || wish) && partition.restarts() < MAX_RESTARTS {
        restart(partition, host);
    } else {
        partition.rest();
        host.report(format_args!(
            "the management partition has stopped and stays so"
        ));
        end_machine_when_done(host);
    }
}

/// The pages and ports that the management partition had registered are gone with it.
pub(crate) fn forget_routes<H: Host>(host: &H) {
    for id in 0..host.machine().partition_count() {
        if let Some(other) = host.machine().partition(crate::id::PartitionId(id)) {
            other.io.lock().abandon();
            other.devices.lock().set_console(None);
            for vcpu in &other.vcpus {
                vcpu.raise(Hazard::DOORBELLS | Hazard::IO_LOST);
                let _ = wake(vcpu, host);
            }
        }
    }
}

fn restart<H: Host>(partition: &Partition, host: &mut H) {
    match load(partition, host) {
        Ok(()) => {
            let _ = release(partition, host);
            host.report(format_args!(
                "partition {} is started again (restart {})",
                partition.name,
                partition.restarts()
            ));
        }
        Err(error) => {
            partition.rest();
            host.report(format_args!(
                "partition {} cannot be started: {error}",
                partition.name
            ));
        }
    }
}

/// Raises the partition's life-cycle port.
pub fn tell_management<H: Host>(partition: &Partition, host: &H) -> Woken {
    let port = partition.io.lock().lifecycle;
    match port {
        Some(port) => deliver::raise_event(port, host),
        None => Woken::Elsewhere,
    }
}

/// Ends the machine where it was asked to live as long as its guests.
fn end_machine_when_done<H: Host>(host: &mut H) {
    let guest_runs = |partition: &Partition| {
        partition.role == Role::Guest && (partition.is_live() || partition.is_active())
    };
    if host.machine().when_done() == WhenDone::PowerOff && !host.machine().any_partition(guest_runs)
    {
        host.report(format_args!("all guests have ended"));
        host.end(MachineEnd::PowerOff);
    }
}
