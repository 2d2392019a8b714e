//! Schedulers on a clock of their own, with vCPUs that spin or come and go: a tick is a nanosecond.

mod cost;
mod limits;
mod random;
mod reservations;
mod simulation;
mod waking;
mod weights;

use simulation::{Behaviour, Cpu, SECOND, SLICE};

use super::{Entitlement, System};
use std::sync::Arc;

/// A system of `vcpus` vCPUs with this weight, reservation and limit.
fn system(vcpus: u32, weight: u32, reservation: u32, limit: u32) -> Arc<System> {
    let entitlement = Entitlement::new(weight, reservation, limit, vcpus).unwrap();
    Arc::new(System::new(vcpus, entitlement))
}

/// A CPU with a spinning vCPU of each of these weights.
fn spinners(weights: &[u32]) -> Cpu {
    let mut cpu = Cpu::new();
    for weight in weights {
        cpu.add(system(1, *weight, 0, 0), Behaviour::Spins);
    }
    cpu
}

/// Hundredths of a percent of `span`.
fn share(ran: u64, span: u64) -> u64 {
    ran * 10_000 / span
}
