//! [`NetworkCard`]: the cards that have drivers, as one device for the IP stack.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use mgmt_e1000::Notice;
use mgmt_net::FrameDevice;
use mgmt_virtio::Net;

use crate::dma::Machine;

/// A driver with its card.
enum Driver {
    Virtio(Net<Machine>),
    E1000(mgmt_e1000::Card<Machine>),
}

/// A card, until it fails.
pub struct NetworkCard {
    driver: Driver,
    failed: Option<String>,
    /// Whether frames came or went since somebody asked.
    traffic: bool,
}

impl From<Net<Machine>> for NetworkCard {
    fn from(net: Net<Machine>) -> Self {
        NetworkCard::new(Driver::Virtio(net))
    }
}

impl From<mgmt_e1000::Card<Machine>> for NetworkCard {
    fn from(card: mgmt_e1000::Card<Machine>) -> Self {
        NetworkCard::new(Driver::E1000(card))
    }
}

impl NetworkCard {
    fn new(driver: Driver) -> Self {
        NetworkCard {
            driver,
            failed: None,
            traffic: false,
        }
    }

    /// Its Ethernet address.
    pub fn mac(&self) -> [u8; 6] {
        match &self.driver {
            Driver::Virtio(net) => net.mac(),
            Driver::E1000(card) => card.mac(),
        }
    }

    /// Whether it is to be looked at from time to time, since it raises no interrupts.
    pub fn is_silent(&self) -> bool {
        match &self.driver {
            Driver::Virtio(_) => false,
            Driver::E1000(card) => card.notice() == Notice::None,
        }
    }

    /// Why it must not be used any more.
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Whether frames came or went since the last call.
    pub fn had_traffic(&mut self) -> bool {
        core::mem::take(&mut self.traffic)
    }

    fn keep<T, E: fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed = Some(error.to_string());
                None
            }
        }
    }
}

impl FrameDevice for NetworkCard {
    fn receive(&mut self) -> Option<Vec<u8>> {
        let frame = match &mut self.driver {
            Driver::Virtio(net) => {
                let received = net.receive();
                self.keep(received).flatten()
            }
            Driver::E1000(card) => {
                let received = card.receive();
                self.keep(received).flatten()
            }
        };
        self.traffic |= frame.is_some();
        frame
    }

    fn can_transmit(&mut self) -> bool {
        if self.failed.is_some() {
            return false;
        }
        match &mut self.driver {
            Driver::Virtio(net) => {
                let can = net.can_transmit();
                self.keep(can).unwrap_or(false)
            }
            Driver::E1000(card) => card.can_transmit(),
        }
    }

    fn transmit(&mut self, frame: &[u8]) {
        self.traffic = true;
        match &mut self.driver {
            Driver::Virtio(net) => {
                let sent = net.transmit(frame);
                self.keep(sent);
            }
            Driver::E1000(card) => {
                let sent = card.transmit(frame);
                self.keep(sent);
            }
        }
    }
}
