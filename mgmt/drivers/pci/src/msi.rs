//! MSI: one message for a whole function (PCI 3.0, 6.8.1).

use crate::{ConfigSpace, Function};

const CAPABILITY: u8 = 0x05;
const CONTROL_ENABLE: u16 = 1 << 0;
const CONTROL_MESSAGES: u16 = 7 << 4;
const CONTROL_64_BITS: u16 = 1 << 7;

/// A function's MSI capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Msi {
    capability: u8,
    control: u16,
}

impl Msi {
    /// The function's capability, if it has one.
    pub fn find<C: ConfigSpace>(function: &Function<'_, C>) -> Option<Self> {
        let capability = function.capabilities().find(|c| c.id == CAPABILITY)?.offset;
        // The longest form must lie inside configuration space.
        capability.checked_add(0x14)?;
        let control = function
            .config
            .read16(function.address(), capability.checked_add(2)?);
        Some(Msi {
            capability,
            control,
        })
    }

    /// Has the function send this message, and turns MSI on.
    pub fn enable<C: ConfigSpace>(&self, function: &Function<'_, C>, address: u32, data: u16) {
        let (config, at) = (function.config, function.address());
        config.write(at, self.capability + 4, address);
        let data_at = match self.control & CONTROL_64_BITS {
            0 => 8,
            _ => {
                config.write(at, self.capability + 8, 0);
                12
            }
        };
        config.write16(at, self.capability + data_at, data);
        let control = self.control & !CONTROL_MESSAGES | CONTROL_ENABLE;
        config.write16(at, self.capability + 2, control);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;
    use crate::fake::FakeConfig;

    const AT: Address = Address::new(0, 3, 0);

    fn device(control: u16) -> FakeConfig {
        let config = FakeConfig::with_device(AT);
        config.set(AT, 4, 1 << 20);
        config.set(AT, 0x34, 0xd0);
        config.set(AT, 0xd0, 0x05 | u32::from(control) << 16);
        config
    }

    #[test]
    fn the_message_goes_where_the_width_says() {
        for (control, data_at) in [(0, 0xd8), (CONTROL_64_BITS, 0xdc)] {
            let config = device(control | 3 << 4);
            config.set(AT, 0xd8, 0xffff_ffff);
            let function = Function::probe(&config, AT).unwrap();
            let msi = Msi::find(&function).unwrap();
            msi.enable(&function, 0xfee0_1000, 0x41);
            assert_eq!(config.read(AT, 0xd4), 0xfee0_1000);
            assert_eq!(config.read16(AT, data_at), 0x41);
            assert_eq!(config.read(AT, 0xd0) >> 16, u32::from(control | 1));
        }
    }

    #[test]
    fn a_function_without_it_has_none() {
        let config = FakeConfig::with_device(AT);
        let function = Function::probe(&config, AT).unwrap();
        assert_eq!(Msi::find(&function), None);
    }

    #[test]
    fn a_capability_at_the_end_of_configuration_space_is_none() {
        let config = FakeConfig::with_device(AT);
        config.set(AT, 4, 1 << 20);
        config.set(AT, 0x34, 0xf0);
        config.set(AT, 0xf0, 0x05);
        let function = Function::probe(&config, AT).unwrap();
        assert_eq!(Msi::find(&function), None);
    }
}
