//! [`Host`]: the hypervisor with what this partition shares with it.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use bulkhead_abi::crash::CrashRecord;
use bulkhead_abi::host::{PartitionInfo, VcpuUsage};
use mgmt_executor::Signal;
use mgmt_hypercall::{CrashText, EventPage, PartitionId, Refusal};
use mgmt_platform::Memory;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::dma::{DmaMemory, SharedWords};
use crate::events::Events;
use crate::hypervisor::Hypervisor;
use crate::root::Root;
use crate::shared_page::{SharedPage, SharedPages};

/// Bytes of the page of records.
const PAGE: usize = 4096;

/// The hypervisor, its events, and pages to share with it; clones share them.
#[derive(Clone)]
pub struct Host {
    /// Hypercalls.
    pub hypervisor: Hypervisor,
    /// Events.
    pub events: Events,
    /// Pages.
    pub pages: SharedPages,
    /// Where hypercalls leave their records.
    record: Rc<SharedPage>,
}

impl Host {
    /// Registers the event page; its events come as `vector`, which raises `signal`.
    ///
    /// # Errors
    /// Why there will be no events, in words.
    pub fn start(root: &Root, vector: u8, signal: Signal) -> Result<Self, String> {
        const NO_MEMORY: &str = "no memory for shared pages";
        let pages = SharedPages::default();
        let record = pages.take().ok_or(NO_MEMORY)?;
        let page = DmaMemory::allocate(4096).ok_or(NO_MEMORY)?;
        let hypervisor = root.hypervisor();
        let registered = hypervisor.event_page(page.address(), vector);
        registered.map_err(|refusal| refusal.to_string())?;
        let events = Events::default();
        let page = EventPage::new(SharedWords::new(page));
        root.spawner().spawn(events.clone().run(page, signal));
        Ok(Host {
            hypervisor,
            events,
            pages,
            record: Rc::new(record),
        })
    }

    /// What a hypercall writes at the start of the page that it gets.
    fn record<R: FromZeros + FromBytes + IntoBytes>(
        &self,
        call: impl FnOnce(u64) -> Result<(), Refusal>,
    ) -> Result<R, Refusal> {
        call(self.record.address())?;
        let mut record = R::new_zeroed();
        Memory::read(&**self.record, 0, record.as_mut_bytes());
        Ok(record)
    }

    /// What a hypercall reads from the start of the page that it gets.
    pub fn with_record<R: IntoBytes + zerocopy::Immutable, T>(
        &self,
        record: &R,
        call: impl FnOnce(u64) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        Memory::write(&**self.record, 0, record.as_bytes());
        call(self.record.address())
    }

    /// What the hypervisor says of a partition.
    ///
    /// # Errors
    /// The hypervisor's refusal.
    pub fn info(&self, id: PartitionId) -> Result<PartitionInfo, Refusal> {
        self.record(|page| self.hypervisor.partition_info(id, page))
    }

    /// What each vCPU of a partition has used.
    ///
    /// # Errors
    /// The hypervisor's refusal.
    pub fn vcpu_usage(&self, id: PartitionId) -> Result<Vec<VcpuUsage>, Refusal> {
        let count = self.hypervisor.vcpu_usage(id, self.record.address())?;
        let mut usage = vec![VcpuUsage::new_zeroed(); count.min(PAGE / size_of::<VcpuUsage>())];
        Memory::read(&**self.record, 0, usage.as_mut_slice().as_mut_bytes());
        Ok(usage)
    }

    /// What it says of the machine.
    ///
    /// # Errors
    /// The hypervisor's refusal.
    pub fn host_info(&self) -> Result<bulkhead_abi::host::HostInfo, Refusal> {
        self.record(|page| self.hypervisor.host_info(page))
    }

    /// Keeps something with a partition over a restart of ours.
    ///
    /// # Errors
    /// The hypervisor's refusal; what was kept before is kept on.
    pub fn keep_state(&self, id: PartitionId, state: &[u8]) -> Result<(), Refusal> {
        Memory::write(&**self.record, 0, state);
        let page = self.record.address();
        self.hypervisor.state_keep(id, page, state.len())
    }

    /// What is kept with a partition.
    ///
    /// # Errors
    /// The hypervisor's refusal.
    pub fn kept_state(&self, id: PartitionId) -> Result<Vec<u8>, Refusal> {
        let bytes = self.hypervisor.state_read(id, self.record.address())?;
        let mut state = vec![0; bytes.min(PAGE)];
        Memory::read(&**self.record, 0, &mut state);
        Ok(state)
    }

    /// A partition's crash record, in words.
    ///
    /// # Errors
    /// The hypervisor's refusal.
    pub fn crash(&self, id: PartitionId) -> Result<String, Refusal> {
        let record: CrashRecord = self.record(|page| self.hypervisor.crash_record(id, page))?;
        Ok(CrashText(&record).to_string())
    }
}
