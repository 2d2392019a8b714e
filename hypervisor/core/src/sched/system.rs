//! What the vCPUs of a virtual system have in common for the schedulers of their CPUs: what they are entitled to, and the chunks of a
//! limit.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Entitlement;
use crate::time::{Instant, Ticks};

/// How much longer than a tick of use its system's limit makes it, as a 32.32 fixed-point factor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch(u64);

impl Stretch {
    /// The pace of `percent` of one CPU, shared by `sharers`; `None` for 0.
    pub fn of(percent: u32, sharers: u32) -> Option<Self> {
        (u64::from(sharers).saturating_mul(100) << 32)
            .checked_div(percent.into())
            .map(Stretch)
    }

    /// How long this much use takes at the pace; rounded down.
    #[inline]
    pub fn apply(self, used: Ticks) -> Ticks {
        let long = (u128::from(used.0) * u128::from(self.0)) >> 32;
        Ticks(u64::try_from(long).unwrap_or(u64::MAX))
    }
}

/// A virtual system. Its vCPUs' schedulers and whoever changes it reach it from any CPU.
#[derive(Debug)]
pub struct System {
    /// The [`Entitlement`], and the number of vCPUs above [`VCPUS_SHIFT`]; schedulers compare it with what they know at each
    /// turn.
    word: AtomicU64,
    /// When the next chunk is valid: what was taken so far, laid end to end at the pace of the limit.
    next_chunk: AtomicU64,
}

/// Where the number of vCPUs is in the word; [`Entitlement::to_word`] needs the bits below.
const VCPUS_SHIFT: u32 = 48;

fn to_word(vcpus: u32, entitlement: Entitlement) -> u64 {
    u64::from(vcpus) << VCPUS_SHIFT | entitlement.to_word()
}

impl System {
    /// A system of so many vCPUs, at most 65,535.
    pub fn new(vcpus: u32, entitlement: Entitlement) -> Self {
        Self {
            word: AtomicU64::new(to_word(vcpus, entitlement)),
            next_chunk: AtomicU64::new(0),
        }
    }

    /// What it is entitled to.
    pub fn entitlement(&self) -> Entitlement {
        Entitlement::from_word(self.word())
    }

    /// Changes what it is entitled to. The caller has the works, and tells the schedulers of its vCPUs, which take it over then.
    pub fn set(&self, entitlement: Entitlement) {
        // Relaxed: a scheduler that sees one before the other counts one chunk wrong.
        let word = to_word(self.vcpus(), entitlement);
        let former = self.word.swap(word, Relaxed);
        if Entitlement::from_word(former).limit() != entitlement.limit() {
            // Whoever waited long for a low limit shall not go on doing so.
            self.next_chunk.store(0, Relaxed);
        }
    }

    /// It has so many vCPUs from now on, at most 65,535; with the same for the caller to do.
    pub fn resize(&self, vcpus: u32) {
        self.word.store(to_word(vcpus, self.entitlement()), Relaxed);
    }

    /// Its number of vCPUs.
    #[inline]
    pub fn vcpus(&self) -> u32 {
        (self.word() >> VCPUS_SHIFT) as u32
    }

    /// What a word says: the entitlement, and the number of vCPUs.
    pub(super) fn read(word: u64) -> (Entitlement, u32) {
        (Entitlement::from_word(word), (word >> VCPUS_SHIFT) as u32)
    }

    #[inline]
    pub(super) fn word(&self) -> u64 {
        self.word.load(Relaxed)
    }

    /// Takes a chunk of time on a CPU; says from when on it is valid.
    #[inline(never)]
    pub(super) fn take_chunk(&self, chunk: Ticks, pace: Stretch, now: Instant) -> Instant {
        let length = pace.apply(chunk);
        let taken = self
            .next_chunk
            .fetch_update(Relaxed, Relaxed, |next| {
                Some((Instant(next.max(now.0)) + length).0)
            })
            // The closure never refuses.
            .unwrap_or_else(|next| next);
        Instant(taken.max(now.0))
    }

    /// Gives back what was not used of a chunk.
    #[inline(never)]
    pub(super) fn give_back(&self, rest: Ticks, pace: Stretch) {
        let length = pace.apply(rest);
        let _ = self
            .next_chunk
            .fetch_update(Relaxed, Relaxed, |next| Some(next.saturating_sub(length.0)));
    }

    /// More than a chunk was used: what comes next comes later.
    #[inline(never)]
    pub(super) fn overdraw(&self, excess: Ticks, pace: Stretch, now: Instant) {
        let _ = self.take_chunk(excess, pace, now);
    }
}
