//! INTx: pins, and the inputs of the I/O APIC behind them.

use crate::{Function, SLOTS, Slot};

/// An interrupt pin of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Pin {
    /// INTA#.
    A = 1,
    /// INTB#.
    B = 2,
    /// INTC#.
    C = 3,
    /// INTD#.
    D = 4,
}

/// A global system interrupt: an input of the guest's I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Gsi(pub u8);

/// The first input that pins are wired to.
const FIRST: u8 = 16;
/// How many inputs pins share.
const INPUTS: u8 = 4;

impl Gsi {
    /// The input that a pin is wired to: neighbours use different ones. The guest's `_PRT` says the same.
    pub const fn of_pin(slot: Slot, pin: Pin) -> Self {
        Self(FIRST + (slot.number() + pin as u8 - 1) % INPUTS)
    }
}

/// The levels of the inputs that pins share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IntxLevels(u8);

const _: () = assert!(SLOTS <= 251, "the sum of slot and pin fits a byte");

impl IntxLevels {
    /// The levels that these functions make: an input is high while any pin on it is asserted.
    pub fn of<'a>(functions: impl Iterator<Item = (Slot, &'a Function)>) -> Self {
        Self(functions.fold(0, |levels, (slot, function)| {
            levels | function.asserted_pin().map_or(0, |pin| bit(slot, pin))
        }))
    }

    /// Each input at the other level: all differ.
    #[must_use]
    pub const fn opposite(self) -> Self {
        Self(self.0 ^ ((1 << INPUTS) - 1))
    }

    /// The inputs that differ from `before`, each with whether it is high now.
    pub fn changes(self, before: Self) -> impl Iterator<Item = (Gsi, Level)> {
        (0..INPUTS).filter_map(move |input| {
            let is = self.0 >> input & 1;
            let level = if is == 1 { Level::High } else { Level::Low };
            (is != before.0 >> input & 1).then_some((Gsi(FIRST + input), level))
        })
    }
}

/// The level of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Nobody interrupts.
    Low,
    /// Somebody does.
    High,
}

const fn bit(slot: Slot, pin: Pin) -> u8 {
    1 << (Gsi::of_pin(slot, pin).0 - FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_wired_to_different_inputs() {
        let gsi = |slot, pin| Gsi::of_pin(Slot::new(slot).unwrap(), pin).0;
        assert_eq!(gsi(0, Pin::A), 16);
        assert_eq!(gsi(1, Pin::A), 17);
        assert_eq!(gsi(1, Pin::D), 16);
        assert_eq!(gsi(31, Pin::A), 19);
        assert_eq!(gsi(31, Pin::D), 18);
    }

    #[test]
    fn changes_name_only_what_differs() {
        let changes: Vec<_> = IntxLevels(0b0110).changes(IntxLevels(0b1100)).collect();
        assert_eq!(changes, [(Gsi(17), Level::High), (Gsi(19), Level::Low)]);
    }

    #[test]
    fn a_shared_input_is_high_while_anybody_asserts_it() {
        let mut functions = [1, 5].map(|number| {
            let slot = Slot::new(number).unwrap();
            let mut function = Function::new(crate::Identity::default());
            function.add_pin(slot, Pin::A);
            (slot, function)
        });
        let levels = |functions: &[(Slot, Function)]| {
            IntxLevels::of(functions.iter().map(|(slot, function)| (*slot, function)))
        };
        assert_eq!(levels(&functions), IntxLevels(0));
        for (_, function) in &mut functions {
            function.assert();
        }
        assert_eq!(levels(&functions), IntxLevels(0b0010));
        functions[0].1.release();
        assert_eq!(levels(&functions), IntxLevels(0b0010));
        functions[1].1.release();
        assert_eq!(levels(&functions), IntxLevels(0));
    }
}
