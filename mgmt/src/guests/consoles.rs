//! [`GuestConsole`]: what a guest writes to its consoles, on its way to whoever watches.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

use cim_domain::SystemId;
use mgmt_hypercall::{ConsolePage, EventPort, PartitionId, Refusal};
use mgmt_virtio::Memory;

use super::{Host, Shelf};
use crate::report;
use crate::shared_page::SharedPage;

/// What is taken from a ring at a time.
const PIECE: usize = 1024;

/// The consoles of one guest.
pub struct GuestConsole {
    host: Host,
    id: PartitionId,
    name: String,
    page: ConsolePage<SharedPage>,
    line: RefCell<Vec<u8>>,
}

impl GuestConsole {
    /// The consoles of the guest in a partition.
    ///
    /// # Errors
    /// There is no memory.
    pub fn open(
        host: &Host,
        _shelf: &Shelf,
        id: PartitionId,
        _system: SystemId,
        name: &str,
    ) -> Result<Self, String> {
        let page = host.pages.take().ok_or("no memory for its console page")?;
        Ok(GuestConsole {
            host: host.clone(),
            id,
            name: name.to_string(),
            page: ConsolePage::new(page),
            line: RefCell::default(),
        })
    }

    /// Gives the page to the hypervisor; `port` tells when there is something in it.
    ///
    /// # Errors
    /// The hypervisor's refusal.
    pub fn register(&self, port: EventPort) -> Result<(), Refusal> {
        let page = self.page.memory().address();
        self.host.hypervisor.console_page(self.id, page, port)
    }

    /// Takes what the guest has written to its serial port.
    pub fn serial_event(&self) {
        let mut buffer = [0; PIECE];
        loop {
            let count = self.page.take(&mut buffer);
            if count == 0 {
                return;
            }
            self.show(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Takes what it has written to its virtio console.
    pub fn virtio_output(&self, mut take: impl FnMut(&mut [u8]) -> usize) {
        let mut buffer = [0; PIECE];
        loop {
            let count = take(&mut buffer);
            if count == 0 {
                return;
            }
            self.show(buffer.get(..count).unwrap_or_default());
        }
    }

    /// The guest is off.
    pub fn close(&self) {
        self.serial_event();
    }

    fn show(&self, bytes: &[u8]) {
        let mut line = self.line.borrow_mut();
        for byte in bytes {
            if *byte == b'\n' {
                report!("{}| {}", self.name, String::from_utf8_lossy(&line));
                line.clear();
            } else {
                line.push(*byte);
            }
        }
    }
}
