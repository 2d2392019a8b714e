//! The domain model: virtual systems, their definitions and resources, images, pools, and jobs.
//!
//! Called by `cim-providers`, which shows it as CIM instances, and by whoever runs the machine (the management
//! partition over hypercalls, the simulator over timers), which reports [`Event`]s. It knows no XML and no
//! hypercall number, does no I/O and reads no clock: time comes as [`Now`], the hypervisor is a [`Machine`],
//! persistence a [`Keep`], files are [`Images`].
//!
//! Invariants:
//! - a call either does all it says or changes nothing and tells why as a [`Problem`], a sentence for people;
//! - a definition is kept before the call returns;
//! - nothing waits: what takes time is a [`Job`], and ends by an [`Event`] or by its time-out;
//! - a [`SystemId`] is never used twice, also not after a restart;
//! - what a client leaves open (NULL) stays open in the definition, and is decided when the system starts.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod allocation;
mod apply;
mod boot;
mod change;
mod check;
mod definition;
mod device_kind;
mod domain;
mod event;
mod host;
mod host_end;
mod id;
mod image;
mod job;
mod keep;
mod ledger;
mod machine;
mod node_memory;
mod notice;
mod now;
pub mod one_line;
mod order;
mod patch;
mod pool;
mod pool_record;
mod problem;
mod record;
mod resolve;
mod state;
mod system;
mod transition;
mod units;
mod uuid;

pub use allocation::{
    Allocation, ConsoleKind, ConsoleSettings, Mapping, MemorySettings, ProcessorSettings, Resource,
    ResourceKind, Topology,
};
pub use apply::MEMORY_INCREMENT;
pub use boot::{Boot, BootFormat, BootModule};
pub use change::{AllocationChange, DefinitionChange, HostDevice, NewAllocation};
pub use definition::{
    Definition, RecoveryAction, ShutdownAction, Startup, StartupAction, VIRTUAL_SYSTEM_TYPE,
};
pub use device_kind::DeviceKind;
pub use domain::Domain;
pub use event::{Crash, Event, StartFailure};
pub use host::{HostFacts, HostProcessor};
pub use host_end::{HostEnd, HostRequest, HostStop, Manner};
pub use id::{AllocationId, JobId, SystemId};
pub use image::{Image, ImageFormat, ImageName, Images, NoImages};
pub use job::{Job, JobKind, JobState};
pub use keep::{Keep, KeepError, MemoryKeep};
pub use ledger::Ledger;
pub use machine::{Adopted, AdoptedState, Machine, MachineError, ProcessorUsage, Usage};
pub use node_memory::NodeMemory;
pub use notice::Notice;
pub use now::Now;
pub use order::{BootOrder, ConsoleOrder, ProcessorOrder, StartOrder};
pub use patch::Patch;
pub use pool::{Pool, PoolId, PoolKind, PoolShare};
pub use problem::{Problem, ProblemKind};
pub use state::{Request, State};
pub use system::{LastEnd, System};
pub use transition::{Requested, TimeLimit};
pub use units::{Dimension, Unit, UnitError};
pub use uuid::Uuid;

#[cfg(test)]
mod tests;
