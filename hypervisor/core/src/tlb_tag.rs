//! TLB tags (address-space ids of nested paging) for the vCPUs of one physical CPU, by generations.
//!
//! The code that enters guests calls [`TagPool::tag_for`] before every entry, writes the tag and the
//! flush into the control block, and calls [`TagPool::entered`] after the guest has run. One pool per
//! physical CPU, touched by that CPU alone: no lock.
//!
//! Invariants:
//! - A tag is given to one vCPU only within a generation, and the first entry of a generation
//!   flushes all tags: so no vCPU ever sees translations of another, or its own of long ago.
//! - A vCPU that comes back from another CPU, or whose partition's tables changed (a new epoch),
//!   enters with a fresh or a flushed tag.
//! - A demanded flush stays demanded until an entry has executed it, so an entry that is abandoned
//!   on its last steps loses nothing.

use core::fmt;
use core::num::NonZeroU32;

use crate::id::CpuId;

#[cfg(test)]
mod tests;

/// A TLB tag of a guest; 0 belongs to the host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Tag(NonZeroU32);

impl Tag {
    /// The number for the control block, never 0.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// What the entry must flush.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FlushKind {
    /// Nothing.
    None,
    /// The translations of this tag.
    ThisTag,
    /// The translations of all tags.
    AllTags,
}

/// Whether an entry can flush one tag (else it flushes all or nothing).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlushByTag {
    /// The CPU can.
    Supported,
    /// It cannot: [`FlushKind::ThisTag`] is never demanded; a fresh tag takes its place.
    Absent,
}

/// The CPU has no tag besides the host's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoTags;

impl fmt::Display for NoTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the CPU offers no TLB tag for guests")
    }
}

/// What a vCPU remembers of its tag: part of the vCPU's record.
#[derive(Clone, Copy, Debug, Default)]
pub struct TagHolder {
    /// The tag and where it is good; `None` before the first entry.
    tag: Option<(Tag, CpuId)>,
    generation: u64,
    epoch: u64,
    flush_pending: bool,
    /// The last answer of [`TagPool::tag_for`] demanded a flush, of which [`TagPool::entered`] has not told yet.
    demanded: bool,
}

impl TagHolder {
    /// A vCPU that has never run.
    pub const fn new() -> Self {
        Self {
            tag: None,
            generation: 0,
            epoch: 0,
            flush_pending: false,
            demanded: false,
        }
    }

    /// Forces a fresh tag at the next entry: for changes of this vCPU alone.
    pub const fn invalidate(&mut self) {
        self.tag = None;
    }
}

/// The tags of one physical CPU.
#[derive(Debug)]
pub struct TagPool {
    cpu: CpuId,
    /// The highest tag.
    last: NonZeroU32,
    /// The next tag never used in this generation; past `last` where none is left.
    next: NonZeroU32,
    generation: u64,
    flush_by_tag: FlushByTag,
    flush_all_pending: bool,
}

impl TagPool {
    /// The pool of `cpu`, which has `count` tags including the host's tag 0
    /// (CPUID 8000_000Ah EBX on AMD; 65536 on Intel).
    ///
    /// # Errors
    /// [`NoTags`] where `count` is below 2.
    pub const fn new(cpu: CpuId, count: u32, flush_by_tag: FlushByTag) -> Result<Self, NoTags> {
        match NonZeroU32::new(count.saturating_sub(1)) {
            Some(last) => Ok(Self {
                cpu,
                last,
                next: NonZeroU32::MIN,
                generation: 1,
                flush_by_tag,
                // What the TLB holds from before (firmware, another hypervisor) is unknown.
                flush_all_pending: true,
            }),
            None => Err(NoTags),
        }
    }

    /// The tag to enter with, and what that entry must flush.
    ///
    /// `epoch` counts the changes of the partition's tables that need a flush: read it after the
    /// last change was stored (Acquire), before the entry.
    #[inline]
    pub fn tag_for(&mut self, holder: &mut TagHolder, epoch: u64) -> (Tag, FlushKind) {
        let tag = self.choose(holder, epoch);
        let flush = self.pending(holder);
        holder.demanded = flush != FlushKind::None;
        (tag, flush)
    }

    /// The tag to enter with, with the holder's own demands noted.
    fn choose(&mut self, holder: &mut TagHolder, epoch: u64) -> Tag {
        match holder.tag {
            Some((tag, cpu))
                if cpu == self.cpu
                    && holder.generation == self.generation
                    && holder.epoch == epoch =>
            {
                tag
            }
            Some((tag, cpu))
                if cpu == self.cpu
                    && holder.generation == self.generation
                    && self.flush_by_tag == FlushByTag::Supported =>
            {
                holder.epoch = epoch;
                holder.flush_pending = true;
                tag
            }
            _ => {
                let tag = self.fresh();
                *holder = TagHolder {
                    tag: Some((tag, self.cpu)),
                    generation: self.generation,
                    epoch,
                    flush_pending: false,
                    demanded: false,
                };
                tag
            }
        }
    }

    /// States that the guest ran with what the last [`TagPool::tag_for`] for this vCPU demanded. Where it demanded nothing,
    /// nothing is met: what is pending by now was demanded of others.
    #[inline]
    pub const fn entered(&mut self, holder: &mut TagHolder) {
        if holder.demanded {
            holder.demanded = false;
            holder.flush_pending = false;
            self.flush_all_pending = false;
        }
    }

    /// The demands that no entry has met yet.
    const fn pending(&self, holder: &TagHolder) -> FlushKind {
        if self.flush_all_pending {
            FlushKind::AllTags
        } else if holder.flush_pending {
            FlushKind::ThisTag
        } else {
            FlushKind::None
        }
    }

    /// A tag that nobody has used since all tags were flushed.
    fn fresh(&mut self) -> Tag {
        if self.next > self.last {
            self.generation += 1;
            self.next = NonZeroU32::MIN;
            self.flush_all_pending = true;
        }
        let tag = Tag(self.next);
        // `last` comes from a subtraction of one, so `next` past it still fits.
        self.next = self.next.saturating_add(1);
        tag
    }
}
