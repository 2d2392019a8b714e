//! MSI-X: the capability and its table (PCI 3.0, 6.8.2).

use crate::{ConfigSpace, Function, Window};

const CAPABILITY: u8 = 0x11;
const CONTROL_ENABLE: u16 = 1 << 15;
const CONTROL_MASK_ALL: u16 = 1 << 14;
const ENTRY_BYTES: u64 = 16;

/// What a table entry sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MsixTarget {
    /// The message address.
    pub address: u64,
    /// The message data.
    pub data: u32,
}

impl MsixTarget {
    /// The four words of an unmasked table entry.
    pub fn words(self) -> [u32; 4] {
        [
            self.address as u32,
            (self.address >> 32) as u32,
            self.data,
            0,
        ]
    }
}

/// A function's MSI-X table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MsixTable {
    /// Where the table lies; 16 bytes an entry.
    pub window: Window,
    /// Entries.
    pub entries: u16,
    capability: u8,
}

impl MsixTable {
    /// The function's table, if it has one that lies inside its BAR.
    pub fn find<C: ConfigSpace>(function: &Function<'_, C>) -> Option<Self> {
        let capability = function.capabilities().find(|c| c.id == CAPABILITY)?.offset;
        let at = function.address();
        let control = function.config.read16(at, capability + 2);
        let table = function.config.read(at, capability.checked_add(4)?);
        let entries = (control & 0x7ff) + 1;
        let bar = function.bar((table & 7) as u8).ok()?;
        let window = bar
            .window
            .part(u64::from(table & !7), u64::from(entries) * ENTRY_BYTES)?;
        Some(MsixTable {
            window,
            entries,
            capability,
        })
    }

    /// Turns MSI-X on. Entries that are to send must have been written.
    pub fn enable<C: ConfigSpace>(&self, function: &Function<'_, C>) {
        let at = function.address();
        let control = function.config.read16(at, self.capability + 2);
        function.config.write16(
            at,
            self.capability + 2,
            control & !CONTROL_MASK_ALL | CONTROL_ENABLE,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;
    use crate::fake::FakeConfig;

    #[test]
    fn the_table_is_found_and_enabled() {
        let at = Address::new(0, 2, 0);
        let config = FakeConfig::with_device(at);
        config.set(at, 4, 1 << 20);
        config.set(at, 0x34, 0x98);
        config.set(at, 0x98, 0x11 | 2 << 16);
        config.set(at, 0x9c, 0x800 | 1);
        config.set_bar(at, 1, 0xfebd_1000, 0xffff_ffff_ffff_f000);
        let function = Function::probe(&config, at).unwrap();
        let table = MsixTable::find(&function).unwrap();
        assert_eq!(table.entries, 3);
        assert_eq!(table.window.base, 0xfebd_1800);
        table.enable(&function);
        assert_eq!(config.read(at, 0x98) >> 16, 0x8002);
    }

    #[test]
    fn a_table_outside_its_bar_is_none() {
        let at = Address::new(0, 2, 0);
        let config = FakeConfig::with_device(at);
        config.set(at, 4, 1 << 20);
        config.set(at, 0x34, 0x98);
        config.set(at, 0x98, 0x11 | 2 << 16);
        config.set(at, 0x9c, 0xff0 | 1);
        config.set_bar(at, 1, 0xfebd_1000, 0xffff_ffff_ffff_f000);
        let function = Function::probe(&config, at).unwrap();
        assert_eq!(MsixTable::find(&function), None);
    }
}
