//! What other CPUs may do to a vCPU without its lock: post interrupts and signals into its mailbox.
//!
//! Senders call `post` and its siblings from any CPU; only the CPU that runs the vCPU calls
//! [`Mailbox::drain_into`]. Ordering: a sender writes its payload first and then sets a bit of `summary` with a
//! sequentially consistent read-modify-write; the owner swaps `summary` to zero before it takes the payload. A
//! sender that finds `summary` empty is the one that must kick the vCPU. A vCPU that goes to sleep announces
//! that (sequentially consistent), then asks [`Mailbox::is_empty`] once more, then sleeps: either it sees the
//! bit or the sender sees the announcement.

use core::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

use super::message::Trigger;
use super::{LocalApic, VectorBits};
use crate::id::Vector;

const WORDS: u32 = 0xf;
const INIT: u32 = 1 << 4;
const STARTUP: u32 = 1 << 5;
const NMI: u32 = 1 << 6;
const EXT_INT: u32 = 1 << 7;

/// Whether the mailbox was empty before a post: the poster that found it empty kicks the vCPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum WasEmpty {
    /// Kick or wake the vCPU.
    Yes,
    /// An earlier poster did or does that.
    No,
}

/// What a drain found besides vectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Drained {
    /// INIT came; the local APIC was reset already, the CPU's registers are the caller's part. It came before
    /// a start-up of the same drain.
    pub init: bool,
    /// The page number of the start-up IPI.
    pub startup: Option<u8>,
    /// An NMI came (any number of them is one).
    pub nmi: bool,
    /// The 8259A's output was raised: ask it again.
    pub ext_int: bool,
}

/// The mailbox of one vCPU, on cache lines of its own: `summary` is polled on every entry.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Mailbox {
    /// Bits 0 to 3: that word of `pending` may hold vectors; then the signals.
    summary: AtomicU32,
    /// The vector of the last start-up IPI.
    startup: AtomicU32,
    pending: [AtomicU64; 4],
    /// Which of the pending vectors were level-triggered when last posted.
    level: [AtomicU64; 4],
}

impl Mailbox {
    /// An empty mailbox.
    pub const fn new() -> Self {
        Self {
            summary: AtomicU32::new(0),
            startup: AtomicU32::new(0),
            pending: [const { AtomicU64::new(0) }; 4],
            level: [const { AtomicU64::new(0) }; 4],
        }
    }

    /// Whether there is nothing to drain.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // SeqCst: partner of `signal` in the sleep protocol above; a plain load on x86.
        self.summary.load(SeqCst) == 0
    }

    /// Posts a vector.
    #[inline]
    pub fn post(&self, vector: Vector, trigger: Trigger) -> WasEmpty {
        let index = vector.0 >> 6;
        let bit = 1u64 << (vector.0 & 63);
        if let (Some(pending), Some(level)) = (
            self.pending.get(usize::from(index)),
            self.level.get(usize::from(index)),
        ) {
            // Relaxed: published by `signal` below.
            match trigger {
                Trigger::Level => {
                    level.fetch_or(bit, Relaxed);
                }
                // Vectors seldom change their trigger: spare the locked operation.
                Trigger::Edge if level.load(Relaxed) & bit != 0 => {
                    level.fetch_and(!bit, Relaxed);
                }
                Trigger::Edge => {}
            }
            pending.fetch_or(bit, Relaxed);
        }
        self.signal(1 << index)
    }

    /// Posts an INIT.
    pub fn post_init(&self) -> WasEmpty {
        self.signal(INIT)
    }

    /// Posts a start-up IPI: the CPU starts at physical address `page` * 4096.
    pub fn post_startup(&self, page: u8) -> WasEmpty {
        self.startup.store(u32::from(page), Relaxed);
        self.signal(STARTUP)
    }

    /// Posts an NMI.
    pub fn post_nmi(&self) -> WasEmpty {
        self.signal(NMI)
    }

    /// Says that the 8259A's output was raised.
    pub fn post_ext_int(&self) -> WasEmpty {
        self.signal(EXT_INT)
    }

    /// Gives everything posted to the local APIC: to be called by the CPU that runs the vCPU only.
    #[inline]
    pub fn drain_into(&self, apic: &mut LocalApic) -> Drained {
        // Relaxed: a stale zero is noticed next time, and a sender that set a bit kicks.
        if self.summary.load(Relaxed) == 0 {
            return Drained::default();
        }
        self.drain_posted(apic)
    }

    /// Forgets everything posted, for a reset of the partition while its vCPUs stand still.
    pub fn clear(&self) {
        self.summary.store(0, SeqCst);
        for word in self.pending.iter().chain(&self.level) {
            word.store(0, Relaxed);
        }
    }

    fn drain_posted(&self, apic: &mut LocalApic) -> Drained {
        // SeqCst (Acquire is needed): partner of `signal`; what was written before the bit is visible after this.
        let summary = self.summary.swap(0, SeqCst);
        let mut drained = Drained::default();
        if summary & !WORDS != 0 {
            drained.init = summary & INIT != 0;
            if drained.init {
                apic.init_reset();
            }
            if summary & STARTUP != 0 {
                drained.startup = Some(self.startup.load(Relaxed) as u8);
            }
            drained.nmi = summary & NMI != 0;
            drained.ext_int = summary & EXT_INT != 0;
        }
        let words = self.pending.iter().zip(&self.level);
        for ((index, bit), (pending, level)) in
            [(0u8, 1), (1, 2), (2, 4), (3, 8)].into_iter().zip(words)
        {
            if summary & bit == 0 {
                continue;
            }
            let vectors = pending.swap(0, Relaxed);
            // Level bits stay: they describe the vector until a post with another trigger changes them.
            apic.accept_word(index, vectors, level.load(Relaxed));
        }
        drained
    }

    /// Sets bits of the summary.
    #[inline]
    fn signal(&self, bits: u32) -> WasEmpty {
        // SeqCst (Release is needed): partner of the swap in `drain_posted` and of the load in `is_empty`.
        if self.summary.fetch_or(bits, SeqCst) == 0 {
            WasEmpty::Yes
        } else {
            WasEmpty::No
        }
    }
}

impl LocalApic {
    /// Accepts all vectors of one 64-bit word; those with their bit in `level` are level-triggered.
    fn accept_word(&mut self, index: u8, vectors: u64, level: u64) {
        let illegal = if index == 0 { vectors & 0xffff } else { 0 };
        if illegal != 0 {
            self.refuse_illegal();
        }
        let vectors = vectors & !illegal;
        if vectors == 0 || !self.accepts() {
            return;
        }
        self.irr.insert_word(index, vectors);
        let VectorBits(words) = &mut self.tmr;
        if let Some(word) = words.get_mut(usize::from(index & 3)) {
            *word = *word & !vectors | level & vectors;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::enabled;
    use super::*;
    use crate::local_apic::Effect;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn the_first_post_kicks_and_later_ones_do_not() {
        let mailbox = Mailbox::new();
        assert!(mailbox.is_empty());
        assert_eq!(mailbox.post(Vector(0x41), Trigger::Edge), WasEmpty::Yes);
        assert_eq!(mailbox.post(Vector(0xf0), Trigger::Edge), WasEmpty::No);
        assert_eq!(mailbox.post_nmi(), WasEmpty::No);
        let mut apic = enabled();
        let drained = mailbox.drain_into(&mut apic);
        assert!(drained.nmi && !drained.init && drained.startup.is_none());
        assert!(mailbox.is_empty());
        assert_eq!(apic.next_vector(), Some(Vector(0xf0)));
        apic.acknowledge(Vector(0xf0));
        assert_eq!(apic.eoi(), Effect::None);
        assert_eq!(apic.next_vector(), Some(Vector(0x41)));
        assert_eq!(mailbox.post(Vector(0x41), Trigger::Edge), WasEmpty::Yes);
    }

    #[test]
    fn the_trigger_of_the_last_post_counts() {
        let mailbox = Mailbox::new();
        let mut apic = enabled();
        for (trigger, effect) in [
            (Trigger::Level, Effect::EoiBroadcast(Vector(0x80))),
            (Trigger::Edge, Effect::None),
            (Trigger::Level, Effect::EoiBroadcast(Vector(0x80))),
        ] {
            let _ = mailbox.post(Vector(0x80), trigger);
            let _ = mailbox.drain_into(&mut apic);
            apic.acknowledge(Vector(0x80));
            assert_eq!(apic.eoi(), effect);
        }
    }

    #[test]
    fn init_resets_before_a_startup_of_the_same_drain() {
        let mailbox = Mailbox::new();
        let mut apic = enabled();
        let _ = mailbox.post(Vector(0x41), Trigger::Edge);
        let _ = mailbox.post_startup(0x9a);
        let _ = mailbox.post_init();
        let drained = mailbox.drain_into(&mut apic);
        assert!(drained.init);
        assert_eq!(drained.startup, Some(0x9a));
        // The reset APIC is software-disabled: the vector is lost, as with hardware.
        assert_eq!(apic.highest_pending(), None);
        assert_eq!(mailbox.drain_into(&mut apic), Drained::default());
    }

    #[test]
    fn illegal_vectors_are_recorded_and_not_accepted() {
        let mailbox = Mailbox::new();
        let mut apic = enabled();
        let _ = mailbox.post(Vector(3), Trigger::Edge);
        let _ = mailbox.post(Vector(33), Trigger::Edge);
        let _ = mailbox.drain_into(&mut apic);
        assert_eq!(apic.highest_pending(), Some(Vector(33)));
        let now = crate::time::Instant(0);
        assert_eq!(apic.write_mmio(0x280, 0, now), Effect::None);
        assert_eq!(apic.read_mmio(0x280, now), 0x40);
    }

    #[test]
    fn no_post_is_lost_between_threads() {
        const SENDERS: usize = 4;
        const ROUNDS: usize = 3000;
        let mailbox = Arc::new(Mailbox::new());
        // Each sender owns a vector and posts it again only after the owner has answered, so that every post
        // must be seen; `kicks` counts empty-to-full transitions, which bound the useful drains.
        let answered: Arc<Vec<AtomicUsize>> =
            Arc::new((0..SENDERS).map(|_| AtomicUsize::new(0)).collect());
        let senders: Vec<_> = (0..SENDERS)
            .map(|index| {
                let (mailbox, answered) = (mailbox.clone(), answered.clone());
                std::thread::spawn(move || {
                    let vector = Vector(0x30 + index as u8 * 0x38);
                    let mut kicks = 0;
                    for round in 0..ROUNDS {
                        let trigger = if round.is_multiple_of(3) {
                            Trigger::Level
                        } else {
                            Trigger::Edge
                        };
                        if mailbox.post(vector, trigger) == WasEmpty::Yes {
                            kicks += 1;
                        }
                        while answered[index].load(SeqCst) <= round {
                            std::thread::yield_now();
                        }
                    }
                    kicks
                })
            })
            .collect();
        let mut apic = enabled();
        let mut useful = 0;
        while answered.iter().any(|count| count.load(SeqCst) < ROUNDS) {
            if mailbox.is_empty() {
                std::thread::yield_now();
                continue;
            }
            useful += 1;
            let _ = mailbox.drain_into(&mut apic);
            while let Some(vector) = apic.next_vector() {
                let index = usize::from((vector.0 - 0x30) / 0x38);
                let round = answered[index].load(SeqCst);
                apic.acknowledge(vector);
                let expected = if round.is_multiple_of(3) {
                    Effect::EoiBroadcast(vector)
                } else {
                    Effect::None
                };
                assert_eq!(apic.eoi(), expected, "vector {vector}, round {round}");
                answered[index].fetch_add(1, SeqCst);
            }
        }
        let kicks: usize = senders
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(
            kicks, useful,
            "every drain that found something was kicked once"
        );
        assert!(mailbox.is_empty());
    }
}
