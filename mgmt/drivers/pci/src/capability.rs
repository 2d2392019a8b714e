//! The list of capabilities in configuration space.

use crate::{Address, ConfigSpace};

/// One capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capability {
    /// What it is: 0x09 vendor-specific, 0x11 MSI-X, ...
    pub id: u8,
    /// Its offset in configuration space.
    pub offset: u8,
}

/// Walks the list. A list that a device made circular ends after as many steps as fit into configuration space.
pub struct Capabilities<'a, C: ConfigSpace> {
    config: &'a C,
    address: Address,
    next: u8,
    left: u8,
}

impl<'a, C: ConfigSpace> Capabilities<'a, C> {
    pub(crate) fn new(config: &'a C, address: Address, first: u8) -> Self {
        Capabilities {
            config,
            address,
            next: first & !3,
            left: 48,
        }
    }
}

impl<C: ConfigSpace> Iterator for Capabilities<'_, C> {
    type Item = Capability;

    fn next(&mut self) -> Option<Capability> {
        if self.next < 0x40 || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let word = self.config.read(self.address, self.next);
        let capability = Capability {
            id: word as u8,
            offset: self.next,
        };
        self.next = (word >> 8) as u8 & !3;
        Some(capability)
    }
}

#[cfg(test)]
mod tests {
    use crate::fake::FakeConfig;
    use crate::{Address, Capability, Function};

    #[test]
    fn a_circular_list_ends() {
        let at = Address::new(0, 1, 0);
        let config = FakeConfig::with_device(at);
        config.set(at, 4, 1 << 20);
        config.set(at, 0x34, 0x40);
        config.set(at, 0x40, 0x0011 | 0x50 << 8);
        config.set(at, 0x50, 0x0009 | 0x40 << 8);
        let function = Function::probe(&config, at).unwrap();
        let all: Vec<Capability> = function.capabilities().collect();
        assert_eq!(all.len(), 48);
        assert_eq!(
            all[0],
            Capability {
                id: 0x11,
                offset: 0x40
            }
        );
    }

    #[test]
    fn no_list_where_the_status_says_so() {
        let at = Address::new(0, 1, 0);
        let config = FakeConfig::with_device(at);
        config.set(at, 0x34, 0x40);
        let function = Function::probe(&config, at).unwrap();
        assert_eq!(function.capabilities().count(), 0);
    }
}
