//! The other partitions: how this one reaches them, and the virtual systems that it makes of them.

mod boot;
mod consoles;
mod desk;
mod guest;
mod host;
mod host_end;
mod kept;
mod life;
mod machine;
mod placement;
mod reports;

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use cim_domain::{SystemId, Usage};
use mgmt_executor::Signal;

use crate::images::DiskLibrary;
use guest::Guest;

pub use desk::ConsoleDesk;
pub use host::Host;
pub use host_end::HostEnding;
pub use machine::GuestMachine;
pub use reports::Reports;

/// What all guests share; clones share it.
#[derive(Clone)]
pub struct Shelf {
    /// The images, where there is a disk.
    library: DiskLibrary,
    /// Their consoles.
    desk: ConsoleDesk,
    /// On their way to the domain.
    reports: Reports,
    /// Raised when a board has work left.
    work: Signal,
    /// The guests that are on.
    guests: Rc<RefCell<BTreeMap<SystemId, Rc<Guest>>>>,
    /// What those that have ended had used.
    spent: Rc<Cell<Usage>>,
    /// Ticks of a second.
    tsc_hz: Rc<Cell<u64>>,
    /// The end of the machine.
    host_end: HostEnding,
}

impl Shelf {
    /// No guests.
    pub fn new(library: DiskLibrary, desk: ConsoleDesk) -> Self {
        Shelf {
            library,
            desk,
            reports: Reports::new(),
            work: Signal::new(),
            guests: Rc::default(),
            spent: Rc::default(),
            tsc_hz: Rc::default(),
            host_end: HostEnding::new(),
        }
    }

    /// What is on its way to the domain.
    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// The end of the machine.
    pub fn host_end(&self) -> &HostEnding {
        &self.host_end
    }

    /// Does what boards have left, for ever.
    pub async fn work(self) {
        loop {
            self.work.wait().await;
            let guests: alloc::vec::Vec<_> = self.guests.borrow().values().cloned().collect();
            for guest in guests {
                guest.work();
            }
        }
    }
}
