//! The part of a vCPU that every CPU may touch: its mailbox, its hazard word, where it lives.

use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

use crate::id::{ApicId, CpuId, VcpuId};
use crate::local_apic::{Identity, IdentityMode, Mailbox};

bitflags::bitflags! {
    /// Reasons to look up before the next entry, set by any CPU.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Hazard: u32 {
        /// The partition is no longer running.
        const STOP = 1;
        /// The nested tables lost mappings: a new TLB epoch.
        const FLUSH = 2;
        /// The management partition has answered the vCPU's I/O request.
        const IO_DONE = 4;
        /// The partition's doorbells changed.
        const DOORBELLS = 8;
        /// Start anew: the partition was loaded again.
        const RESET = 16;
        /// The management partition is gone, and with it whoever would have answered an I/O request.
        const IO_LOST = 32;
        /// The partition was paused or goes on; its state says which.
        const PAUSE = 64;
        /// Save the vCPU, which is paused.
        const SAVE = 128;
        /// Go on from a saved state.
        const LOAD = 256;
        /// Another CPU is to own the vCPU; see [`SharedVcpu::home`].
        const MOVE = 512;
        /// The vCPU was added or taken away: it is as at power-up.
        const RENEW = 1024;
    }
}

/// Whether the guest has a vCPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It may start it.
    Present,
    /// Nothing reaches it.
    Absent,
}

/// The shared part of one vCPU.
#[derive(Debug)]
#[repr(align(64))]
pub struct SharedVcpu {
    hazard: AtomicU32,
    /// The physical CPU that owns the vCPU.
    owner: AtomicU32,
    /// The physical CPU that is to own it; changed under the lock of the works.
    home: AtomicU32,
    /// What the local APIC answers to, packed; see [`SharedVcpu::identity`].
    identity: AtomicU64,
    /// Exits so far, stored by the owner now and then.
    exits: AtomicU64,
    /// TSC ticks spent for the vCPU so far, stored by the owner now and then.
    run_ticks: AtomicU64,
    /// Only a signal from outside of the partition can make it run again; stored by the owner.
    at_rest: AtomicBool,
    /// Whether the guest has the vCPU; changed under the lock of the works.
    present: AtomicBool,
    /// The pause that the owner has last obeyed; see [`SharedVcpu::obey_pause`].
    pause: AtomicU32,
    /// How often the owner has looked up in a pause; see [`SharedVcpu::looks`].
    looks: AtomicU32,
    /// Interrupts and signals from others.
    pub mailbox: Mailbox,
    /// Its id.
    pub id: VcpuId,
    /// Its APIC id.
    pub apic_id: ApicId,
}

/// No answer: globally disabled.
const MODE_NONE: u64 = 0;
/// x2APIC.
const MODE_X2APIC: u64 = 1;
/// xAPIC, flat or cluster as the DFR says.
const MODE_XAPIC: u64 = 2;

impl SharedVcpu {
    /// The shared part of a vCPU that `owner` will run.
    pub fn new(id: VcpuId, apic_id: ApicId, owner: CpuId) -> Self {
        Self {
            hazard: AtomicU32::new(0),
            owner: AtomicU32::new(u32::from(owner.0)),
            home: AtomicU32::new(u32::from(owner.0)),
            identity: AtomicU64::new(MODE_NONE),
            exits: AtomicU64::new(0),
            run_ticks: AtomicU64::new(0),
            at_rest: AtomicBool::new(false),
            present: AtomicBool::new(true),
            pause: AtomicU32::new(0),
            looks: AtomicU32::new(0),
            mailbox: Mailbox::new(),
            id,
            apic_id,
        }
    }

    /// Whether nothing was raised or posted; the test before every entry.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        // Relaxed: whoever sets a bit interrupts the CPU afterwards, and the exit brings us here again.
        self.hazard.load(Relaxed) == 0 && self.mailbox.is_empty()
    }

    /// Raises hazards; the caller wakes the owner.
    pub fn raise(&self, hazard: Hazard) {
        // SeqCst (Release is needed): partner of `take`, publishes what the hazard is about.
        self.hazard.fetch_or(hazard.bits(), SeqCst);
    }

    /// Takes all hazards.
    pub fn take(&self) -> Hazard {
        // SeqCst (Acquire is needed): partner of `raise`.
        Hazard::from_bits_retain(self.hazard.swap(0, SeqCst))
    }

    /// Whether a hazard waits that the owner has not taken: the vCPU may still be in guest mode as it was before.
    pub fn has(&self, hazard: Hazard) -> bool {
        // SeqCst (Acquire is needed): partner of `take`, after which the vCPU is not in guest mode.
        self.hazard.load(SeqCst) & hazard.bits() != 0
    }

    /// The owner says that the vCPU stays out of guest mode in the pause of this number.
    pub fn obey_pause(&self, number: u32) {
        self.pause.store(number, SeqCst);
    }

    /// The number of the last pause that the owner has obeyed.
    pub fn obeyed_pause(&self) -> u32 {
        self.pause.load(SeqCst)
    }

    /// The owner is about to take hazards and the contents of the mailbox in a pause.
    pub fn note_look(&self) {
        // SeqCst: before what it takes, so that whoever finds nothing left sees the look.
        self.looks.fetch_add(1, SeqCst);
    }

    /// How often the owner has looked up in pauses: a vCPU that was saved is as it was then while this does not change and
    /// [`SharedVcpu::is_quiet`] holds.
    pub fn looks(&self) -> u32 {
        self.looks.load(SeqCst)
    }

    /// The CPU that owns the vCPU.
    pub fn owner(&self) -> CpuId {
        // SeqCst: partner of `set_owner`. Whoever posted before it read the former owner, posted before the vCPU left, and the next
        // owner looks at what was posted when it comes.
        CpuId(self.owner.load(SeqCst) as u16)
    }

    /// Says that another CPU owns the vCPU now.
    pub fn set_owner(&self, cpu: CpuId) {
        self.owner.store(u32::from(cpu.0), SeqCst);
    }

    /// The CPU that owns the vCPU, or will as soon as it has moved: the one that counts its load.
    pub fn home(&self) -> CpuId {
        // SeqCst: partner of `set_home`; see `Machine::resettle`.
        CpuId(self.home.load(SeqCst) as u16)
    }

    /// Says that another CPU is to own the vCPU; the caller raises [`Hazard::MOVE`] and wakes the owner.
    pub fn set_home(&self, cpu: CpuId) {
        self.home.store(u32::from(cpu.0), SeqCst);
    }

    /// Whether the guest has the vCPU. One that is absent waits for a start-up IPI that never comes.
    #[inline]
    pub fn is_present(&self) -> bool {
        // Relaxed: whoever posts to one that goes finds nobody who listens.
        self.present.load(Relaxed)
    }

    /// Says whether the guest has the vCPU; the caller raises [`Hazard::RENEW`] before it comes, or after it went.
    pub fn set_present(&self, present: Presence) {
        self.present.store(present == Presence::Present, SeqCst);
    }

    /// What the local APIC answers to; `None` while it is disabled, or absent.
    pub fn identity(&self) -> Option<Identity> {
        if !self.is_present() {
            return None;
        }
        let packed = self.identity.load(Relaxed);
        let mode = match packed & 3 {
            MODE_X2APIC => IdentityMode::X2Apic,
            MODE_XAPIC => IdentityMode::XApic {
                ldr: (packed >> 32) as u32,
                // Only the model in bits 31:28 of the DFR can be written; the others are ones.
                dfr: (packed as u32 & 0xf0) << 24 | 0x0fff_ffff,
            },
            _ => return None,
        };
        Some(Identity {
            id: self.apic_id,
            mode,
        })
    }

    /// Publishes what the local APIC answers to.
    pub fn set_identity(&self, identity: Option<Identity>) {
        let packed = match identity.map(|identity| identity.mode) {
            None => MODE_NONE,
            Some(IdentityMode::X2Apic) => MODE_X2APIC,
            Some(IdentityMode::XApic { ldr, dfr }) => {
                u64::from(ldr) << 32 | u64::from(dfr >> 24 & 0xf0) | MODE_XAPIC
            }
        };
        self.identity.store(packed, Relaxed);
    }

    /// Whether nothing inside of the partition can make the vCPU run again, as its owner last said, and nothing waits for it.
    pub fn is_at_rest(&self) -> bool {
        self.at_rest.load(SeqCst) && self.is_quiet()
    }

    /// The mark alone.
    #[inline]
    pub fn is_marked_at_rest(&self) -> bool {
        self.at_rest.load(Relaxed)
    }

    /// Says whether nothing inside of the partition can make the vCPU run again.
    pub fn set_at_rest(&self, at_rest: bool) {
        self.at_rest.store(at_rest, SeqCst);
    }

    /// Exits and TSC ticks as last published.
    pub fn usage(&self) -> (u64, u64) {
        (self.exits.load(Relaxed), self.run_ticks.load(Relaxed))
    }

    /// Publishes exits and TSC ticks.
    pub fn set_usage(&self, exits: u64, run_ticks: u64) {
        self.exits.store(exits, Relaxed);
        self.run_ticks.store(run_ticks, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_survive_packing() {
        let vcpu = SharedVcpu::new(VcpuId(1), ApicId(3), CpuId(2));
        assert_eq!(vcpu.identity(), None);
        for mode in [
            IdentityMode::X2Apic,
            IdentityMode::XApic {
                ldr: 0x0200_0000,
                dfr: 0xffff_ffff,
            },
            IdentityMode::XApic {
                ldr: 0x2100_0000,
                dfr: 0x0fff_ffff,
            },
        ] {
            vcpu.set_identity(Some(Identity {
                id: ApicId(3),
                mode,
            }));
            assert_eq!(
                vcpu.identity(),
                Some(Identity {
                    id: ApicId(3),
                    mode
                })
            );
        }
    }

    #[test]
    fn nobody_answers_for_an_absent_vcpu() {
        let vcpu = SharedVcpu::new(VcpuId(1), ApicId(3), CpuId(2));
        vcpu.set_identity(Some(Identity {
            id: ApicId(3),
            mode: IdentityMode::X2Apic,
        }));
        vcpu.set_present(Presence::Absent);
        assert_eq!(vcpu.identity(), None);
        vcpu.set_present(Presence::Present);
        assert!(vcpu.identity().is_some());
    }

    #[test]
    fn hazards_are_taken_once() {
        let vcpu = SharedVcpu::new(VcpuId(0), ApicId(0), CpuId(0));
        assert!(vcpu.is_quiet());
        vcpu.raise(Hazard::STOP);
        vcpu.raise(Hazard::FLUSH);
        assert!(!vcpu.is_quiet());
        assert_eq!(vcpu.take(), Hazard::STOP | Hazard::FLUSH);
        assert!(vcpu.is_quiet());
    }
}
