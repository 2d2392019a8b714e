//! What a virtual system is entitled to of the physical CPUs, as management asks for it.

use super::placement::RESERVABLE;

/// Largest weight of a system.
pub const MAX_WEIGHT: u32 = 10_000;
/// The weight that each vCPU has where its system's was not said.
pub const DEFAULT_WEIGHT: u32 = 100;
/// Largest limit in percent of one physical CPU.
pub const MAX_LIMIT: u32 = 100 * bulkhead_abi::partition::MAX_VCPUS;

/// Weight, reservation and limit of a system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Entitlement {
    weight: u16,
    reservation: u16,
    limit: u16,
}

impl Entitlement {
    /// What a system of `vcpus` vCPUs is to have: a weight of 1 to [`MAX_WEIGHT`] (0: [`DEFAULT_WEIGHT`] for each vCPU), a reservation
    /// in percent of one physical CPU, a limit in the same unit (0: none).
    ///
    /// # Errors
    /// The numbers do not go together, or are out of range.
    pub fn new(
        weight: u32,
        reservation: u32,
        limit: u32,
        vcpus: u32,
    ) -> Result<Self, &'static str> {
        if weight > MAX_WEIGHT {
            return Err("its weight is above 10000");
        }
        if limit > MAX_LIMIT {
            return Err("its limit is above what 64 CPUs can do");
        }
        // `RESERVABLE` counts thousandths of a percent.
        if u64::from(reservation) * 1000 > u64::from(RESERVABLE).saturating_mul(vcpus.into()) {
            return Err("it reserves more than its vCPUs can be promised");
        }
        if limit != 0 && reservation > limit {
            return Err("its reservation is above its limit");
        }
        let narrow = |value| u16::try_from(value).map_err(|_| "a number is out of range");
        Ok(Self {
            weight: narrow(weight)?,
            reservation: narrow(reservation)?,
            limit: narrow(limit)?,
        })
    }

    /// The system's weight as it was asked for; 0: [`DEFAULT_WEIGHT`] for each vCPU.
    pub const fn weight(self) -> u32 {
        self.weight as u32
    }

    /// Percent of one physical CPU that the system gets whenever it wants it.
    pub const fn reservation(self) -> u32 {
        self.reservation as u32
    }

    /// Percent of one physical CPU that the system gets at most; 0: as much as there is.
    pub const fn limit(self) -> u32 {
        self.limit as u32
    }

    pub(super) const fn to_word(self) -> u64 {
        self.weight as u64 | (self.reservation as u64) << 16 | (self.limit as u64) << 32
    }

    pub(super) const fn from_word(word: u64) -> Self {
        Self {
            weight: word as u16,
            reservation: (word >> 16) as u16,
            limit: (word >> 32) as u16,
        }
    }

    /// The weight of each of the system's vCPUs, in units of 1/65536.
    pub(super) fn weight_of_vcpu(self, vcpus: u32) -> u64 {
        match self.weight {
            0 => u64::from(DEFAULT_WEIGHT) << 16,
            weight => (u64::from(weight) << 16) / u64::from(vcpus.max(1)),
        }
    }
}
