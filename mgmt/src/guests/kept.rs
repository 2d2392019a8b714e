//! [`KeptState`]: what the hypervisor keeps of a guest while this partition starts again.

use alloc::vec::Vec;

/// How far a guest has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Its memory is being filled: it must be loaded from the beginning.
    Loading = 1,
    /// It has been started; its devices have a state.
    Running = 2,
    /// It was asked to be turned off.
    Ending = 3,
}

/// What is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptState {
    /// How far it has come.
    pub phase: Phase,
    /// The TCP port of its console.
    pub console: Option<u16>,
    /// Its devices.
    pub board: Vec<u8>,
}

const MARK: [u8; 4] = *b"BHg1";

impl KeptState {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::from(MARK);
        bytes.push(self.phase as u8);
        bytes.extend_from_slice(&self.console.unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(&self.board);
        bytes
    }

    /// Out of bytes; `None` where they are something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(&MARK)?;
        let ([phase, low, high], board) = bytes.split_first_chunk()?;
        let phases = [Phase::Loading, Phase::Running, Phase::Ending];
        let phase = phases.into_iter().find(|known| *known as u8 == *phase)?;
        let console = u16::from_le_bytes([*low, *high]);
        Some(KeptState {
            phase,
            console: (console != 0).then_some(console),
            board: board.to_vec(),
        })
    }
}
