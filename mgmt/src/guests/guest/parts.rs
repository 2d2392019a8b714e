//! What a guest is made of: its board, and what it finds in memory.

use alloc::boxed::Box;
use alloc::string::{String, ToString};

use cim_domain::StartFailure;
use vmm_board::{Parts, Processors};
use vmm_firmware::{BoardFacts, Firmware, firmware};

use super::Guest;
use crate::entropy::Entropy;

impl Guest {
    /// What its board is made of.
    pub(super) fn parts(&self) -> Result<Parts, String> {
        let entropy = Entropy::detect().ok_or("the CPU makes no random numbers")?;
        Ok(Parts {
            terminal: Default::default(),
            entropy: Box::new(move |bytes| entropy.fill(bytes)),
            processors: Processors {
                possible: self.order.processors.maximum,
                present: self.processors.get(),
            },
        })
    }

    /// What it finds in memory when it starts.
    ///
    /// # Errors
    /// There can be no such board.
    pub fn firmware(&self) -> Result<Firmware, StartFailure> {
        let topology = self.order.processors.topology;
        let facts = BoardFacts {
            name: &self.order.name,
            uuid: self.order.uuid.0,
            vcpus: self.order.processors.maximum,
            present_vcpus: self.processors.get(),
            threads_per_core: u16::try_from(topology.threads).unwrap_or(u16::MAX),
            cores_per_socket: u16::try_from(topology.cores).unwrap_or(u16::MAX),
            ram: self.ram_layout(),
        };
        firmware(&facts).map_err(|error| StartFailure::Machine(error.to_string()))
    }
}
