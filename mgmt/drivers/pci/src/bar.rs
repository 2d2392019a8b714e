//! Base address registers (PCI 3.0, 6.2.5.1).

use core::fmt;

use crate::{Address, ConfigSpace};

const COMMAND: u8 = 0x04;
const COMMAND_DECODE: u32 = 0b11;

/// A range of bus addresses, which are machine addresses here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// First byte.
    pub base: u64,
    /// Bytes.
    pub length: u64,
}

impl Window {
    /// The part of `length` bytes from `offset`; `None` where it does not lie inside.
    pub fn part(self, offset: u64, length: u64) -> Option<Window> {
        let end = offset.checked_add(length)?;
        (end <= self.length).then_some(Window {
            base: self.base.checked_add(offset)?,
            length,
        })
    }
}

/// A memory BAR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// Where it is; base 0 where firmware has not placed it.
    pub window: Window,
    /// Whether it takes one register or two.
    pub width: Width,
}

/// Width of a memory BAR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    /// 32 bits.
    Bits32,
    /// 64 bits: this register and the next.
    Bits64,
}

/// Why there is no memory BAR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarError {
    /// There are BARs 0 to 5, and a 64-bit one cannot start at 5.
    NoSuchBar,
    /// It is an I/O port BAR.
    Ports,
    /// It is not implemented.
    Absent,
    /// Firmware gave it no address.
    Unplaced,
}

impl fmt::Display for BarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BarError::NoSuchBar => "the device names a BAR that cannot exist",
            BarError::Ports => "the BAR is an I/O port range, not memory",
            BarError::Absent => "the BAR is not implemented",
            BarError::Unplaced => "the firmware has given the BAR no address",
        })
    }
}

/// Reads and sizes BAR `index`. Decoding is off meanwhile, so that the all-ones write claims no address.
pub(crate) fn read<C: ConfigSpace>(
    config: &C,
    address: Address,
    index: u8,
) -> Result<Bar, BarError> {
    if index > 5 {
        return Err(BarError::NoSuchBar);
    }
    let offset = 0x10 + index * 4;
    let low = config.read(address, offset);
    if low & 1 != 0 {
        return Err(BarError::Ports);
    }
    let wide = match low >> 1 & 3 {
        2 => Width::Bits64,
        _ => Width::Bits32,
    };
    if wide == Width::Bits64 && index == 5 {
        return Err(BarError::NoSuchBar);
    }

    let command = config.read(address, COMMAND) & 0xffff;
    config.write(address, COMMAND, command & !COMMAND_DECODE);
    let low_mask = probe(config, address, offset, low) & !0xf;
    let (high, high_mask) = match wide {
        Width::Bits32 => (0, u32::MAX),
        Width::Bits64 => {
            let high = config.read(address, offset + 4);
            (high, probe(config, address, offset + 4, high))
        }
    };
    config.write(address, COMMAND, command);

    let mask = u64::from(high_mask) << 32 | u64::from(low_mask);
    if low_mask == 0 && (wide == Width::Bits32 || high_mask == 0) {
        return Err(BarError::Absent);
    }
    let window = Window {
        base: u64::from(high) << 32 | u64::from(low & !0xf),
        length: (!mask).wrapping_add(1),
    };
    match window.base {
        0 => Err(BarError::Unplaced),
        _ => Ok(Bar {
            window,
            width: wide,
        }),
    }
}

fn probe<C: ConfigSpace>(config: &C, address: Address, offset: u8, value: u32) -> u32 {
    config.write(address, offset, u32::MAX);
    let mask = config.read(address, offset);
    config.write(address, offset, value);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeConfig;

    const AT: Address = Address::new(0, 3, 0);

    #[test]
    fn a_64_bit_bar_is_sized_and_left_as_it_was() {
        let config = FakeConfig::with_device(AT);
        config.set_bar(AT, 4, 0x8000_0000_c00c, 0xffff_ffff_ffff_c00c);
        let bar = read(&config, AT, 4).unwrap();
        assert_eq!(bar.window.base, 0x8000_0000_c000);
        assert_eq!(bar.window.length, 0x4000);
        assert_eq!(read(&config, AT, 4).unwrap(), bar);
    }

    #[test]
    fn odd_bars_are_refused() {
        let config = FakeConfig::with_device(AT);
        assert_eq!(read(&config, AT, 0), Err(BarError::Absent));
        config.set_bar(AT, 1, 0xc001, 0xffff_ffff_ffff_ffe1);
        assert_eq!(read(&config, AT, 1), Err(BarError::Ports));
        assert_eq!(read(&config, AT, 6), Err(BarError::NoSuchBar));
    }

    #[test]
    fn a_window_has_no_part_beyond_its_end() {
        let window = Window {
            base: 0x1000,
            length: 0x1000,
        };
        assert_eq!(window.part(0xff0, 0x10).unwrap().base, 0x1ff0);
        assert_eq!(window.part(0xff0, 0x11), None);
        assert_eq!(window.part(u64::MAX, 2), None);
    }
}
