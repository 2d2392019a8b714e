//! A partition's guest-physical address space: its nested tables behind a port without type parameters.

use crate::addr::{Gpa, Hpa, HpaRange};
use crate::fault::ResourceError;
use crate::paging::{
    Attributes, Flush, Flushed, Format, MapError, MemoryType, PageTable, Permissions, TableFrames,
    TableMemory,
};

/// What is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// RAM of the partition.
    Ram,
    /// RAM of another partition, which this one does not run code from.
    Window,
    /// Memory that the partition may read.
    ReadOnly,
    /// Registers of a device that the partition owns.
    Device,
}

/// The nested translation of one partition. Off the hot path, hence without type parameters.
pub trait NestedSpace: Send {
    /// The root table's machine address.
    fn root(&self) -> Hpa;

    /// Maps `machine` at `gpa` with the largest pages that fit. Mapping again what is there already changes nothing.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted, or something else is mapped there; nothing has changed.
    fn map(&mut self, gpa: Gpa, machine: HpaRange, content: Content) -> Result<(), MapError<Gpa>>;

    /// Removes what is mapped in `bytes` from `gpa` on. CPUs may use it until they have flushed.
    ///
    /// # Errors
    /// As for [`NestedSpace::map`].
    fn unmap(&mut self, gpa: Gpa, bytes: u64) -> Result<Flush, MapError<Gpa>>;

    /// Frees the tables that were in use before the flush.
    fn release(&mut self, flush: Flush, proof: Flushed);

    /// Frees all tables; nobody uses them any more, says the proof. Nothing can be mapped afterwards.
    fn destroy(&mut self, proof: Flushed);
}

/// [`NestedSpace`] over the page-table engine.
pub struct NestedTables<F: Format<In = Gpa>, M, A> {
    /// `None` once they were destroyed.
    table: Option<PageTable<F>>,
    root: Hpa,
    memory: M,
    frames: A,
}

impl<F: Format<In = Gpa>, M: TableMemory, A: TableFrames> NestedTables<F, M, A> {
    /// An empty space.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn new(format: F, memory: M, mut frames: A) -> Result<Self, ResourceError> {
        let table = PageTable::new(format, &mut frames)?;
        Ok(Self {
            root: table.root(),
            table: Some(table),
            memory,
            frames,
        })
    }
}

impl<F, M, A> NestedSpace for NestedTables<F, M, A>
where
    F: Format<In = Gpa> + Send,
    M: TableMemory + Send,
    A: TableFrames + Send,
{
    fn root(&self) -> Hpa {
        self.root
    }

    fn map(&mut self, gpa: Gpa, machine: HpaRange, content: Content) -> Result<(), MapError<Gpa>> {
        let attributes = match content {
            Content::Ram => Attributes::GUEST_RAM,
            Content::Window => Attributes::new(Permissions::RW, MemoryType::WriteBack),
            Content::ReadOnly => Attributes::new(Permissions::R, MemoryType::WriteBack),
            Content::Device => Attributes::new(Permissions::RW, MemoryType::Uncached),
        };
        let (memory, frames) = (&mut self.memory, &mut self.frames);
        let table = self.table.as_mut().ok_or(MapError::OutOfRange)?;
        table.map(
            memory,
            frames,
            gpa,
            machine.bytes(),
            machine.start,
            attributes,
        )
    }

    fn unmap(&mut self, gpa: Gpa, bytes: u64) -> Result<Flush, MapError<Gpa>> {
        let (memory, frames) = (&mut self.memory, &mut self.frames);
        let table = self.table.as_mut().ok_or(MapError::OutOfRange)?;
        table.unmap(memory, frames, gpa, bytes)
    }

    fn release(&mut self, flush: Flush, proof: Flushed) {
        flush.release(proof, &mut self.memory, &mut self.frames);
    }

    fn destroy(&mut self, proof: Flushed) {
        if let Some(table) = self.table.take() {
            table.destroy(proof, &mut self.memory, &mut self.frames);
        }
    }
}
