//! The vCPUs that come to a physical CPU, and those that leave it.
//!
//! A vCPU that moves is handed on between two of its turns, by the CPU that owns it: nothing of it is in that CPU any more then. What
//! was posted for it meanwhile, the next owner sees when it comes.

use alloc::boxed::Box;

use super::{CpuLoop, Readiness, Resident};
use crate::host::Host;
use crate::machine::Adoption;
use crate::sched::Slot;
use crate::shared_vcpu::Hazard;
use crate::time::Instant;
use crate::vcpu::Vcpu;
use crate::vcpu_record::{Duty, VcpuRecord, Work};

impl<V: Vcpu> CpuLoop<V> {
    /// Takes a vCPU: a new one, or one that was on another CPU.
    pub(super) fn adopt<H: Host>(&mut self, host: &mut H, adoption: Adoption, now: Instant) {
        let Some((record, ready)) = adoption.into_record::<V>() else {
            host.report(format_args!("bug: a vCPU of another backend"));
            return;
        };
        if record.partition.is_doomed() {
            return drop_last(record);
        }
        if record.shared.home() != host.cpu() {
            // It was called elsewhere while it was on its way.
            record.shared.raise(Hazard::MOVE);
        }
        let (_, run_ticks) = record.shared.usage();
        let resident = Resident {
            readiness: match (ready, record.duty) {
                (Some(_), _) => Readiness::Ready,
                // One that is new wakes by its reset hazard.
                (None, Duty::Off) => Readiness::Parked,
                (None, _) => Readiness::Waiting,
            },
            ready: ready.unwrap_or(Instant::NEVER),
            run_ticks,
            record,
        };
        let free = self.residents.iter().position(Option::is_none);
        let index = free.unwrap_or(self.residents.len());
        let system = resident.record.partition.system.clone();
        self.scheduler.admit(Slot(index), system);
        if ready.is_some() {
            self.scheduler.wake(Slot(index), now);
        }
        match self.residents.get_mut(index) {
            Some(place) => *place = Some(resident),
            None => self.residents.push(Some(resident)),
        }
    }

    /// Gives a vCPU, which does not run just now, to the CPU that is its home.
    #[cold]
    #[inline(never)]
    pub(super) fn hand_on<H: Host>(&mut self, host: &mut H, slot: Slot) {
        let Some(Some(resident)) = self.residents.get_mut(slot.0) else {
            return;
        };
        resident.record.work.remove(Work::MOVE);
        let home = resident.record.shared.home();
        if home == host.cpu() {
            return;
        }
        let Some(resident) = self.take_resident(slot) else {
            return;
        };
        resident.record.shared.set_owner(home);
        let mut adoption = Adoption::new(resident.record);
        if resident.readiness == Readiness::Ready {
            adoption = adoption.ready(resident.ready);
        }
        host.machine().hand_over(home, adoption);
        host.kick(home);
    }

    /// Drops a vCPU whose partition is being removed.
    pub(super) fn drop_slot(&mut self, slot: Slot) {
        if let Some(resident) = self.take_resident(slot) {
            drop_last(resident.record);
        }
    }

    /// Takes a vCPU off this CPU.
    fn take_resident(&mut self, slot: Slot) -> Option<Resident<V>> {
        if self.active == Some(slot) {
            self.deactivate();
        }
        self.scheduler.dismiss(slot);
        let resident = self.residents.get_mut(slot.0).and_then(Option::take);
        while let Some(None) = self.residents.last() {
            self.residents.pop();
        }
        resident
    }
}

/// Drops a record such that its partition is free only after all else of it is.
fn drop_last<V>(record: Box<VcpuRecord<V>>) {
    let partition = record.partition.clone();
    drop(record);
    drop(partition);
}
