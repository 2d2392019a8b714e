//! [`HostEnd`]s on their way from the domain, which may not wait, to the task that carries them out.

use alloc::rc::Rc;
use core::cell::Cell;
use core::time::Duration;

use bulkhead_abi::hypercall::MachineAction;
use cim_domain::HostEnd;
use mgmt_executor::Signal;
use mgmt_wbem::{Durability, Keeper};

use crate::report;
use crate::root::Root;

/// How long clients have to hear that the machine ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the machine was told to do last; clones share it.
#[derive(Clone)]
pub struct HostEnding {
    asked: Rc<Cell<Option<HostEnd>>>,
    signal: Signal,
}

impl HostEnding {
    /// Nothing yet.
    pub fn new() -> Self {
        HostEnding {
            asked: Rc::default(),
            signal: Signal::new(),
        }
    }

    /// Has the machine end.
    pub fn ask(&self, end: HostEnd) {
        self.asked.set(Some(end));
        self.signal.raise();
    }

    /// Waits until the machine is to end, and ends it when everything is kept and clients have heard of it. Returns only
    /// where the hypervisor refuses.
    pub async fn carry_out(&self, root: &Root, keeper: &Keeper) {
        let end = loop {
            match self.asked.take() {
                Some(end) => break end,
                None => self.signal.wait().await,
            }
        };
        root.timers()
            .sleep_until(root.now().after(LAST_WORDS))
            .await;
        if keeper.settled(keeper.mark()).await != Durability::Durable {
            report!("the host ends, but the last changes could not be kept");
        }
        let (action, what) = match end {
            HostEnd::PowerOff => (MachineAction::PowerOff, "powers off"),
            HostEnd::Restart => (MachineAction::Reset, "restarts"),
        };
        report!("all systems have ended; the host {what}");
        if let Some(refusal) = root.hypervisor().end_machine(action) {
            report!("the host goes on: {refusal}");
        }
    }
}
