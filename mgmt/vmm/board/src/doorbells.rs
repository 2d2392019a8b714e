//! [`Doorbells`]: the notifications that the hypervisor takes by itself.

use alloc::vec::Vec;

use vmm_pci::{BarIndex, Slot};
use vmm_virtio::QueueIndex;

use crate::Effect;
use crate::pci_bus::PciBus;

/// A queue of a device of a board, counted from 0 without gaps below [`crate::Board::doorbell_count`]. The same queue has the
/// same number for as long as the board lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DoorbellId(pub u16);

#[derive(Clone, Copy, Debug)]
struct Bell {
    slot: Slot,
    queue: QueueIndex,
    /// Where the hypervisor has it.
    announced: Option<u64>,
}

/// The queues of a board, and where the hypervisor listens for them.
#[derive(Debug)]
pub(crate) struct Doorbells {
    bells: Vec<Bell>,
}

impl Doorbells {
    pub fn of(bus: &PciBus) -> Self {
        let queues = bus.devices().flat_map(|(slot, device)| {
            (0..device.queue_count()).map(move |queue| Bell {
                slot,
                queue: QueueIndex(queue),
                announced: None,
            })
        });
        Self {
            bells: queues.collect(),
        }
    }

    pub fn count(&self) -> u16 {
        self.bells.len() as u16
    }

    /// The queue of a doorbell.
    pub fn queue(&self, bell: DoorbellId) -> Option<(Slot, QueueIndex)> {
        let bell = self.bells.get(usize::from(bell.0))?;
        Some((bell.slot, bell.queue))
    }

    /// Adds what has changed since the last time: removals first, for a bell may go where another was.
    pub fn update(&mut self, bus: &PciBus, effects: &mut Vec<Effect>) {
        for removing in [true, false] {
            for (index, bell) in (0..).zip(&mut self.bells) {
                let address = bus.doorbell_address(bell.slot, BarIndex::ZERO, bell.queue);
                if address == bell.announced {
                    continue;
                }
                let id = DoorbellId(index);
                match (removing, bell.announced, address) {
                    (true, Some(address), _) => {
                        bell.announced = None;
                        effects.push(Effect::DoorbellRemove { bell: id, address });
                    }
                    (false, _, Some(address)) => {
                        bell.announced = Some(address);
                        effects.push(Effect::DoorbellAdd { bell: id, address });
                    }
                    _ => {}
                }
            }
        }
    }
}
