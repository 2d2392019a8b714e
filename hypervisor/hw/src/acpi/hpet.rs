//! The table of the high-precision event timer (IA-PC HPET specification 3.2.4).

use bulkhead_core::addr::Hpa;

use super::fadt::{Register, RegisterSpace};

/// The timer's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hpet {
    /// Where they are.
    pub address: Hpa,
}

impl Hpet {
    /// What `table` says: `None` where it is damaged, `Some(None)` where there is no usable timer.
    pub(super) fn read(table: &[u8]) -> Option<Option<Self>> {
        let register = Register::read(table, 40)?;
        let usable = register.space == RegisterSpace::Memory && register.address != 0;
        Some(usable.then_some(Hpet {
            address: Hpa::new(register.address),
        }))
    }
}
