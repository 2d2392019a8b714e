//! The state of a board: kept while the management partition starts again, so that its guest does not notice.

use alloc::vec::Vec;
use core::fmt;

use vmm_pci::{BadState, StateReader, StateWriter};
use vmm_ram::GuestRam;
use vmm_virtio::SetupError;

use crate::board::{Board, Parts};

/// What a state begins with.
const MARK: [u8; 6] = *b"BHdevs";
/// Its version: 2 has the processors that come and go. A state lives no longer than the hypervisor runs, so that no older one is
/// met.
const VERSION: u16 = 2;

/// Why there is no board of a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestoreError {
    /// A mistake of ours in a device.
    Setup(SetupError),
    /// The bytes are not the state of such a board.
    State(BadState),
}

impl From<SetupError> for RestoreError {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<BadState> for RestoreError {
    fn from(error: BadState) -> Self {
        Self::State(error)
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RestoreError {}

impl<R: GuestRam> Board<R> {
    /// What the guest has set up, in less than a page. What changes with each buffer of a queue is in the guest's memory, and
    /// what waits on the way to or from a console is not kept.
    pub fn save(&self) -> Vec<u8> {
        let mut to = StateWriter::new();
        to.put(&MARK);
        to.put16(VERSION);
        self.pm.save(&mut to);
        self.hot_plug.save(&mut to);
        self.bus.save(&mut to);
        to.into_bytes()
    }

    /// The board that was saved so, over the same memory. Its owner is told all that it must do by
    /// [`Board::take_effects`], as nobody remembers what was done: levels of lines, doorbells, and an interrupt for each queue in use, for one may
    /// have got lost.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restored(ram: R, parts: Parts, state: &[u8]) -> Result<Self, RestoreError> {
        let mut board = Self::new(ram, parts)?;
        let mut from = StateReader::new(state);
        if from.take()? != MARK || from.take16()? != VERSION {
            return Err(BadState::Version.into());
        }
        board.pm.restore(&mut from)?;
        board.hot_plug.restore(&mut from)?;
        let (ram, out) = (&board.ram, &mut board.outbox);
        board.bus.restore(&mut from, ram, out)?;
        from.end()?;
        board.forget_what_was_told();
        Ok(board)
    }
}
