//! The I/O requests of another partition: its page, and the answers.

use bulkhead_abi::io::{DIRECTION_READ, IoSlot, STATE_PENDING};
use mgmt_hypercall::{EventPort, PartitionId, Refusal, Request};
use mgmt_platform::Memory;
use zerocopy::{FromZeros, IntoBytes};

use crate::hypervisor::Hypervisor;
use crate::report;
use crate::shared_page::SharedPage;

/// The I/O page of one partition.
pub struct IoRequests {
    hypervisor: Hypervisor,
    partition: PartitionId,
    page: SharedPage,
}

impl IoRequests {
    /// Registers the page; the request of vCPU n raises the port n after `first`.
    ///
    /// # Errors
    /// The hypervisor's refusal.
    pub fn register(
        hypervisor: Hypervisor,
        partition: PartitionId,
        page: SharedPage,
        first: EventPort,
    ) -> Result<Self, Refusal> {
        hypervisor.io_page(partition, page.address(), first)?;
        Ok(IoRequests {
            hypervisor,
            partition,
            page,
        })
    }

    /// Answers the request in a slot, if there is one, with what `access` returns. One that makes no sense is answered like
    /// one that no device claims: the vCPU must run on.
    pub fn serve(&self, slot: usize, access: impl FnOnce(Request) -> u64) {
        const DATA: usize = core::mem::offset_of!(IoSlot, data);
        let at = slot * size_of::<IoSlot>();
        // Acquire: partner of the hypervisor's release when it filled the slot.
        if u32::from(self.page.load16(at)) != STATE_PENDING {
            return;
        }
        let mut contents = IoSlot::new_zeroed();
        Memory::read(&*self.page, at, contents.as_mut_bytes());
        let value = match Request::from_slot(&contents) {
            Some(request) => access(request),
            None => u64::MAX,
        };
        if contents.direction == DIRECTION_READ {
            Memory::write(&*self.page, at + DATA, &value.to_le_bytes());
        }
        if let Err(refusal) = self.hypervisor.io_complete(self.partition, slot) {
            report!("{}: {refusal}", self.partition);
        }
    }
}
