//! [`Witness`]: looks at what the board did, and knows what it promised.

use alloc::vec::Vec;

use vmm_pci::{CapabilityId, Function, Width, command};
use vmm_ram::fake::FakeRam;

use crate::{Board, DoorbellId, Effect, Level, Message, map};

/// Accesses to memory that one call may make: a few for each descriptor that two queues may serve at once.
const MOST_ACCESSES: u64 = 10_000;
/// Effects of one call.
const MOST_EFFECTS: usize = 32;

/// What is known of the board.
#[derive(Default)]
pub(super) struct Witness {
    accesses: u64,
    was_live: bool,
    bells: Vec<(DoorbellId, u64)>,
}

impl Witness {
    pub fn before(&mut self, board: &Board<&FakeRam>, ram: &FakeRam) {
        self.accesses = ram.accesses();
        self.was_live = is_live(board);
    }

    pub fn after(&mut self, board: &mut Board<&FakeRam>, ram: &FakeRam) {
        let accesses = ram.accesses() - self.accesses;
        assert!(accesses <= MOST_ACCESSES, "one call: {accesses} accesses");
        // A device that failed at once was live for a moment: its status still says that a driver was ready.
        let may_touch = self.was_live || is_live(board);
        assert!(
            may_touch || accesses == 0,
            "memory touched without a driver"
        );
        let effects: Vec<Effect> = board.take_effects().collect();
        assert!(effects.len() <= MOST_EFFECTS, "{} effects", effects.len());
        for effect in effects {
            match effect {
                Effect::Message(message) => assert!(may_send(board, message), "{message:?}"),
                Effect::Line { gsi, level } if gsi == map::SCI => {
                    assert_eq!(level, board.sci());
                }
                Effect::Line { level, .. } => {
                    let may = functions(board).any(may_assert);
                    assert!(level == Level::Low || may, "a pin that nobody may assert");
                }
                Effect::DoorbellAdd { bell, address } => self.add(bell, address),
                Effect::DoorbellRemove { bell, address } => {
                    let before = self.bells.len();
                    self.bells.retain(|known| *known != (bell, address));
                    assert_eq!(self.bells.len() + 1, before, "no such doorbell");
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, bell: DoorbellId, address: u64) {
        let window = map::PCI_WINDOW.start..map::PCI_WINDOW.end;
        assert!(window.contains(&address), "a doorbell outside the window");
        let clash = |known: &(DoorbellId, u64)| known.0 == bell || known.1 == address;
        assert!(!self.bells.iter().any(clash), "a doorbell added twice");
        self.bells.push((bell, address));
    }
}

fn functions<'a>(board: &'a Board<&FakeRam>) -> impl Iterator<Item = &'a Function> {
    board.bus.devices().map(|(_, device)| device.function())
}

/// Whether a driver is ready, and the device may reach memory; also one that waits for its reset.
fn is_live(board: &Board<&FakeRam>) -> bool {
    board.bus.devices().any(|(_, device)| {
        device.function().is_bus_master() && device.status() & vmm_virtio::status::DRIVER_OK != 0
    })
}

/// The guest's own bits, not what the board thinks of them.
fn may_assert(function: &Function) -> bool {
    let waiting = function.read(vmm_pci::STATUS, Width::Byte) & 8 != 0;
    waiting && function.command() & command::INTX_DISABLE == 0 && msix_control(function) >> 15 == 0
}

/// Whether a function has this message in an entry that is not masked, and may send it.
fn may_send(board: &Board<&FakeRam>, message: Message) -> bool {
    functions(board).any(|function| {
        let open = msix_control(function) >> 14 == 0b10;
        let entries = 0..u64::from(function.vectors());
        open && function.is_bus_master()
            && entries.into_iter().any(|vector| {
                let entry = |offset| function.read_table(vector * 16 + offset, Width::Qword);
                entry(0) == message.address && entry(8) == u64::from(message.data)
            })
    })
}

/// MSI-X control, found as a guest finds it.
fn msix_control(function: &Function) -> u16 {
    let mut at = function.read(vmm_pci::CAPABILITIES, Width::Byte) as u16;
    while at != 0 {
        if function.read(at, Width::Byte) == u64::from(CapabilityId::MSIX.0) {
            return function.read(at + 2, Width::Word) as u16;
        }
        at = function.read(at + 1, Width::Byte) as u16;
    }
    0
}
