//! Finding every function: bus 0 and what lies behind its bridges.

use alloc::vec;
use alloc::vec::Vec;

use crate::{Address, ConfigSpace, Function};

/// The addresses of all functions, bus by bus. Each bus is visited once, whatever bridges claim.
pub fn scan<C: ConfigSpace>(config: &C) -> Vec<Address> {
    let mut found = Vec::new();
    let mut seen = [false; 256];
    let mut buses = vec![0u8];
    while let Some(bus) = buses.pop() {
        match seen.get_mut(usize::from(bus)) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        for device in 0..32 {
            scan_device(config, bus, device, &mut found, &mut buses);
        }
    }
    found
}

fn scan_device<C: ConfigSpace>(
    config: &C,
    bus: u8,
    device: u8,
    found: &mut Vec<Address>,
    buses: &mut Vec<u8>,
) {
    for number in 0..8 {
        let address = Address::new(bus, device, number);
        let Some(function) = Function::probe(config, address) else {
            match number {
                0 => return,
                _ => continue,
            }
        };
        found.push(address);
        if function.header_type() == 1 {
            let secondary = config.read8(address, 0x19);
            // 0 is a bridge that firmware has not set up.
            if secondary != 0 {
                buses.push(secondary);
            }
        }
        if number == 0 && !function.is_multifunction() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeConfig;

    #[test]
    fn devices_behind_bridges_are_found_once() {
        let config = FakeConfig::with_device(Address::new(0, 0, 0));
        let bridge = Address::new(0, 1, 0);
        config.add(bridge);
        config.set(bridge, 0x0c, 1 << 16);
        config.set(bridge, 0x18, 0x0005_0500);
        config.add(Address::new(5, 0, 0));
        // A bridge that claims to lead back to bus 0.
        let loops = Address::new(5, 1, 0);
        config.add(loops);
        config.set(loops, 0x0c, 1 << 16);
        // Function 3 of a device that does not say it has several.
        config.add(Address::new(0, 2, 0));
        config.add(Address::new(0, 2, 3));
        let found = scan(&config);
        assert_eq!(found.len(), 5);
        assert!(found.contains(&Address::new(5, 0, 0)));
    }
}
