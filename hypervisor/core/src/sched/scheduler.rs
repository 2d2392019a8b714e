//! The scheduler of one physical CPU.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::heap::Heap;
use super::system::Stretch;
use super::{Slot, System};
use crate::machine::VCPU_PLACES;
use crate::time::{Instant, Ticks};

/// The shortest turns, as a fraction of a slice.
const LEAST_TURNS_IN_SLICE: u64 = 8;
/// How many slices a round of turns takes where no turn needs to be longer.
const SLICES_IN_ROUND: u64 = 2;
/// What running by reservation may put a vCPU behind the others by weight, in slices of its own.
const DEBT_SLICES: u128 = 16;
/// What a reservation makes up for at most after the CPU was not there, in slices.
const LATE_SLICES: u64 = 20;
/// A chunk is what a limit gives in so many slices, and at most a slice: nobody waits longer than that for its next one.
const CHUNK_SLICES: u64 = 20;
/// The chunk of a vCPU that woke up and shares its limit with others, as a fraction of a slice.
const FIRST_CHUNKS_IN_SLICE: u64 = 64;
/// Virtual time: ticks divided by weights in units of 1/65536, with so many fractional bits.
const VIRTUAL_BITS: u32 = 48;

/// The vCPU that runs next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Its slot.
    pub slot: Slot,
    /// How long it may run before the scheduler is asked again; `None`: until somebody else comes.
    pub length: Option<Ticks>,
}

/// Where a vCPU is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Asleep,
    Ready,
    Running,
    /// Until the next chunk of its limit is valid.
    Held,
}

/// A limited vCPU's part of its system's limit.
#[derive(Clone, Copy, Debug)]
struct Chunks {
    pace: Stretch,
    length: Ticks,
}

/// What its system's entitlement means for a vCPU.
#[derive(Debug)]
struct Terms {
    /// The word that this follows from.
    word: u64,
    weight: u64,
    /// Virtual time for a tick.
    pace: u64,
    /// Virtual time for a slice.
    credit: u128,
    reserved: Option<Stretch>,
    chunks: Option<Chunks>,
    /// It has neither of both, as most have: nothing but the weight decides.
    plain: bool,
}

impl Terms {
    fn new(system: &System, slice: Ticks) -> Self {
        let word = system.word();
        let (entitlement, vcpus) = System::read(word);
        let weight = entitlement.weight_of_vcpu(vcpus).max(1);
        let limit = entitlement.limit();
        let at_once = slice.0.saturating_mul(u64::from(limit)) / 100;
        let at_once = at_once.saturating_mul(CHUNK_SLICES).min(slice.0);
        let fair = at_once / u64::from(vcpus.max(1));
        let least = slice.0 / LEAST_TURNS_IN_SLICE;
        let pace = (1 << VIRTUAL_BITS) / weight;
        let reserved = Stretch::of(entitlement.reservation(), vcpus);
        let chunks = Stretch::of(limit, 1).map(|pace| Chunks {
            pace,
            length: Ticks(fair.max(least).max(1)),
        });
        Self {
            word,
            weight,
            pace,
            credit: u128::from(slice.0) * u128::from(pace),
            plain: reserved.is_none() && chunks.is_none(),
            reserved,
            chunks,
        }
    }

    #[inline]
    fn virtual_time(&self, used: Ticks) -> u128 {
        // Below 2^64 each.
        u128::from(used.0).wrapping_mul(u128::from(self.pace))
    }
}

#[derive(Debug)]
struct Entry {
    system: Arc<System>,
    terms: Terms,
    place: Place,
    /// Virtual time that it has used up to its current turn.
    start: u128,
    /// When it would have run so much at its reserved pace.
    due: Instant,
    /// What is left of its turn; a turn that was interrupted goes on.
    rest: Ticks,
    /// What it used of its turn.
    spent: Ticks,
    /// What is left of its chunk of the limit.
    granted: Ticks,
    /// How long its next chunk is: short after it woke up, as it may sleep again soon, and others could use the rest meanwhile.
    chunk: Ticks,
    /// When it joined those with equal tags.
    order: u64,
}

impl Entry {
    /// Its turn ends: both tags move on by what it used.
    #[inline]
    fn finish_turn(&mut self, slice: Ticks, now: Instant) {
        let used = core::mem::take(&mut self.spent);
        self.rest = Ticks(0);
        // 2^128 is more than the time of any machine at the lowest weight.
        self.start = self.start.wrapping_add(self.terms.virtual_time(used));
        if let Some(pace) = self.terms.reserved {
            self.fall_due(pace, used, slice, now);
        }
    }

    #[inline(never)]
    fn fall_due(&mut self, pace: Stretch, used: Ticks, slice: Ticks, now: Instant) {
        let late = now - Ticks(slice.0.saturating_mul(LATE_SLICES));
        // What it had beyond its reservation counts for one slice at most.
        let early = now + pace.apply(slice);
        self.due = (self.due + pace.apply(used)).max(late).min(early);
    }

    /// Writes down what it used of its turn.
    #[inline]
    fn charge(&mut self, used: Ticks, now: Instant) {
        // The TSC does not wrap.
        self.spent = Ticks(self.spent.0.wrapping_add(used.0));
        self.rest = Ticks(self.rest.0.saturating_sub(used.0));
        if let Some(chunks) = self.terms.chunks {
            self.charge_chunk(chunks, used, now);
        }
    }

    #[inline(never)]
    fn charge_chunk(&mut self, chunks: Chunks, used: Ticks, now: Instant) {
        let excess = Ticks(used.0.saturating_sub(self.granted.0));
        self.granted = Ticks(self.granted.0.saturating_sub(used.0));
        if excess != Ticks(0) {
            self.system.overdraw(excess, chunks.pace, now);
        }
    }

    /// Takes over what its system is entitled to now.
    fn update(&mut self, slice: Ticks, now: Instant, now_virtual: u128) {
        let pace = |terms: &Terms| terms.chunks.map(|chunks| chunks.pace);
        let former = core::mem::replace(&mut self.terms, Terms::new(&self.system, slice));
        if pace(&former) != pace(&self.terms) {
            // Chunks of another limit were forgotten with it.
            self.granted = Ticks(0);
        }
        if let Some(ahead) = self.start.checked_sub(now_virtual) {
            // What it is ahead of the others is time on the CPU, which weighs otherwise now.
            let ticks = ahead / u128::from(former.pace.max(1));
            self.start = now_virtual.saturating_add(ticks * u128::from(self.terms.pace));
        }
        if former.reserved.is_none() {
            self.due = self.due.max(now);
        }
    }

    /// The length of the chunk that it takes now; `most` is that of those who run on.
    fn next_chunk(&mut self, most: Ticks) -> Ticks {
        if self.system.vcpus() == 1 {
            return most;
        }
        let chunk = Ticks(self.chunk.0.max(1).min(most.0));
        self.chunk = Ticks(chunk.0.saturating_mul(2));
        chunk
    }

    /// Gives back what is left of its chunk.
    #[inline]
    fn leave_chunk(&mut self) {
        if let Some(chunks) = self.terms.chunks {
            let rest = core::mem::take(&mut self.granted);
            self.system.give_back(rest, chunks.pace);
        }
    }
}

/// Decides which of a CPU's vCPUs runs.
#[derive(Debug)]
pub struct Scheduler {
    slice: Ticks,
    entries: Vec<Option<Entry>>,
    /// The ready ones, by what they used for their weight.
    by_weight: Heap<u128>,
    /// Those of them with a reservation, by when they are due.
    by_reservation: Heap<Instant>,
    /// Those at their limit, by when they go on.
    held: Heap<Instant>,
    /// Virtual time: the lowest start tag that was ever the lowest.
    now_virtual: u128,
    /// Weight of the ready ones and the running one.
    weight: u64,
    joined: u64,
}

impl Scheduler {
    /// A CPU without vCPUs; the longest turns of those that share it are `slice`.
    pub fn new(slice: Ticks) -> Self {
        Self {
            slice,
            entries: Vec::with_capacity(VCPU_PLACES),
            by_weight: Heap::new(VCPU_PLACES),
            by_reservation: Heap::new(VCPU_PLACES),
            held: Heap::new(VCPU_PLACES),
            now_virtual: 0,
            weight: 0,
            joined: 0,
        }
    }

    /// A vCPU of this system is the CPU's from now on; it sleeps. Allocates where the CPU never had so many.
    pub fn admit(&mut self, slot: Slot, system: Arc<System>) {
        self.dismiss(slot);
        if self.entries.len() <= slot.0 {
            self.entries.resize_with(slot.0.saturating_add(1), || None);
        }
        self.by_weight.make_room(slot);
        self.by_reservation.make_room(slot);
        self.held.make_room(slot);
        if let Some(place) = self.entries.get_mut(slot.0) {
            *place = Some(Entry {
                terms: Terms::new(&system, self.slice),
                system,
                place: Place::Asleep,
                start: 0,
                due: Instant(0),
                rest: Ticks(0),
                spent: Ticks(0),
                granted: Ticks(0),
                chunk: Ticks(0),
                order: 0,
            });
        }
    }

    /// The vCPU is not the CPU's any more.
    pub fn dismiss(&mut self, slot: Slot) {
        let Some(mut entry) = self.entries.get_mut(slot.0).and_then(Option::take) else {
            return;
        };
        self.by_weight.remove(slot);
        self.by_reservation.remove(slot);
        self.held.remove(slot);
        if matches!(entry.place, Place::Ready | Place::Running) {
            self.weight = self.weight.wrapping_sub(entry.terms.weight);
        }
        entry.leave_chunk();
    }

    /// A sleeping vCPU wants to run.
    #[inline]
    pub fn wake(&mut self, slot: Slot, now: Instant) {
        let Some(Some(entry)) = self.entries.get_mut(slot.0) else {
            return;
        };
        if entry.place != Place::Asleep {
            return;
        }
        if entry.terms.chunks.is_some() {
            entry.chunk = Ticks(self.slice.0 / FIRST_CHUNKS_IN_SLICE);
        }
        self.join(slot, now);
    }

    /// Takes over what the systems of its vCPUs, none of which runs now, are entitled to.
    pub fn refresh(&mut self, now: Instant) {
        for index in 0..self.entries.len() {
            if let Some(Some(entry)) = self.entries.get(index)
                && entry.terms.word != entry.system.word()
            {
                self.take_over(Slot(index), now);
            }
        }
    }

    fn take_over(&mut self, slot: Slot, now: Instant) {
        let Some(Some(entry)) = self.entries.get_mut(slot.0) else {
            return;
        };
        let former = entry.terms.weight;
        entry.update(self.slice, now, self.now_virtual);
        match entry.place {
            Place::Ready => {
                self.weight = self.weight.wrapping_sub(former);
                self.weight = self.weight.wrapping_add(entry.terms.weight);
                self.by_weight.remove(slot);
                self.by_reservation.remove(slot);
                self.queue(slot);
            }
            Place::Held if entry.granted == Ticks(0) => {
                self.held.remove(slot);
                self.join(slot, now);
            }
            Place::Held | Place::Asleep | Place::Running => {}
        }
    }

    /// Puts a vCPU that did not want to run, or was not allowed to, among the ready ones.
    #[inline]
    fn join(&mut self, slot: Slot, now: Instant) {
        let Some(Some(entry)) = self.entries.get_mut(slot.0) else {
            return;
        };
        let earliest = self.now_virtual.saturating_sub(entry.terms.credit);
        entry.start = entry.start.max(earliest);
        self.weight = self.weight.wrapping_add(entry.terms.weight);
        self.joined = self.joined.wrapping_add(1);
        entry.order = self.joined;
        if entry.terms.plain {
            entry.place = Place::Ready;
            self.by_weight.insert(slot, entry.start, entry.order);
        } else {
            entry.due = entry.due.max(now);
            self.queue(slot);
        }
    }

    /// Puts a vCPU into the heaps of the ready ones.
    #[inline(never)]
    fn queue(&mut self, slot: Slot) {
        let Some(Some(entry)) = self.entries.get_mut(slot.0) else {
            return;
        };
        entry.place = Place::Ready;
        if entry.terms.reserved.is_some() {
            let debt = entry.terms.credit.saturating_mul(DEBT_SLICES);
            entry.start = entry.start.min(self.now_virtual.saturating_add(debt));
            self.by_reservation.insert(slot, entry.due, entry.order);
        }
        self.by_weight.insert(slot, entry.start, entry.order);
    }

    /// Lets those go on whose next chunk is valid.
    #[inline(never)]
    fn release(&mut self, now: Instant) {
        while let Some((at, slot)) = self.held.first()
            && at <= now
        {
            self.held.remove_first();
            self.join(slot, now);
        }
    }

    /// The vCPU that runs now; it is not among the ready ones until it is put back or sleeps.
    #[inline]
    pub fn pick(&mut self, now: Instant) -> Option<Turn> {
        if !self.held.is_empty() {
            self.release(now);
        }
        let (lowest, slot) = self.by_weight.first()?;
        let entry = self.entries.get_mut(slot.0)?.as_mut()?;
        if !entry.terms.plain || !self.by_reservation.is_empty() {
            return self.pick_entitled(now);
        }
        self.now_virtual = self.now_virtual.max(lowest);
        self.by_weight.remove_first();
        entry.place = Place::Running;
        let mut length = None;
        if !self.by_weight.is_empty() {
            if entry.rest == Ticks(0) {
                entry.rest = turn(self.slice, entry, self.weight, self.now_virtual);
            }
            length = Some(entry.rest);
        }
        Some(Turn { slot, length })
    }

    /// The same where somebody has a reservation or a limit.
    #[inline(never)]
    fn pick_entitled(&mut self, now: Instant) -> Option<Turn> {
        loop {
            let (lowest, by_weight) = self.by_weight.first()?;
            self.now_virtual = self.now_virtual.max(lowest);
            let slot = match self.by_reservation.first() {
                Some((due, slot)) if due <= now => slot,
                _ => by_weight,
            };
            self.by_weight.remove(slot);
            self.by_reservation.remove(slot);
            let entry = self.entries.get_mut(slot.0)?.as_mut()?;
            entry.place = Place::Running;
            let granted = match entry.terms.chunks {
                None => None,
                Some(chunks) => match grant(entry, chunks, now) {
                    Ok(granted) => Some(granted),
                    Err(valid) => {
                        entry.finish_turn(self.slice, now);
                        entry.place = Place::Held;
                        self.weight = self.weight.wrapping_sub(entry.terms.weight);
                        self.held.insert(slot, valid, entry.order);
                        continue;
                    }
                },
            };
            if self.by_weight.is_empty() {
                let length = granted;
                return Some(Turn { slot, length });
            }
            if entry.rest == Ticks(0) {
                entry.rest = turn(self.slice, entry, self.weight, self.now_virtual);
            }
            let length = Some(granted.map_or(entry.rest, |granted| granted.min(entry.rest)));
            return Some(Turn { slot, length });
        }
    }

    /// The running vCPU was interrupted after so long, and wants to go on.
    #[inline]
    pub fn put_back(&mut self, slot: Slot, used: Ticks, now: Instant) {
        let Some(Some(entry)) = self.entries.get_mut(slot.0) else {
            return;
        };
        if entry.place != Place::Running {
            return;
        }
        entry.charge(used, now);
        let alone = self.by_weight.is_empty();
        // Where nobody was there to take turns with, a turn begins when somebody comes.
        if alone || entry.rest == Ticks(0) {
            entry.finish_turn(self.slice, now);
            self.joined = self.joined.wrapping_add(1);
            entry.order = self.joined;
        }
        if alone {
            // Nobody was kept waiting: who comes now has missed nothing.
            self.now_virtual = self.now_virtual.max(entry.start);
        }
        if entry.terms.plain {
            entry.place = Place::Ready;
            self.by_weight.insert(slot, entry.start, entry.order);
        } else {
            self.queue(slot);
        }
    }

    /// The running vCPU has nothing to do any more, after so long.
    #[inline]
    pub fn sleep(&mut self, slot: Slot, used: Ticks, now: Instant) {
        let Some(Some(entry)) = self.entries.get_mut(slot.0) else {
            return;
        };
        if entry.place != Place::Running {
            return;
        }
        entry.place = Place::Asleep;
        entry.charge(used, now);
        entry.leave_chunk();
        entry.finish_turn(self.slice, now);
        self.weight = self.weight.wrapping_sub(entry.terms.weight);
        if self.by_weight.is_empty() {
            self.now_virtual = self.now_virtual.max(entry.start);
        }
    }

    /// When the scheduler must be asked again at the latest.
    pub fn next_release(&self) -> Instant {
        self.held.first().map_or(Instant::NEVER, |(at, _)| at)
    }

    /// Comparisons of tags so far.
    #[cfg(test)]
    pub fn comparisons(&self) -> u64 {
        self.by_weight.comparisons.get()
            + self.by_reservation.comparisons.get()
            + self.held.comparisons.get()
    }

    /// Room in its lists.
    #[cfg(test)]
    pub fn memory(&self) -> [usize; 4] {
        [
            self.entries.capacity(),
            self.by_weight.capacity(),
            self.by_reservation.capacity(),
            self.held.capacity(),
        ]
    }
}

/// What a limited vCPU may run now, or when its next chunk is valid.
#[inline(never)]
fn grant(entry: &mut Entry, chunks: Chunks, now: Instant) -> Result<Ticks, Instant> {
    if entry.granted == Ticks(0) {
        entry.granted = entry.next_chunk(chunks.length);
        let valid = entry.system.take_chunk(entry.granted, chunks.pace, now);
        if valid > now {
            return Err(valid);
        }
    }
    Ok(entry.granted)
}

/// How long a new turn is.
#[inline(never)]
fn turn(slice: Ticks, entry: &Entry, weight: u64, now_virtual: u128) -> Ticks {
    let least = (slice.0 / LEAST_TURNS_IN_SLICE).max(1);
    if entry.start < now_virtual {
        // It lives on what it did not use: others like it shall not wait long.
        return Ticks(least);
    }
    let round = slice.0.saturating_mul(SLICES_IN_ROUND);
    let share = round
        .saturating_mul(entry.terms.weight)
        .checked_div(weight)
        .unwrap_or(slice.0);
    Ticks(share.clamp(least, slice.0.max(least)))
}
