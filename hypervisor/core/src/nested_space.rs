//! A partition's guest-physical address space: its nested tables behind a port without type parameters.

use crate::addr::{Gpa, Hpa, HpaRange};
use crate::fault::ResourceError;
use crate::paging::{
    Attributes, Format, MapError, MemoryType, PageTable, Permissions, TableFrames, TableMemory,
};

/// What is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// RAM of the partition.
    Ram,
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
}

/// [`NestedSpace`] over the page-table engine.
pub struct NestedTables<F: Format<In = Gpa>, M, A> {
    table: PageTable<F>,
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
            table,
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
        self.table.root()
    }

    fn map(&mut self, gpa: Gpa, machine: HpaRange, content: Content) -> Result<(), MapError<Gpa>> {
        let attributes = match content {
            Content::Ram => Attributes::GUEST_RAM,
            Content::ReadOnly => Attributes::new(Permissions::R, MemoryType::WriteBack),
            Content::Device => Attributes::new(Permissions::RW, MemoryType::Uncached),
        };
        let (memory, frames) = (&mut self.memory, &mut self.frames);
        self.table.map(
            memory,
            frames,
            gpa,
            machine.bytes(),
            machine.start,
            attributes,
        )
    }
}
